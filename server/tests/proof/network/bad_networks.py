"""T14: SDK workers behind a network that swallows, delays, trickles and resets, and the connections that are left half open."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.acceptance.processes import until
from tests.proof.crash.traffic import TcpLink
from tests.proof.launched import Launched, launched
from tests.proof.network.hands import LOST
from tests.proof.network.proxy import OPEN, Proxy, Way
from tests.proof.network.sdk_load import Consumer, Threaded, handled_again

LEASE_S: Final = 3.0
HEARTBEAT_S: Final = LEASE_S / 3
BACK_IN_S: Final = HEARTBEAT_S + 2.0
GIVES_UP_IN_S: Final = 12.0  # waiting for a worker that does not come back
HELD: Final = 2  # jobs that a worker holds while it also waits in a pull
MEANWHILE: Final = (0, 3)  # jobs that come while the network is bad
SETTINGS: Final = f"[jobs]\nlease_ms = {round(LEASE_S * 1_000)}\n"

IDLE_S: Final = 2.0
READ_S: Final = 3.0
WAIT_S: Final = 4.0  # of a pull on a connection that dies; longer than the idle timeout

HOLE: Final = Way(hole=True)
SLOW: Final = Way(delay_s=2.0)
TRICKLE: Final = Way(piece=1)
RESETS: Final = Way(reset_share=0.4)


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does for how long; `seconds` are drawn from the range."""

    name: str
    seconds: tuple[float, float]
    up: Way = OPEN
    down: Way = OPEN


