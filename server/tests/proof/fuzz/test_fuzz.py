"""T33: whatever bytes come, the parsers answer with an error of the catalogue or a request, in time and in bounded memory; and so does the server
(JW-TCP-3, JW-TCP-7, JW-TCP-9, JW-TCP-12, JW-ERR-1; guarantees C9).

PROOF_SEED chooses other inputs and PROOF_SCALE multiplies their number. A failure names its target and its input.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.acceptance.processes import Server
from tests.proof.fuzz import parsers, sockets
from tests.proof.fuzz.faulty_parsers import faulty_server
from tests.proof.fuzz.targets import TARGETS
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import Figure, publish

from jobwire_server.wire import strict_json

pytestmark = pytest.mark.acceptance

INPUTS = int(25_000 * SCALE)  # for each of two processes
CONNECTIONS = int(2_000 * SCALE)
SECONDS = 240 * max(1.0, SCALE)
GROWTH = 16 << 20  # bytes
LEAST_CODES = 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    server.end()


@pytest.mark.timeout(2 * SECONDS)
def test_no_input_breaks_a_parser_or_the_server(server: Server) -> None:
    began = time.monotonic()
    processes = [parsers.start(seed, INPUTS) for seed in (SEED, SEED + 1)]
    parsed = [parsers.result(process, SECONDS) for process in processes]
    sent = sockets.run(server, SEED, CONNECTIONS)

    publish(figure(parsed, sent, time.monotonic() - began))
    for report in parsed:
        assert report.bugs == [], f"seed {report.seed}\n" + "\n".join(report.bugs[:5])
        assert report.hangs == [], f"seed {report.seed}\n" + "\n".join(report.hangs[:5])
        assert report.grown_bytes <= GROWTH
        assert report.inputs >= INPUTS
        assert set(report.by_target) == set(TARGETS)
        assert report.outcomes["ok"] >= report.inputs / 10, "nearly every input was refused"
        assert len(report.outcomes) >= LEAST_CODES, report.outcomes
    assert sent.bugs == [], f"seed {sent.seed}\n" + "\n".join(sent.bugs[:5])
    assert sent.grown_bytes <= GROWTH
    assert sent.answers >= CONNECTIONS / 2, "most connections said nothing"
    assert server.get("/health")[1]["status"] == "healthy"


def figure(parsed: list[parsers.Report], sent: sockets.Report, seconds: float) -> Figure:
    return Figure(
        test="T33",
        title="fuzzed parsers and sockets",
        promises=("C9",),
        seed=SEED,
        what="inputs",
        tries=sum(report.inputs for report in parsed) + sent.connections,
        bad=sum(len(report.bugs) + len(report.hangs) for report in parsed)
        + len(sent.bugs)
        + sum(report.grown_bytes > GROWTH for report in (*parsed, sent)),
        bar="crashes 0, over 100 ms of processor time 0, memory + 16 MiB at most",
        seconds=seconds,
        control="a parser without its check, one that is slow, and a server that crashes on a word: all caught",
        numbers={
            "connections": sent.connections,
            "answers": sent.answers,
            "worst_ms": max(report.worst_ms for report in parsed),
            "parser_growth_bytes": max(report.grown_bytes for report in parsed),
            "server_growth_bytes": sent.grown_bytes,
            "slowest_ping_ms": sent.slowest_ping_ms,
        },
    )


# --- the controls ---


def test_a_parser_without_its_check_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder raises UnicodeDecodeError, which is no refusal."""
    monkeypatch.setattr(strict_json, "check", lambda text: None)

    report = parsers.run(SEED, 20_000)

    assert any("UnicodeDecodeError" in bug for bug in report.bugs), report.outcomes


def test_a_slow_parser_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    check = TARGETS["line"].check

    def slow(data: bytes) -> str:
        began = time.thread_time()
        while b"1e999" in data and time.thread_time() - began < 0.12:
            pass
        return check(data)

    monkeypatch.setitem(TARGETS, "line", replace(TARGETS["line"], check=slow))

    assert parsers.run(SEED, 400).hangs != []


def test_a_server_that_crashes_on_a_word_is_caught(tmp_path: Path) -> None:
    server = faulty_server(tmp_path, "crash").start()
    try:
        report = sockets.run(server, SEED, 600)
    finally:
        server.end()

    assert "the log has tcp.bug" in report.bugs
