"""Processes that start in a tenth of the time: a process that has imported all of the server forks one for each request.

A start by the command costs half a second of processor time, most of it imports, and these tests start hundreds of servers. What is forked is a
process like any other: it has its own files, sockets and memory, it runs the same `__main__`, and kill -9 ends it at any instruction.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

SERVER = Path(__file__).parents[2]
FORKING = "tests.acceptance.forking"


class Launcher:
    """The process that forks, `module`, by way of the command `within`. Ends with the block, and with it whatever it started."""

    def __init__(
        self,
        module: str = FORKING,
        *,
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self._asking = threading.Lock()
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", module],
            cwd=SERVER,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._children: list[Child] = []
        assert self._answer() == {"ready": True}

    def fork(self, request: Mapping[str, Any]) -> Child:
        """See forking.py for what a request has."""
        child = Child(self, self.ask(request)["pid"])
        self._children.append(child)
        return child

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        with self._asking:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks servers has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        for child in self._children:
            child.kill()
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Child:
    """A forked process, with the methods of Popen that tests use."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended_ns = 0  # CLOCK_MONOTONIC, when its end was noticed
        self._launcher = launcher
        self._end = os.pidfd_open(pid)
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        return self._reaped(0)

    def wait(self, timeout: float = 20) -> int:
        code = self._reaped(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a forked process", timeout)
        return code

    def _reaped(self, timeout: float) -> int | None:
        """The exit code, once it has ended. Threads may ask at once; one of them buries it."""
        with self._reaping:
            if self.returncode is None and select.select([self._end], [], [], timeout)[0]:
                self.ended_ns = time.monotonic_ns()
                self.returncode = self._launcher.ask({"reap": self.pid})["exit"]
                os.close(self._end)
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def has_ended(self, seconds: float) -> bool:
        """Whether it ends by itself in this time."""
        return self._reaped(seconds) is not None

    def end_by_sigterm(self) -> int:
        """Tell it to stop and wait for its end; when it was told, in ns of CLOCK_MONOTONIC."""
        told = time.monotonic_ns()
        self.send_signal(signal.SIGTERM)
        self.wait()
        return told

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """And wait until it is gone, which takes no time."""
        self.send_signal(signal.SIGKILL)
        self.wait()


Process = subprocess.Popen[bytes] | Child


@functools.cache
def _launcher() -> Launcher:
    """One for all tests of this process, from the first that needs it."""
    launcher = Launcher()
    atexit.register(launcher.close)
    return launcher


def forked(
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """`python -m module arguments` in the folder of the server, with what it prints at the end of `log`, forked."""
    log.touch()  # who looks at it before the child has opened it
    return _launcher().fork(
        {
            "module": module,
            "arguments": list(arguments),
            "log": str(log.absolute()),
            "cwd": str(SERVER),
            "environment": {**os.environ, **(environment or {})},
        }
    )


def by_command(
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """The same, started as a user would: for what is measured from a start on, and for what must be there before Python is."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=SERVER,
            env={**os.environ, **(environment or {})},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
