"""Real servers under the shim, forked, so that hundreds of starts with another fault each fit in a minute."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.acceptance.forks import Child, Launcher
from tests.acceptance.processes import Server, until

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


def shimmed(shim: Path | None = None, within: Sequence[str] = ()) -> Launcher:
    """What forks servers that have the shim; asleep, or without it, they are like any other."""
    environment = {} if shim is None else {"LD_PRELOAD": str(shim)}
    return Launcher("tests.proof.power.forking", environment=environment, within=within)


def fork(launcher: Launcher, arguments: Sequence[str], log: Path, files: Path, plan: Plan) -> Child:
    """`jobwire arguments` according to the plan; `files` is what the names of the watched files begin with."""
    return launcher.fork(
        {
            "module": "jobwire_server",
            "arguments": list(arguments),
            "log": str(log),
            "cwd": str(plan.cwd),
            "environment": {**os.environ, **plan.settings},
            "files": str(files),
            "io_log": plan.io_log and str(plan.io_log),
            "fault": asdict(plan.fault),
            "changes": dict(plan.changes),
        }
    )


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

    def launch(self) -> Child:
        arguments = ["serve", "--storage", self.storage, *self.ports]
        log = self.folder / "server.log"
        self._process = child = fork(self._launcher, arguments, log, self.database, self.plan)
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
