"""Real servers under the shim: a process that has imported all of the server forks one for each request.

So a server starts in a tenth of a second, and hundreds of starts with another fault each fit in a minute.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.acceptance.processes import Server, until

SERVER = Path(__file__).parents[3]
SOURCE = Path(__file__).with_name("shim.c")
FAIL_WRITE, FAIL_SYNC, FAIL_TRUNCATE = 1, 2, 4  # as in shim.c
FOREVER = 1 << 40


def build(folder: Path) -> Path:
    """Compile the shim into this folder."""
    target = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(target), str(SOURCE), "-ldl"], check=True)
    return target


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """From call `first` to `last` of these kinds answer with `error`. The default counts calls and fails none."""

    first: int = FOREVER
    last: int = FOREVER
    error: int = errno.EIO
    kinds: int = FAIL_WRITE | FAIL_SYNC | FAIL_TRUNCATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a server is started with besides its arguments; see changes.py for `changes`."""

    io_log: Path | None = (
        None  # where the shim notes what is done to the files; None: it stays asleep
    )
    fault: Fault = field(default_factory=Fault)
    changes: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)  # JOBWIRE_… by name
    cwd: Path = Path("/")


class Launcher:
    """The process that forks servers, by way of the command `within`. Ends with the block, and with it whatever it started."""

    def __init__(self, shim: Path | None = None, within: Sequence[str] = ()) -> None:
        preload = {} if shim is None else {"LD_PRELOAD": str(shim)}
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.proof.power.forking"],
            cwd=SERVER,
            env={**os.environ, **preload},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._children: list[Child] = []
        assert self._answer() == {"ready": True}

    def fork(self, arguments: list[str], log: Path, files: Path, plan: Plan) -> Child:
        request = {
            "arguments": arguments,
            "log": str(log),
            "files": str(files),
            "io_log": plan.io_log and str(plan.io_log),
            "fault": asdict(plan.fault),
            "changes": dict(plan.changes),
            "settings": dict(plan.settings),
            "cwd": str(plan.cwd),
        }
        child = Child(self, self.ask(request)["pid"])
        self._children.append(child)
        return child

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
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
    """A forked server, with the methods of Popen that `Server` uses."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended_ns = 0  # CLOCK_MONOTONIC, when its end was noticed
        self._launcher = launcher
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self.returncode if self.returncode is not None else self._reaped(0)

    def wait(self, timeout: float = 20) -> int:
        code = self.returncode if self.returncode is not None else self._reaped(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a forked server", timeout)
        return code

    def _reaped(self, timeout: float) -> int | None:
        if not select.select([self._end], [], [], timeout)[0]:
            return None
        self.ended_ns = time.monotonic_ns()
        code: int = self._launcher.ask({"reap": self.pid})["exit"]
        os.close(self._end)
        self.returncode = code
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def has_ended(self, seconds: float) -> bool:
        """Whether it ends by itself in this time."""
        return self.returncode is not None or self._reaped(seconds) is not None

    def end_by_sigterm(self) -> int:
        """Tell it to stop and wait for its end; when it was told, in ns of CLOCK_MONOTONIC."""
        told = time.monotonic_ns()
        self.send_signal(signal.SIGTERM)
        self.wait()
        return told

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        self.wait()


class WatchedServer(Server):
    """`jobwire serve` with its store in `folder/store` or at `database`, forked by a launcher according to a plan."""

    def __init__(
        self, folder: Path, launcher: Launcher, plan: Plan, database: Path | None = None
    ) -> None:
        self.database = folder / "store" / "jobs.db" if database is None else database
        (folder / "store").mkdir(parents=True, exist_ok=True)
        (folder / "server.log").touch()
        super().__init__(folder, storage=f"sqlite:///{self.database}")
        self.plan = plan
        self._launcher = launcher

    def launch(self) -> Child:  # type: ignore[override]
        arguments = ["serve", "--storage", self.storage]
        arguments += ["--http-port", str(self.http), "--tcp-port", str(self.tcp)]
        child = self._launcher.fork(arguments, self.folder / "server.log", self.database, self.plan)
        self._process = child  # type: ignore[assignment]
        return child

    @property
    def child(self) -> Child:
        assert isinstance(self._process, Child)
        return self._process

    @property
    def pid(self) -> int:
        return self.child.pid

    def has_started(self) -> bool:
        """Wait until it serves or has ended; whether it serves."""
        child = self.launch()
        return bool(until(lambda: self._serves_or_ended(child), 20, "served or ended")) and (
            child.poll() is None
        )

    def _serves_or_ended(self, child: Child) -> bool:
        if child.poll() is not None:
            return True
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False
