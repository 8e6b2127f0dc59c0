"""
What depth costs: the same calls on a queue of 10^3 and on one of 10^6 waiting jobs, and how long a server takes to start on them.

Two servers with a file each, measured call by call in turn. What a pull took is acked and pushed again outside of the clock, so
that both queues keep their depth.
"""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load, wire
from bench.load import Address, Channel, Work
from bench.processes import OneProcess
from bench.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHALLOW_JOBS = 1_000
SEED_BATCH = 1_000
QUEUE = "depth"
HELLO = wire.line(cmd="hello", v=[2])
TCP = wire.DOORS["tcp"]


@dataclass(frozen=True, slots=True)
class Cost:
    """p50 of one call at both depths, in ms."""

    what: str
    calls: int
    shallow_ms: float
    deep_ms: float

    @property
    def ratio(self) -> float:
        return self.deep_ms / self.shallow_ms


@dataclass(frozen=True, slots=True)
class Depth:
    jobs: int
    seed_s: float
    starts_s: list[float]  # a clean stop before each
    file_mib: float
    costs: list[Cost]

    def key_figures(self) -> dict[str, float]:
        pulls = [cost.ratio for cost in self.costs if cost.what.startswith("pull")]
        return {"depth_ratio": max(pulls), "start_s": statistics.median(self.starts_s)}


def measure(folder: Path, jobs: int, calls: int, starts: int) -> Depth:
    shallow, deep = ServerProcess(folder, "shallow"), ServerProcess(folder, "deep")
    began = time.perf_counter()
    with deep:
        _fill(deep, jobs)
    seed_s = time.perf_counter() - began
    started = [_start(deep) for _ in range(starts)]
    with shallow, deep:
        _fill(shallow, SHALLOW_JOBS)
        costs = _costs(shallow, deep, calls)
    size = deep.database.stat().st_size / 1024 / 1024
    return Depth(jobs, round(seed_s, 1), started, round(size), costs)


def _fill(server: ServerProcess, jobs: int) -> None:
    work = Work("produce", "tcp", 1, SEED_BATCH, jobs, QUEUE)
    with OneProcess() as client:
        client.call(load.run, ("127.0.0.1", server.tcp), work)


def _start(server: ServerProcess) -> float:
    seconds = server.start()
    server.stop()
    return seconds


def _costs(shallow: ServerProcess, deep: ServerProcess, calls: int) -> list[Cost]:
    with _caller(shallow) as low, _caller(deep) as high:
        return [
            _compare("pull of 1", calls, low.pull(1), high.pull(1)),
            _compare("pull of 10", calls // 2, low.pull(10), high.pull(10)),
            _compare("find by name, 50 found", calls // 2, low.find("bench"), high.find("bench")),
            _compare("find by name, none found", calls // 4, low.find("none"), high.find("none")),
            _compare("stats", calls, low.stats, high.stats),
        ]


def _compare(what: str, calls: int, low: Callable[[], float], high: Callable[[], float]) -> Cost:
    """In turn, after a few calls that are not counted."""
    pairs = [(low(), high()) for _ in range(calls + calls // 10)][calls // 10 :]
    shallow, deep = (statistics.median(side) * 1_000 for side in zip(*pairs, strict=True))
    return Cost(what, calls, round(shallow, 3), round(deep, 3))


@contextmanager
def _caller(server: ServerProcess) -> Iterator[_Caller]:
    caller = _Caller(("127.0.0.1", server.tcp))
    try:
        yield caller
    finally:
        caller.close()


class _Caller:
    """One connection for the calls of wire 1, and one of wire 2 for find."""

    def __init__(self, address: Address) -> None:
        self._one, self._two = Channel(address, TCP), Channel(address, TCP)
        self._say(self._two, HELLO)

    def close(self) -> None:
        self._one.socket.close()
        self._two.socket.close()

    def pull(self, count: int) -> Callable[[], float]:
        request, again = TCP.pull(QUEUE, count), TCP.push(QUEUE, count)

        def timed() -> float:
            seconds, answer = self._timed(self._one, request)
            held = [answer.job] if answer.job is not None else answer.jobs
            self._say(self._one, TCP.ack(held))
            self._say(self._one, again)
            return seconds

        return timed

    def find(self, name: str) -> Callable[[], float]:
        """Jobs that wait in the queue and have this name; a page is bounded in the rows that it looks at."""
        request = wire.line(cmd="find", queue=QUEUE, state=["waiting"], name=name, limit=50)
        return lambda: self._timed(self._two, request)[0]

    def stats(self) -> float:
        return self._timed(self._one, wire.line(cmd="stats", queue=QUEUE))[0]

    def _timed(self, channel: Channel, request: bytes) -> tuple[float, wire.Answer]:
        began = time.perf_counter()
        channel.send(request)
        body = channel.answer()
        return time.perf_counter() - began, wire.checked(body)

    def _say(self, channel: Channel, request: bytes) -> None:
        self._timed(channel, request)
