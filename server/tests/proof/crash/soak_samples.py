"""What a long life does to a process and its files: samples, and the rules that tell growth from noise."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from tests.proof.crash.moments import Victim

MIB = 1024 * 1024
LEAK_PER_HOUR = MIB
NOISE_BYTES = MIB  # what an allocator may take after the warm-up without being a leak
LEAST_FITTED_S = 120  # a shorter life is still filling its caches
CACHES_BYTES = (
    2 * 32 * MIB
)  # of SQLite, one each for the writer and the reader; they fill with what is used
CEILING_BYTES = 256 * MIB  # of any life, long or short
LEAST_SAMPLES = 8
MOST_FITTED = 300  # samples of one life; more say nothing more, and pairs are quadratic
FLAT_WITHIN = 6  # descriptors and threads
GROWTH = 1.25  # of a file whose content stays the same, between the two halves of a run
LEAST_FILE = 24 * MIB  # below which a file has not come to its size yet
WAL_BYTES = 48 * MIB  # a checkpoint comes at 16 MiB; a loaded machine is late

Series = Sequence[tuple[float, float]]  # (s, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    life: int  # the number of the process
    age: float  # of the process, s
    at: float  # s since the beginning of the run
    rss: int
    fds: int
    threads: int
    file_bytes: int
    wal_bytes: int


class Sampler:
    """Takes samples on a thread of its own while the load is on."""

    def __init__(self, server: Victim, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._server = server
        self._every_s = every_s
        self._began = time.monotonic()
        self._pid, self._born, self._life = 0, 0.0, 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._run, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self._every_s):
            if self._server.is_alive:
                self._look()

    def _look(self) -> None:
        pid, now = self._server.pid, time.monotonic()
        if pid != self._pid:
            self._pid, self._born, self._life = pid, now, self._life + 1
        try:
            seen = _process(pid)
        except (FileNotFoundError, ProcessLookupError):  # killed while this looked
            return
        self.samples.append(
            Sample(
                life=self._life,
                age=now - self._born,
                at=now - self._began,
                file_bytes=_size(self._server.folder / "jobs.db"),
                wal_bytes=_size(self._server.folder / "jobs.db-wal"),
                **seen,
            )
        )


def _process(pid: int) -> dict[str, int]:
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    if "VmRSS" not in status:  # a zombie
        raise ProcessLookupError(pid)
    return {
        "rss": int(status["VmRSS"].split()[0]) * 1024,
        "fds": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# ── Rules ──


def lives(samples: Sequence[Sample], warm_up_s: float) -> list[list[Sample]]:
    """The samples after the warm-up, of every process that lived long enough to judge."""
    found: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.age >= warm_up_s:
            found[sample.life].append(sample)
    return [life for life in found.values() if len(life) >= LEAST_SAMPLES]


def slope(series: Series) -> float:
    """Growth a second: the median of the slopes of all pairs, which single peaks do not move (Theil–Sen)."""
    kept = series[:: max(1, len(series) // MOST_FITTED)]
    return statistics.median((v - u) / (t - s) for (s, u), (t, v) in combinations(kept, 2) if t > s)


def settled(life: Sequence[Sample]) -> Series:
    """The memory in the second half of a life, when caches are as full as they get; empty for a short life."""
    ends = life[-1].age
    if ends < LEAST_FITTED_S:
        return []
    return [(each.age, each.rss) for each in life if each.age >= ends / 2]


def room_in_caches(life: Sequence[Sample], series: Series) -> float:
    """How much the caches of a process may still take, in bytes, when its memory begins to be judged."""
    return max(0.0, life[0].rss + CACHES_BYTES - series[0][1])


def leaks(series: Series, room: float = 0.0) -> bool:
    """Whether memory grows faster than is allowed, and by more than noise and `room` in the time that was looked at."""
    rate, span = slope(series), series[-1][0] - series[0][0]
    return rate * 3_600 > LEAK_PER_HOUR and rate * span > NOISE_BYTES + room


def is_flat(values: Sequence[float]) -> bool:
    """Whether the last third is where the first third was."""
    third = max(1, len(values) // 3)
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    return last - first <= FLAT_WITHIN


def is_bounded(sizes: Sequence[float]) -> bool:
    """Whether the second half of a run needed no more than the first."""
    half = len(sizes) // 2
    return max(sizes[half:]) <= max(LEAST_FILE, GROWTH * max(sizes[:half]))


def growths(samples: Sequence[Sample], warm_up_s: float) -> list[str]:
    """Everything that grows and should not, in words."""
    found = []
    for life in lives(samples, warm_up_s):
        series = settled(life)
        is_leaking = bool(series) and leaks(series, room_in_caches(life, series))
        if is_leaking or max(each.rss for each in life) > CEILING_BYTES:
            found.append(f"the memory of process {life[0].life} grows")
        if not is_flat([each.fds for each in life]):
            found.append(f"the descriptors of process {life[0].life} grow")
        if not is_flat([each.threads for each in life]):
            found.append(f"the threads of process {life[0].life} grow")
    if not is_bounded([each.file_bytes for each in samples]):
        found.append("the file grows")
    if max(each.wal_bytes for each in samples) > WAL_BYTES:
        found.append("the WAL grows")
    return found
