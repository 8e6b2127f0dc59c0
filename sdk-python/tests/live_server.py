"""A real `jobwire serve` on 127.0.0.1, on ports that are free, keeping nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).parent / "jobwire"


@dataclass(frozen=True)
class LiveServer:
    """Where it listens."""

    http_port: int
    tcp_port: int

    def url(self, scheme: str) -> str:
        port = self.tcp_port if scheme == "tcp" else self.http_port
        return f"{scheme}://127.0.0.1:{port}"


@contextmanager
def live_server(*options: str) -> Iterator[LiveServer]:
    """Start it, and stop it with SIGTERM; it must then end with 0."""
    command = [
        str(COMMAND),
        *("serve", "--storage", "memory://", "--http-port", "0", "--tcp-port", "0"),
        *("--log-format", "json", *options),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    # A server whose log nobody reads stops when the pipe is full; the last lines tell why it failed.
    last: deque[str] = deque(maxlen=100)
    reader = threading.Thread(target=last.extend, args=(process.stdout,), name="live-server-log")
    try:
        running = _started(process)
        reader.start()
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
            if reader.ident is not None:
                reader.join()
            process.stdout.close()
    assert process.returncode == 0, "".join(last)


def _started(process: subprocess.Popen[str]) -> LiveServer:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "server.started":
            return LiveServer(event["http"], event["tcp"])
    raise AssertionError("the server did not start:\n" + "".join(said))
