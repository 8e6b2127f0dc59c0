"""T1-recovery: how long a killed server takes to answer again on a file of many jobs (guarantees C11)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
from tests.proof.crash.moments import Victim
from tests.proof.report import Figure, Number

QUEUE = "proof-full"
BARS_MS: Final = {
    100_000: 1_000,
    1_000_000: 3_000,
}  # guarantee C11, on a machine that does nothing else
EMPTY: Final = 1  # jobs of the file that a start is compared with
# A machine that is busy, or slow, makes a process start late whatever is in its file. Jobs may make it this much later.
BAR_RATIO: Final = 1.75
ACTIVE = 100  # of the jobs are under a lease


def grow(path: Path, jobs: int) -> None:
    """Make the waiting jobs of the file `jobs` many, as copies of the first one."""
    connection = apsw.Connection(str(path))
    names = [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
    own = {
        "seq": "n",
        "id": "printf('%08x-0000-4000-8000-%012x', n, n)",
        "position": "position + n",
    }
    values = ", ".join(own.get(name, name) for name in names)
    with connection:
        ends: Any = connection.execute("SELECT min(seq), max(seq) FROM jobs").fetchone()
        first, last = ends
        connection.execute(
            f"WITH RECURSIVE count(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM count WHERE n < ?) "
            f"INSERT INTO jobs ({', '.join(names)}) SELECT {values} FROM count, jobs WHERE jobs.seq = ?",
            (last + 1, jobs, first),
        )
        connection.execute("UPDATE counts SET n = ? WHERE state = 'waiting'", (jobs,))
    connection.close()


def measure(folder: Path, sizes: Sequence[int], times: int) -> dict[int, list[float]]:
    """ms from the start of a process to its first answer, by the number of jobs in its file; the files are started in turn."""
    servers = {jobs: filled(folder / f"of-{jobs}", jobs) for jobs in (EMPTY, *sizes)}
    took: dict[int, list[float]] = {jobs: [] for jobs in servers}
    for _ in range(times):
        for jobs, server in servers.items():
            took[jobs].append(kill_and_start(server, jobs))
    return took


def filled(folder: Path, jobs: int) -> Victim:
    """A server on a file of its own with so many jobs; it does not run."""
    folder.mkdir()
    server = Victim(folder)
    try:
        server.start()
        server.post(f"/queues/{QUEUE}/jobs", {"name": "a", "data": {"pad": "x" * 100}})
        assert server.stop() == 0
        grow(folder / "jobs.db", jobs)
        return server
    finally:
        server.end()


def kill_and_start(server: Victim, jobs: int) -> float:
    """With leases and a WAL to recover. It must have all jobs, or its answer is worth nothing."""
    try:
        server.is_forked = True
        server.start()
        server.post(f"/queues/{QUEUE}/pull", {"count": ACTIVE, "lease_ms": 60_000})
        server.kill()
        server.is_forked = False  # this start is what is measured
        began = time.monotonic()
        server.start()
        took = (time.monotonic() - began) * 1_000
        counts = server.get(f"/queues/{QUEUE}/stats")[1]["counts"]
        assert counts["waiting"] + counts["active"] == jobs, counts
        return took
    finally:
        server.end()


def figure_of(
    took: dict[int, list[float]], seed: int, seconds: float, slack: float = 1.0
) -> Figure:
    """Too late is a file whose best start is over its bar, and over that of the empty file by more than `slack` times the ratio."""
    best = {jobs: min(walls) for jobs, walls in took.items()}
    ratio = {jobs: round(best[jobs] / best[EMPTY], 2) for jobs in took if jobs != EMPTY}
    late = [
        jobs for jobs in ratio if best[jobs] > BARS_MS[jobs] and ratio[jobs] > slack * BAR_RATIO
    ]
    return Figure(
        test="T1-recovery",
        title="kill -9 to first answer",
        promises=("C11",),
        seed=seed,
        what="starts",
        tries=sum(map(len, took.values())),
        bad=len(late),
        bar=f"≤ 1 s with 10^5 jobs, ≤ 3 s with 10^6, or on a slower machine ≤ {BAR_RATIO} times the start on an empty file",
        seconds=seconds,
        control="figures that are over both bars are called late",
        numbers={
            f"{name}_{jobs}": value
            for jobs, walls in took.items()
            for name, value in spread_of(walls).items()
        }
        | {f"ratio_{jobs}": value for jobs, value in ratio.items()},
    )


def spread_of(walls: list[float]) -> dict[str, Number]:
    return {
        "p50_ms": round(statistics.median(walls)),
        "min_ms": round(min(walls)),
        "max_ms": round(max(walls)),
    }
