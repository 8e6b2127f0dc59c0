"""The benchmark's own arithmetic, and its control: a server that is slower on purpose has to come out worse."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from bench import bars, ceiling, latency, report, sdks, template, throughput
from bench.figures import Row, percentile, since_intended, summary_ms
from bench.profiling import split, where
from bench.server import LAUNCHER
from bench.throughput import Group, Plan

RATE, SECONDS, STALL_S = 500.0, 1.0, 0.2


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]

    assert [percentile(values, percent) for percent in (50, 99, 99.9, 100)] == [50, 99, 100, 100]
    assert percentile([7.0], 50) == 7.0
    with pytest.raises(ValueError):
        percentile([], 50)


def test_a_stall_costs_everyone_who_came_during_it() -> None:
    """One caller a ms, served at once, but for a stall from 100 to 200 ms: a tenth of all callers wait 50 ms on average."""
    intended = [n / 1_000 for n in range(1_000)]
    answered = [max(at, 0.2) if 0.1 <= at < 0.2 else at for at in intended]

    summary = summary_ms(since_intended(intended, answered))

    assert (summary["p50"], summary["max"]) == (0.0, 100.0)
    assert summary["p99"] == pytest.approx(91, abs=1)  # counted from the last answer it would be 0


class StallingServer:
    """Answers every line with ok at once, but one of them, and all behind it, STALL_S late."""

    def __init__(self, stall_at: int) -> None:
        self._stall_at = stall_at
        self._answered = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            for _ in lines:
                with self._lock:
                    self._answered += 1
                    if self._answered == self._stall_at:
                        time.sleep(STALL_S)
                connection.sendall(b'{"ok":true,"id":"x"}\n')


@pytest.fixture
def stalling() -> Iterator[StallingServer]:
    server = StallingServer(stall_at=200)
    yield server
    server.close()


def test_the_open_loop_sees_a_stall_whole(stalling: StallingServer) -> None:
    """At 500 arrivals a second some 100 come in the 0.2 s of the stall: a fifth of all, so that p90 has to show it."""
    planned = latency.arrivals(RATE, SECONDS, seed=1)

    found = latency.Pushes(stalling.address, "queue", planned).run("push", RATE)

    assert found.calls == len(planned) == pytest.approx(RATE * SECONDS, rel=0.2)
    assert found.ms["p90"] > STALL_S * 1_000 / 4
    assert found.ms["max"] >= STALL_S * 1_000 * 0.9


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    assert latency.arrivals(100, 1, seed=3) == latency.arrivals(100, 1, seed=3)
    assert latency.arrivals(100, 1, seed=3) != latency.arrivals(100, 1, seed=4)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    row = Row("produce", "tcp", 1, 50, 1_000, rates=[10, 40, 30], others=[100, 100, 100])

    assert (row.name, row.ratio) == ("produce-tcp-c1-b50", 0.3)


def test_a_round_that_is_slow_as_a_whole_does_not_move_the_ratio() -> None:
    row = Row("produce", "tcp", 1, 50, 1_000, rates=[30, 3, 30], others=[100, 10, 100])

    assert row.ratio == pytest.approx(0.3)


def test_the_last_line_has_every_key_in_its_order() -> None:
    keys = "produce_ratio produce16_ratio consume_ratio e2e_ratio pipelined_ratio depth_ratio start_s idle_conns_mib wake_p99_ms idle_mib"
    figures = {key: 1.0 for key in keys.split() if key != "depth_ratio"}

    line = bars.line(figures)

    assert line.startswith("bench: ")
    assert [pair.split("=")[0] for pair in line.removeprefix("bench: ").split(" ")] == keys.split()
    assert re.search(r"\bproduce_ratio=1\.000\b.* depth_ratio=- ", line)


def test_a_bar_is_missed_from_either_side_and_by_what_was_not_measured() -> None:
    good = {bar.key: bar.least if bar.least is not None else bar.most or 0.0 for bar in bars.BARS}
    without = {key: value for key, value in good.items() if key != "idle_mib"}

    assert bars.missed(good) == []
    assert [line.split("=")[0] for line in bars.missed(good | {"e2e_ratio": 0.0})] == ["e2e_ratio"]
    assert [line.split("=")[0] for line in bars.missed(good | {"start_s": 99.0})] == ["start_s"]
    assert [line.split("=")[0] for line in bars.missed(without)] == ["idle_mib"]
    assert bars.missed(without, partly=True) == []


def test_a_peer_that_is_missing_is_said_loudly() -> None:
    missing = {"name": "X", "durability": "", "batch": 50, "missing": "no X on PATH"}

    assert "| X | **NOT MEASURED**: no X on PATH |" in report.SECTIONS["peers"]([missing])


def test_a_stack_counts_for_its_innermost_known_package() -> None:
    text = (
        "Stack (most recent call first):\n"
        '  File "/lib/python3.11/json/encoder.py", line 1 in encode\n'
        '  File "/x/jobwire_server/engine/decide.py", line 2 in decide\n'
        '  File "/x/jobwire_server/tcp_api/connection.py", line 3 in _run\n'
        "Stack (most recent call first):\n"
        '  File "/lib/python3.11/asyncio/runners.py", line 4 in run\n'
    )

    assert [where(stack) for stack in split(text)] == ["engine", "asyncio, uvloop"]


# --- with real servers ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, template.Template]:
    """A file of the product, and what was seen in it."""
    folder = tmp_path_factory.mktemp("product")
    seen = template.observe(folder)
    return folder / "template.db", seen


@pytest.mark.acceptance
def test_the_ceiling_writes_what_the_product_writes(
    tmp_path: Path, product: tuple[Path, template.Template]
) -> None:
    file, seen = product
    bare = ceiling.Ceiling(tmp_path / "ceiling.db", seen)

    bare.run("produce", "queue", 100, 50)
    bare.run("consume", "queue", 50, 50)
    bare.run("e2e", "other", 10, 1)

    rows = _jobs(tmp_path / "ceiling.db")
    assert [row["state"] for row in rows].count("completed") == 60
    assert len(rows) == 110
    types = {name: type(value) for name, value in _jobs(file)[0].items()}
    assert {name: type(value) for name, value in rows[0].items()} == types
    assert _schema(tmp_path / "ceiling.db") == _schema(file)


@pytest.mark.acceptance
def test_a_slower_server_has_a_worse_ratio(
    tmp_path: Path, product: tuple[Path, template.Template]
) -> None:
    """5 ms a batch are 10,000 jobs a second at the very most."""
    plan = Plan(
        (Group("tcp", 1, 50, 1_000, loads=("produce",)),), 0, rounds=3, least_rounds=3, limit_s=10
    )
    ratios, rates = {}, {}
    for name, launcher in (("real", LAUNCHER), ("slow", ("-m", "bench.control"))):
        folder = tmp_path / name
        folder.mkdir()
        produce = throughput.measure(plan, folder, product[1], launcher)[0]
        ratios[name], rates[name] = produce.ratio, max(produce.rates)

    assert rates["slow"] <= 50 / 0.005
    assert ratios["slow"] < 0.9 * ratios["real"]


def test_an_sdk_is_compared_with_the_bare_socket_of_the_same_round() -> None:
    cell = sdks.Cell("push", "go", 10, rates=[50.0, 300.0, 20.0], bare=[100.0, 400.0, 50.0])
    cell.client_cpu_us, cell.server_cpu_us = [1.0, 2.0, 3.0], [4.0, 4.0, 5.0]

    record = cell.record()

    assert (record["ratio_median"], record["ratio_low"], record["ratio_high"]) == (0.5, 0.4, 0.75)
    assert (record["jobs_s_median"], record["jobs_s_best"]) == (50, 300)


@pytest.mark.acceptance
def test_every_sdk_does_every_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many jobs as show that the programs work; one that cannot be had is said loudly."""

    def missing() -> list[str]:
        raise sdks.Missing("no such language")

    monkeypatch.setattr(sdks, "COMMANDS", {**sdks.COMMANDS, "none": missing})
    jobs = sdks.Jobs(push=2, push_batch=50, push_at_once=1_000, work=50, rounds=1)

    rows = sdks.measure(tmp_path, jobs, warm_up=0)

    clients = (sdks.BARE, "python", "python-async", "node", "go")
    loads = ("push", "push_batch", "push_at_once", "work")
    assert [(row["load"], row["client"]) for row in rows[:-1]] == [
        (load, client) for load in loads for client in clients
    ]
    assert all(float(str(row["ratio_median"])) > 0 for row in rows[:-1])
    assert rows[-1] == {"client": "none", "missing": "no such language"}
    assert "**NOT MEASURED**: no such language" in report.SECTIONS["sdks"](rows)


def _jobs(path: Path) -> list[dict[str, object]]:
    file = apsw.Connection(str(path))
    cursor = file.execute("SELECT * FROM jobs ORDER BY seq")
    names = [name for name, _ in cursor.getdescription()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    file.close()
    return rows


def _schema(path: Path) -> set[str]:
    file = apsw.Connection(str(path))
    found = {str(sql) for (sql,) in file.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}  # fmt: skip
    file.close()
    return found
