"""A real server process on a file of its own, and the plainest clients there can be."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

from tests.acceptance.forks import Process, by_command, forked

# Processes under test keep their compiled modules, as any installation does; without them a start takes twice as long.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Below the range that outgoing connections are given ports from, so that none takes the port of a server that restarts.
# Processes that share the tests have a slice of them each.
_SLICE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6
QUIET_PORTS = range(20_000 + 2_000 * _SLICE, 22_000 + 2_000 * _SLICE)


_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, and that this process was not given before."""
    for _ in range(100):
        port = SystemRandom().choice(QUIET_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise AssertionError("no port is free")


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `condition` says once it is true. Another process gives no signal to wait for, so it is asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not in {seconds} s: {what}")


class Server:
    """`jobwire serve`; may be killed and started again on the same file and ports."""

    # Forked, to be quick. Figures that are published are of servers that were started as a user starts them.
    is_forked = "PROOF_FIGURES" not in os.environ

    def __init__(self, folder: Path, *flags: str, storage: str | None = None) -> None:
        self.folder = folder
        self.storage = storage or f"sqlite:///{folder}/jobs.db"
        self.http, self.tcp = free_port(), free_port()
        self._flags = flags
        self._process: Process | None = None

    def start(self) -> Server:
        self.launch()
        until(self._is_ready, 20, f"the server is ready\n{self.log}")
        return self

    def launch(self) -> Process:
        """Start without waiting."""
        arguments = ["serve", "--storage", self.storage, *self._flags, *self.ports]
        return self.run("jobwire_server", arguments)

    @property
    def ports(self) -> list[str]:
        return ["--http-port", str(self.http), "--tcp-port", str(self.tcp)]

    def run(
        self, module: str, arguments: list[str], environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start `python -m module arguments` as this server."""
        start = forked if self.is_forked else by_command
        log = self.folder / "server.log"
        self._process = start(module, arguments, log, environment=environment)
        return self._process

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = 20) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """Whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    @property
    def rss(self) -> int:
        """Bytes of memory that the process has in use now."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server ended\n{self.log}"
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    # --- HTTP ---

    def get(self, path: str) -> tuple[int, Any]:
        return self._request("GET", path, None)

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    # --- TCP ---

    def connect(self) -> Lines:
        return Lines(self.tcp)


class Lines:
    """A connection of JSON lines."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self._file = self.socket.makefile("rb")

    def send(self, **fields: Any) -> None:
        self.socket.sendall(json.dumps(fields).encode() + b"\n")

    def read(self) -> Any:
        line = self.read_line()
        return json.loads(line) if line else None

    def read_line(self) -> bytes:
        """A line as it came; empty at the end."""
        return self._file.readline()

    def call(self, **fields: Any) -> Any:
        self.send(**fields)
        return self.read()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
