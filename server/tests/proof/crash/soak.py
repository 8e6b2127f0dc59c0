"""T9: a steady load for a long time, with a kill every minute: `python -m tests.proof.crash.soak MINUTES SEED RESULTS`.

The run is cut into windows, each with a queue, clients and ledgers of its own, which are judged and thrown away while the next one runs, so that
the harness stays small. Completed jobs are forgotten after a while, so that the file has a size to stay at. A minute's life is too short to tell
a slow leak: in the second half of a campaign nothing is killed, and the slope of the memory is fitted to that one long life.
"""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.forks import SERVER
from tests.acceptance.processes import until
from tests.proof.checker import check
from tests.proof.crash.kill_loop import drain, end_client, final_states, spread
from tests.proof.crash.moments import Victim
from tests.proof.crash.soak_samples import (
    CEILING_BYTES,
    MIB,
    Sample,
    Sampler,
    growths,
    lives,
    settled,
    slope,
)
from tests.proof.facts import PRUNED, Facts, Final
from tests.proof.figures import Summary, summarise, totals
from tests.proof.history import Ledger, read_folder
from tests.proof.report import Figure, Number, publish, save_all

WORKERS = 2
RATE = 500  # jobs a second
SETTINGS = "[jobs]\nretention_completed_ms = {kept_ms}\n[log]\nlevel = 'warning'\n"
SUMMED = ("acknowledged", "lost", "phantom", "resurrected", "duplicates", "unexplained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How long everything takes, in s."""

    window: float  # load, and so the life of a process, where windows end in a kill
    killed_windows: int
    quiet_windows: int  # after those, in one life
    warm_up: float
    every: float  # a sample
    kept: float  # a completed job


@dataclass(slots=True)
class Soak:
    """What has come together so far."""

    summaries: list[Summary] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    recovery_ms: list[float] = field(default_factory=list)
    load_s: float = 0.0

    def add(self, judged: Future[tuple[Summary, list[str]]]) -> None:
        summary, violations = judged.result()
        self.summaries.append(summary)
        self.violations += violations


def run(folder: Path, *, seed: int, shape: Shape, rate: int = RATE) -> Figure:
    began = time.monotonic()
    config = folder / "soak.toml"
    config.write_text(SETTINGS.format(kept_ms=round(shape.kept * 1_000)))
    server = Victim(folder, "--config", str(config))
    soak = Soak()
    sampler = Sampler(server, shape.every)
    context = multiprocessing.get_context("spawn")
    try:
        server.start()
        with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as judges:
            judged: Future[tuple[Summary, list[str]]] | None = None
            for number in range(shape.killed_windows + shape.quiet_windows):
                with_kill = number < shape.killed_windows
                done = window(soak, server, sampler, shape, seed, number, rate, with_kill=with_kill)
                if judged is not None:
                    soak.add(judged)
                judged = judges.submit(judge, done)
            assert judged is not None, "a soak has a window"
            soak.add(judged)
        assert server.stop() == 0, server.log
    finally:
        server.end()
    return figure_of(soak, sampler, shape, seed, time.monotonic() - began)


def window(
    soak: Soak,
    server: Victim,
    sampler: Sampler,
    shape: Shape,
    seed: int,
    number: int,
    rate: int,
    *,
    with_kill: bool,
) -> Path:
    """Load, maybe a kill and a start under it, and a drain; the folder with the history of it."""
    folder, queue = server.folder / f"window-{number}", f"{PRUNED}{number}"
    folder.mkdir()
    with Ledger(folder, "harness") as ledger, load(folder, server, seed, queue, rate) as producer:
        began = time.monotonic()
        with sampler.beside():
            time.sleep(shape.window)  # the load, for as long as it is to last
        if with_kill:
            soak.recovery_ms.append(kill_and_start(server, ledger))
        (folder / "healed").touch()
        assert end_client(producer) == 0, (folder / "clients.log").read_text()
        soak.load_s += time.monotonic() - began
        drain(server, ledger, [queue])
    final_states(server, [queue]).save(folder)
    return folder


def kill_and_start(server: Victim, ledger: Ledger) -> float:
    key = ledger.invoke("kill", {"moment": "running"})
    server.kill()
    ledger.end(key, "ok", {})
    began = time.monotonic()
    server.start()
    return (time.monotonic() - began) * 1_000


@contextmanager
def load(
    folder: Path, server: Victim, seed: int, queue: str, rate: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The producer, which it gives, and the workers; all have ended afterwards."""
    roles = ("produce", *["work"] * WORKERS)
    clients = [
        start_client(folder, role, f"{role}-{place}", seed, server.tcp, queue, rate)
        for place, role in enumerate(roles)
    ]
    try:
        until(lambda: (folder / "produce-0.jsonl").exists(), 20, "the load is on")
        yield clients[0]
    finally:
        (folder / "done").touch()
        codes = [end_client(client) for client in clients]
    assert codes == [0] * len(codes), (folder / "clients.log").read_text()


def start_client(
    folder: Path, role: str, name: str, seed: int, port: int, queue: str, rate: int
) -> subprocess.Popen[bytes]:
    arguments = [role, name, str(seed), "tcp", str(port), str(folder), "600", queue, str(rate)]
    with (folder / "clients.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.proof.crash.soak_clients", *arguments],
            cwd=SERVER,
            stdout=log,
            stderr=log,
        )


def judge(folder: Path) -> tuple[Summary, list[str]]:
    """In a process of its own. Counts change by themselves where jobs are forgotten, so that R15 says nothing here."""
    calls, final = read_folder(folder), Final.load(folder)
    found = [str(violation) for violation in check(calls, final, but=("R15",))]
    summary = summarise(Facts(calls).calls, final)
    if not found and not summary.unexplained:
        shutil.rmtree(folder)
    return summary, found


def figure_of(soak: Soak, sampler: Sampler, shape: Shape, seed: int, seconds: float) -> Figure:
    done, samples = totals(soak.summaries), sampler.samples
    warm = lives(samples, shape.warm_up)
    found = growths(samples, shape.warm_up)
    fitted = sum(bool(settled(life)) for life in warm)
    memory = f"at most {CEILING_BYTES // MIB} MiB (no life was long enough to fit a slope)"
    if fitted:
        memory = "does not grow by more than 1 MiB/h once SQLite's caches are full"
    for problem in (*soak.violations, *found):
        print(problem, flush=True)
    return Figure(
        test="T9",
        title="soak",
        promises=("C1", "C9"),
        seed=seed,
        what="jobs",
        tries=done["acknowledged"],
        bad=len(soak.violations) + done["unexplained"] + len(found),
        bar=f"lost 0, no rule broken; memory {memory}, the file and the WAL are bounded, descriptors and threads flat",
        seconds=seconds,
        numbers={
            **{name: done[name] for name in SUMMED},
            "jobs_per_s": round(done["acknowledged"] / soak.load_s),
            "kills": shape.killed_windows,
            **(spread(soak.recovery_ms) if soak.recovery_ms else {}),
            "lives_watched": len(warm),
            "lives_fitted": fitted,
            **(last_slope(warm[-1]) if warm else {}),
            "rss_max_mib": round(max(each.rss for each in samples) / MIB, 1),
            "file_max_mib": round(max(each.file_bytes for each in samples) / MIB, 1),
            "wal_max_mib": round(max(each.wal_bytes for each in samples) / MIB, 1),
            "fds_max": max(each.fds for each in samples),
            "threads_max": max(each.threads for each in samples),
        },
    )


def last_slope(life: list[Sample]) -> dict[str, Number]:
    """Of the one long life; nothing for one that was too short to fit."""
    series = settled(life)
    if not series:
        return {}
    return {
        "rss_slope_mib_per_h": round(slope(series) * 3_600 / MIB, 2),
        "rss_fitted_s": round(series[-1][0] - series[0][0]),
    }


def main(minutes: str, seed: str, results: str) -> int:
    windows = max(4, round(float(minutes)))
    shape = Shape(
        window=60,
        killed_windows=windows // 2,
        quiet_windows=windows - windows // 2,
        warm_up=30,
        every=1,
        kept=30,
    )
    Victim.is_forked = False  # its times to recover are published
    folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    figure = publish(run(folder, seed=int(seed), shape=shape))
    save_all([figure], Path(results))
    if figure.bad:
        print(f"kept {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if figure.bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
