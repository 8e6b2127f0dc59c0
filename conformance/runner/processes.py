"""One process of `jobwire serve`: started in a folder of its own, watched, restarted on the same files, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from conformance.runner.loader import REPOSITORY
from conformance.runner.target import Control, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START_S: Final = 20.0
STOP_S: Final = 20.0
LOG_TAIL: Final = 6000  # bytes of the log that a failure shows

# What a case may find in `requires` besides the capabilities that the server tells itself.
OWN_CAPABILITIES: Final = frozenset({"test.process"})
STEERED: Final = frozenset({"test.clock", "test.fault"})

LAUNCHER: Final = (sys.executable, "-m", "jobwire_server", "serve")


class Running(Protocol):
    """What is used of a process that was started."""

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


class CannotStart(RuntimeError):  # noqa: N818 - named for what it says
    """The server did not come up. The message has the end of its log."""


class ServerProcess:
    """
    `start`, any number of `restart`, `stop`. Addresses are in `target`, and new after each restart.

    launcher: the command line up to its flags; it has to take those of `jobwire serve`. `served` counts items, for its pool.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        launcher: Sequence[str] = LAUNCHER,
        *,
        seed: int = 0,
    ) -> None:
        self.folder = folder
        self.served = 0
        self._launcher = launcher
        self._seed = seed
        self._process: Running | None = None
        self._clock: int | None = None  # where time stands at the start, None when it runs
        tokens = settings.get("auth.tokens") or [None]
        self.target = Target(http_url="", tcp_address=("127.0.0.1", 0), token=tokens[0])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jobwire.toml").write_text(_toml(settings), encoding="utf-8")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """The end of what the server wrote."""
        path = self.folder / "server.log"
        if not path.exists():
            return ""
        with path.open("rb") as log:  # it grows with every case
            log.seek(max(0, path.stat().st_size - LOG_TAIL))
            return log.read().decode(errors="replace")

    async def start(self) -> None:
        """Return when its doors are open. Raises CannotStart."""
        path = self.folder / "server.log"
        began = path.stat().st_size if path.exists() else 0
        self._process = await self._spawn(path)
        try:
            async with asyncio.timeout(START_S):
                await self._connect(await self._started(path, began))
        except TimeoutError as error:
            await self.kill()
            raise CannotStart(f"no server after {START_S:g} s:\n{self.log}") from error

    async def _spawn(self, log: Path) -> Running:
        """The command as a process that appends what it says to `log`."""
        with log.open("ab") as said:
            return await asyncio.create_subprocess_exec(
                *self._launcher,
                *self._flags(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=REPOSITORY,
                env=environment(),
            )

    def _flags(self) -> list[str]:
        flags = ["--config", str(self.folder / "jobwire.toml"), "--log-format", "json"]
        flags += ["--storage", f"sqlite:///{self.folder}/jobs.db"]
        flags += ["--http-port", "0", "--tcp-port", "0", "--test-mode"]
        flags += ["--test-seed", str(self._seed)]
        return flags if self._clock is None else [*flags, "--test-clock", str(self._clock)]

    async def _started(self, path: Path, began: int) -> Mapping[str, Any]:
        """The line in which the server tells its ports. There is no signal to wait for, so the log is read again and again."""
        assert self._process is not None
        while True:
            for line in _read(path)[began:].splitlines():
                if b'"server.started"' in line:
                    event: Mapping[str, Any] = json.loads(line)
                    return event
            if self._process.returncode is not None:
                raise CannotStart(
                    f"the server ended with exit code {self._process.returncode}:\n{self.log}"
                )
            await asyncio.sleep(0.01)

    async def _connect(self, event: Mapping[str, Any]) -> None:
        self.target.http_url = f"http://127.0.0.1:{event['http']}"
        self.target.tcp_address = ("127.0.0.1", int(event["tcp"]))
        found = OWN_CAPABILITIES
        if event.get("control"):
            await self._close_control()
            self.target.control = Control(str(event["control"]))
            found |= STEERED
        self.target.capabilities = found

    async def restart(self, how: str) -> None:
        """End it by kill, term or crash, and start it on the same files. A frozen clock stands where it stood."""
        control = self.target.control
        self._clock = control.now if control is not None else None
        if how == "crash":
            if control is None:
                raise CannotStart("crash needs the control API")
            await control.crash()
            await self._wait()
        else:
            await self._end(signal.SIGTERM if how == "term" else signal.SIGKILL)
        await self.start()
        if self._clock is not None and self.target.control is not None:
            await self.target.control.freeze(self._clock)

    async def stop(self) -> None:
        """End it, whatever state it is in."""
        await self._close_control()
        await self.kill()

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    def tell_to_stop(self) -> None:
        """Ask for a drain, and do not wait for its end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await self._wait()

    async def _wait(self) -> None:
        assert self._process is not None
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError as error:
            self._process.kill()
            await self._process.wait()
            raise CannotStart(f"the server did not end in {STOP_S:g} s:\n{self.log}") from error

    async def _close_control(self) -> None:
        if self.target.control is not None:
            await self.target.control.close()
            self.target.control = None


def _read(path: Path) -> bytes:
    return path.read_bytes()


def environment() -> dict[str, str]:
    """The environment without settings of a server: those of a case are all that counts."""
    hidden = re.compile(r"(JOBWIRE|RUSTQUEUE)_")
    kept = {name: value for name, value in os.environ.items() if not hidden.match(name)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # a start takes twice as long without compiled files
    path = kept.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{path}" if path else str(REPOSITORY)}


def _toml(settings: Mapping[str, Any]) -> str:
    """Settings by dotted key as TOML. JSON's texts, numbers, booleans and lists of them are TOML as well."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
