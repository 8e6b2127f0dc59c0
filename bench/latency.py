"""
Latency at a fixed rate of arrivals, for single jobs: of a push, and from a push to the answer of a pull that waits.

Arrivals are planned ahead (Poisson, seeded), sent when their time has come whatever is still unanswered, and counted from that
planned time. The rate is half of what a closed loop of 16 connections was just measured to reach on the same server.
"""

from __future__ import annotations

import random
import select
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bench import load, wire
from bench.figures import percentile, since_intended, summary_ms
from bench.load import Address, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 16
LOAD_SHARE = 0.5
CALIBRATION_JOBS = 3_200
LEAD_S = 0.05  # before the first arrival
LIMIT_S = 60.0  # after the last one
# A waiting pull ends with nothing after this long, and is asked anew.
WAIT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Latency:
    """`late_ms` is how late the client itself was at p99: no figure here is finer than that."""

    what: str
    rate: float
    calls: int
    late_ms: float
    ms: dict[str, float]


class _Mark(msgspec.Struct):
    n: int


class _Marked(msgspec.Struct):
    id: str
    data: _Mark
    lease: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Woken(msgspec.Struct):
    ok: bool
    job: _Marked | None = None


_read = msgspec.json.Decoder(_Woken).decode


def measure(address: Address, seconds: float, seed: int) -> list[Latency]:
    """Both figures, each at half of its own capacity."""
    found = []
    for what, cell, test in (("push", "produce", Pushes), ("wake", "e2e", Wakes)):
        work = Work(cell, "tcp", CONNECTIONS, 1, CALIBRATION_JOBS, f"calibrate-{what}")
        rate = LOAD_SHARE * CALIBRATION_JOBS / load.run(address, work).seconds
        loop = test(address, f"latency-{what}", arrivals(rate, seconds, seed))
        found.append(loop.run(what, rate))
    return found


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When callers come, in seconds from the start: a Poisson process of this rate, the same for the same seed."""
    chance, at, planned = random.Random(seed), 0.0, []
    while (at := at + chance.expovariate(rate)) < seconds:
        planned.append(at)
    return planned


class _Line:
    """A connection and the begin of a line that has arrived on it."""

    def __init__(self, address: Address) -> None:
        self.socket = load.connect(address)
        self.waiting: deque[int] = deque()  # pushes that are not answered, in order
        self._begun = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def lines(self) -> Sequence[bytes]:
        """Read once; the lines that are whole."""
        data = self.socket.recv(load.RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        *lines, self._begun = (self._begun + data).split(b"\n")
        return lines


class OpenLoop(ABC):
    """Sends as planned and notes when each arrival was served. One thread: waits for the next arrival or for an answer."""

    def __init__(self, address: Address, queue: str, planned: Sequence[float]) -> None:
        self._queue = queue
        self._planned = planned
        self._sent = [0.0] * len(planned)
        self._served = [0.0] * len(planned)
        self._open = len(planned)
        self._pushers = [_Line(address) for _ in range(CONNECTIONS)]
        self._lines = list(self._pushers)

    def run(self, what: str, rate: float) -> Latency:
        try:
            began = time.perf_counter() + LEAD_S
            self._loop([began + offset for offset in self._planned])
        finally:
            for line in self._lines:
                line.socket.close()
        intended = [began + offset for offset in self._planned]
        late = percentile(since_intended(intended, self._sent), 99) * 1_000
        latencies = since_intended(intended, self._served)
        return Latency(what, round(rate), len(intended), round(late, 3), summary_ms(latencies))

    def _loop(self, intended: Sequence[float]) -> None:
        following = 0
        give_up = intended[-1] + LIMIT_S
        while self._open:
            now = time.perf_counter()
            while following < len(intended) and intended[following] <= now:
                self._send(following)
                following += 1
            wait = intended[following] - time.perf_counter() if following < len(intended) else 1.0
            if now > give_up:
                raise TimeoutError(f"{self._open} of {len(intended)} arrivals were not served")
            ready, _, _ = select.select(self._lines, (), (), max(0.0, wait))
            for line in ready:
                self._receive(line)

    def _send(self, number: int) -> None:
        line = self._pushers[number % CONNECTIONS]
        line.waiting.append(number)
        line.socket.sendall(
            b'{"cmd":"push","queue":"%b","name":"bench","data":{"n":%d}}\n'
            % (self._queue.encode(), number)
        )
        self._sent[number] = time.perf_counter()

    @abstractmethod
    def _receive(self, line: _Line) -> None:
        """Read what has arrived, and serve the arrivals that it answers."""

    def _serve(self, number: int) -> None:
        self._served[number] = time.perf_counter()
        self._open -= 1


class Pushes(OpenLoop):
    """A push is served when its answer is here."""

    def _receive(self, line: _Line) -> None:
        for answer in line.lines():
            wire.checked(answer)
            self._serve(line.waiting.popleft())


class Wakes(OpenLoop):
    """A push is served when a pull that waited on another connection has its job; that worker acks and waits again."""

    def __init__(self, address: Address, queue: str, planned: Sequence[float]) -> None:
        super().__init__(address, queue, planned)
        self._pull = wire.line(cmd="pull", queue=queue, wait_ms=WAIT_MS)
        self._workers = {_Line(address) for _ in range(CONNECTIONS)}
        self._lines += self._workers
        for worker in self._workers:
            worker.socket.sendall(self._pull)

    def _receive(self, line: _Line) -> None:
        for answer in line.lines():
            if line not in self._workers:
                wire.checked(answer)
            else:
                self._work(line, answer)

    def _work(self, line: _Line, answer: bytes) -> None:
        woken = _read(answer)
        if not woken.ok:
            raise RuntimeError(f"the server refused: {answer[:500]!r}")
        if woken.job is not None:
            self._serve(woken.job.data.n)
            ack = wire.DOORS["tcp"].ack([wire.Held(woken.job.id, woken.job.lease)])
            line.socket.sendall(ack + self._pull)
        elif b'"job":' in answer:  # the wait ran out
            line.socket.sendall(self._pull)
