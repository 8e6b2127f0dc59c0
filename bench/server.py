"""A real server process on a file of its own, and what it uses of the machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0

# What runs a server; a control or the profiler puts its own launcher in its place.
LAUNCHER = ("-m", "jobwire_server")


class ServerProcess:
    """`jobwire serve` with synchronous=FULL, the default. A context manager: started on entering, stopped on leaving."""

    def __init__(
        self, folder: Path, name: str = "server", launcher: tuple[str, ...] = LAUNCHER
    ) -> None:
        self.database = folder / f"{name}.db"
        self.tcp, self.http = free_port(), free_port()
        self._log = folder / f"{name}.log"
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Start, and wait for the first answer; the seconds that this took."""
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_for_answer()
        except BaseException:
            self._kill()
            raise
        return time.perf_counter() - began

    def stop(self) -> None:
        """Drain and end; kill what does not."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._kill()
            raise
        finally:
            self._process = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def cpu_s(self) -> float:
        """CPU seconds, of the user and the system, that the process has used so far."""
        fields = (self._proc / "stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        pages = int((self._proc / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    @property
    def _proc(self) -> Path:
        """What Linux says of the process."""
        return Path("/proc", str(self.pid))

    def _command(self) -> list[str]:
        flags = ["--tcp-port", str(self.tcp), "--http-port", str(self.http)]
        storage = ["--storage", f"sqlite:///{self.database}"]
        return [sys.executable, *self._launcher, "serve", *storage, *flags, "--log-level", "error"]

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self._running().poll() is not None:
                raise RuntimeError(f"the server ended:\n{self._log.read_text()}")
            if answers(self.tcp):
                return
            time.sleep(0.005)
        raise RuntimeError(f"no answer in {START_LIMIT_S} s:\n{self._log.read_text()}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    def _kill(self) -> None:
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session, so its pid is its group's
        process.wait(STOP_LIMIT_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether the server behind the TCP port has answered a question about a queue, so that its store is open."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as probe:
            probe.sendall(b'{"cmd":"stats","queue":"start"}\n')
            return b'"ok":true' in probe.recv(4096)
    except OSError:
        return False