WEATHERS: Final = (
    Weather("hole up", (0.5, 2.0), up=HOLE),
    Weather("hole down", (0.5, 2.0), down=HOLE),
    Weather("hole", (0.5, 4.0), up=HOLE, down=HOLE),
    Weather("slow", (3.0, 4.0), up=SLOW, down=SLOW),
    Weather("trickle", (1.5, 2.5), up=TRICKLE, down=TRICKLE),
    Weather("resets", (1.5, 2.5), up=RESETS, down=RESETS),
)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one worker in one weather."""

    name: str
    back_s: float  # from the heal to its next job; infinite when there was none
    touched: int  # connections, bytes or pieces that the network did something to
    again: int = 0  # jobs that were handled more than once
    unfinished: int = 0


class NaivePuller(Threaded):
    """The control: waits for the answer of its pull for ever."""

    def __init__(self, port: int, queue: str) -> None:
        super().__init__()
        self.queues = [queue]
        self._queue = queue
        self._link = TcpLink(port)
        self.runs: list[Any] = []

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                job = self._link.call("pull", queue=self._queue, wait_ms=500)["job"]
                if job is not None:
                    self._link.call("ack", id=job["id"], lease=job["lease"])
                    self.runs.append(job["id"])
        except LOST:
            return  # its connection was ended under it, at last
        finally:
            self._link.close()


def try_weather(
    server: Launched, kind: str, door: str, weather: Weather, meanwhile: int, seed: object
) -> Outcome:
    """One worker that holds jobs and waits for more, under one weather, until it has done everything."""
    name = f"{kind}-{door}-{weather.name}-{meanwhile}"
    queue, chance = name.replace(" ", "-"), random.Random(f"{seed}-{name}")
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.port(door), f"{seed}-{name}"))
        worker = stack.enter_context(
            Consumer(
                kind,
                f"{door}://127.0.0.1:{proxy.port}",
                [queue],
                lease=LEASE_S,
                concurrency=HELD + 4,
                timeout=3.0,
            )
        )
        seconds = chance.uniform(*weather.seconds)
        push(server, queue, HELD, seconds + 1)
        until(lambda: len(worker.runs) == HELD, 15, f"{name} holds its jobs")
        outcome = suffered(server, proxy, worker, weather, seconds, meanwhile)
        finish(server, queue, worker, outcome)
    outcome.name = name
    return outcome


def suffered(
    server: Launched,
    proxy: Proxy,
    worker: Consumer,
    weather: Weather,
    seconds: float,
    meanwhile: int,
) -> Outcome:
    [queue] = worker.queues
    proxy.set(up=weather.up, down=weather.down)
    time.sleep(seconds / 2)  # the bad weather
    push(server, queue, meanwhile, 0)
    time.sleep(seconds / 2)
    proxy.set()
    healed = time.monotonic()
    [probe] = push(server, queue, 1, 0)
    back = time_until(worker, probe, healed)
    return Outcome(name="", back_s=back, touched=touched(proxy, weather))


def time_until(worker: Consumer, job_id: str, since: float) -> float:
    try:
        found = until(
            lambda: [run for run in list(worker.runs) if run.job_id == job_id],
            GIVES_UP_IN_S,
            "the worker consumes again",
        )
    except AssertionError:
        return float("inf")
    return float(found[0].began - since)


def touched(proxy: Proxy, weather: Weather) -> int:
    if HOLE in (weather.up, weather.down):
        return proxy.dropped
    return proxy.resets if weather.up is RESETS else proxy.connections


def finish(server: Launched, queue: str, worker: Consumer, outcome: Outcome) -> None:
    """Every job ends; none is lost, and those handled again are counted."""
    counts = server.wait_until_done(queue, 20)
    outcome.unfinished = sum(counts.values()) - counts["failed"] - counts["completed"]
    outcome.again = len(handled_again([worker]))


def push(server: Launched, queue: str, count: int, seconds: float) -> list[str]:
    jobs = [
        {"name": "proof", "data": {"seconds": seconds, "stubborn": False}} for _ in range(count)
    ]
    ids: list[str] = server.post(f"/queues/{queue}/jobs/batch", {"jobs": jobs})[1]["ids"]
    return ids


# ── Connections that are left half open ──


@dataclass(slots=True)
class Freed:
    """How the server dealt with connections whose peers are gone without a word."""

    opened: int
    left: int = 0
    took_s: float = 0.0
    bound_s: float = WAIT_S + IDLE_S + 3.0  # the wheel of deadlines turns once a second


def half_open(folder: Path, each: int, *, idle_s: float = IDLE_S) -> Freed:
    """Idle ones, ones that wait in a pull, ones in the middle of a line or of a header; then nothing comes from them any more."""
    timeouts = {"idle_timeout_ms": idle_s, "read_timeout_ms": READ_S}
    settings = "".join(f"{name} = {round(value * 1_000)}\n" for name, value in timeouts.items())
    with (
        launched(folder, settings=f"[server]\n{settings}") as server,
        Proxy(server.tcp) as tcp,
        Proxy(server.http) as http,
    ):
        before = server.sockets
        clients = [*idle(tcp, each), *waiting(tcp, each), *begun(tcp, http, each)]
        freed = Freed(opened=len(clients))
        assert server.sockets > before + each, "they were open"
        for proxy in (tcp, http):
            proxy.set(up=HOLE, down=HOLE)
        began = time.monotonic()
        for client in clients:
            client.close()  # which nobody is told
        wait_until_freed(server, before, freed)
        freed.took_s = time.monotonic() - began
        return freed


def wait_until_freed(server: Launched, before: int, freed: Freed) -> None:
    try:
        until(lambda: server.sockets <= before, freed.bound_s, "the server freed them")
    except AssertionError:
        freed.left = server.sockets - before


def idle(proxy: Proxy, count: int) -> Iterator[socket.socket]:
    for _ in range(count):
        yield said(proxy, b'{"cmd":"ping"}\n')


def waiting(proxy: Proxy, count: int) -> Iterator[socket.socket]:
    pull = b'{"cmd":"pull","queue":"nothing","wait_ms":%d}\n' % round(WAIT_S * 1_000)
    for _ in range(count):
        yield said(proxy, b'{"cmd":"ping"}\n' + pull)


def begun(tcp: Proxy, http: Proxy, count: int) -> Iterator[socket.socket]:
    for _ in range(count):
        yield said(tcp, b'{"cmd":"ping"}\n{"cmd":"pu')
        yield said(http, b"POST /api/v1/pull HTTP/1.1\r\nHo", wait=False)


def said(proxy: Proxy, data: bytes, *, wait: bool = True) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), 10)
    client.sendall(data)
    assert not wait or client.recv(100)
    return client
