"""
RustQueue's benchmark against a Jobwire server: jobs a second to produce, to consume and end to end.

The clients are plain blocking sockets in this process, so what is measured is the server and the wire, not an SDK.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

DATA = {"to": "someone@example.com", "subject": "hello", "n": 123456}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Client(Protocol):
    """One connection, one call at a time."""

    def call(self, command: str, fields: dict[str, Any]) -> dict[str, Any]: ...

    def close(self) -> None: ...


class Tcp:
    """JSON lines."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")

    def call(self, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        self._socket.sendall(line(command, fields))
        return ok(json.loads(self._lines.readline()))

    def pipeline(self, lines: list[bytes]) -> None:
        """Send all lines while reading as many answers."""
        self._socket.sendall(b"".join(lines))
        for _ in lines:
            ok(json.loads(self._lines.readline()))

    def close(self) -> None:
        self._socket.close()


class Http:
    """One kept connection."""

    ROUTES: ClassVar = {
        "push": "/queues/{queue}/jobs",
        "push_batch": "/queues/{queue}/jobs/batch",
        "pull": "/queues/{queue}/pull",
        "ack": "/jobs/{id}/ack",
        "ack_batch": "/jobs/ack",
    }

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        route = self.ROUTES[command]
        path = "/api/v1" + route.format(**fields)
        body = {name: value for name, value in fields.items() if f"{{{name}}}" not in route}
        self._connection.request(
            "POST", path, json.dumps(body), {"Content-Type": "application/json"}
        )
        return ok(json.loads(self._connection.getresponse().read()))

    def close(self) -> None:
        self._connection.close()


def line(command: str, fields: dict[str, Any]) -> bytes:
    return json.dumps({"cmd": command, **fields}, separators=(",", ":")).encode() + b"\n"


def ok(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.get("ok"):
        raise SystemExit(f"the server answered {answer}")
    return answer


# --- what is measured ----------------------------------------------------------------------------------------------


def produce(client: Client, queue: str, jobs: int, batch: int) -> None:
    job = {"name": "bench", "data": DATA}
    for _ in range(jobs // batch):
        if batch == 1:
            client.call("push", {"queue": queue, **job})
        else:
            client.call("push_batch", {"queue": queue, "jobs": [job] * batch})


def consume(client: Client, queue: str, jobs: int, batch: int) -> None:
    taken = 0
    while taken < jobs:
        answer = client.call("pull", {"queue": queue, "count": batch})
        pulled = [answer["job"]] if batch == 1 else answer["jobs"]
        items = [{"id": job["id"], "lease": job["lease"]} for job in pulled]
        if batch == 1:
            client.call("ack", items[0])
        else:
            client.call("ack_batch", {"items": items})
        taken += len(pulled)


def end_to_end(client: Client, queue: str, jobs: int, batch: int) -> None:
    for _ in range(jobs // batch):
        produce(client, queue, batch, batch)
        consume(client, queue, batch, batch)


def pipelined(client: Client, queue: str, jobs: int, batch: int) -> None:
    """Single pushes, `batch` of them on the way at a time."""
    assert isinstance(client, Tcp)
    push = line("push", {"queue": queue, "name": "bench", "data": DATA})
    for _ in range(jobs // batch):
        client.pipeline([push] * batch)


Measure = Callable[[Client, str, int, int], None]


def rows(jobs: int) -> Iterator[tuple[str, str, int, list[tuple[str, Measure]], int]]:
    """(door, what, batch, steps, jobs); single calls pay a round trip and an fsync each, so they get fewer jobs."""
    for door in ("tcp", "http"):
        yield door, "produce", 50, [("produce", produce), ("consume", consume)], jobs
        yield door, "end to end", 50, [("end to end", end_to_end)], jobs
        yield door, "produce", 1, [("produce", produce), ("consume", consume)], max(jobs // 20, 1)
    yield "tcp", "pipelined", 500, [("pipelined singles", pipelined)], jobs


def measure(
    connect: dict[str, Callable[[], Client]], jobs: int
) -> list[tuple[str, str, int, int, float]]:
    results = []
    for door, _, batch, steps, count in rows(jobs):
        client = connect[door]()
        queue = f"bench-{door}-{batch}-{len(results)}"
        for name, step in steps:
            began = time.perf_counter()
            step(client, queue, count, batch)
            results.append((door, name, batch, count, count / (time.perf_counter() - began)))
        client.close()
    return results


# --- the server and the table --------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(storage: str) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """A server of its own, stopped at the end: (tcp address, http address)."""
    tcp, web = free_port(), free_port()
    command = [sys.executable, "-m", "jobwire_server", "serve", "--storage", storage]
    command += ["--tcp-port", str(tcp), "--http-port", str(web), "--log-level", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(tcp, process)
        yield ("127.0.0.1", tcp), ("127.0.0.1", web)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start in 20 s")


def fsync_ms(folder: Path) -> float:
    """The p50 of an fsync after a small write, in ms."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if host not in LOOPBACK:
        raise argparse.ArgumentTypeError(
            "a benchmark sends its load to this machine only: use 127.0.0.1:PORT"
        )
    return host, int(port)


def report(results: list[tuple[str, str, int, int, float]], note: str) -> None:
    print(f"\n{note}\n\n{'door':<6}{'what':<20}{'batch':>6}{'jobs':>9}{'jobs/s':>12}")
    for door, name, batch, count, rate in results:
        print(f"{door:<6}{name:<20}{batch:>6}{count:>9,}{rate:>12,.0f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=20_000, help="jobs a cell, a multiple of 500")
    options.add_argument(
        "--storage", help="storage URL of the server that is started (default: a fresh SQLite file)"
    )
    options.add_argument("--tcp", type=address, help="measure a running server: its TCP address")
    options.add_argument("--http", type=address, help="and its HTTP address")
    chosen = options.parse_args()
    jobs = max(chosen.jobs // 500, 1) * 500
    with tempfile.TemporaryDirectory() as folder:
        machine = (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        note = f"{machine}, fsync p50 {fsync_ms(Path(folder)):.2f} ms"
        if chosen.tcp and chosen.http:
            connect = {"tcp": lambda: Tcp(*chosen.tcp), "http": lambda: Http(*chosen.http)}
            report(measure(connect, jobs), f"{note}, server at {chosen.tcp}")
            return
        storage = chosen.storage or f"sqlite:///{folder}/bench.db"
        with server(storage) as (tcp, web):
            own: dict[str, Callable[[], Client]] = {
                "tcp": lambda: Tcp(*tcp),
                "http": lambda: Http(*web),
            }
            report(measure(own, jobs), f"{note}, {storage.split(':')[0]}, synchronous=FULL")


if __name__ == "__main__":
    main()
