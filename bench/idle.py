"""What a server costs that has nothing to do: its memory when fresh, and what connections add on which a pull waits."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load, wire
from bench.server import ServerProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

SETTLE_S = 1.0  # what the start has left behind is done by then
WATCH_S = 5.0
WAIT_MS = 60_000
SPARE_FILES = 256


@dataclass(frozen=True, slots=True)
class Idle:
    fresh_mib: float
    connections: int
    added_mib: float
    cpu_ms_a_second: float  # of the server, while all of them wait

    def key_figures(self) -> dict[str, float]:
        return {"idle_mib": self.fresh_mib, "idle_conns_mib": self.added_mib}


def measure(folder: Path, connections: int) -> Idle:
    allow_files(connections + SPARE_FILES)
    with ServerProcess(folder, "idle") as server:
        time.sleep(SETTLE_S)
        fresh = server.rss_mib()
        with waiting(("127.0.0.1", server.tcp), connections):
            time.sleep(SETTLE_S)
            cpu, began = server.cpu_s(), time.perf_counter()
            time.sleep(WATCH_S)
            used = (server.cpu_s() - cpu) / (time.perf_counter() - began)
            added = server.rss_mib() - fresh
    return Idle(round(fresh, 1), connections, round(added, 1), round(used * 1_000, 1))


@contextmanager
def waiting(address: load.Address, count: int) -> Iterator[None]:
    """Connections with a pull each that waits on an empty queue; the last one has been heard when this yields."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(load.connect(address))
            opened[-1].sendall(wire.line(cmd="pull", queue="idle", wait_ms=WAIT_MS))
        yield
        answered = [one for one in opened if _has_input(one)]
        if answered:
            raise RuntimeError(f"{len(answered)} of {count} pulls did not wait")
    finally:
        for one in opened:
            one.close()


def _has_input(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    return True


def allow_files(count: int) -> None:
    """Raise the limit on open files for this process and the servers that it starts; they inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise RuntimeError(f"{count} open files are needed and {hard} are allowed: ulimit -n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
