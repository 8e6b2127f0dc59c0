"""
A driver as a process: messages out, messages in, virtual sleeps answered, leaks counted from inside and from outside.

Rule 1: whatever is wrong with the driver itself is DriverBroken, which is an error of the run and never a fault of the SDK.
Rule 2: nothing here waits for longer than PATIENCE.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import tempfile
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from conformance.runner.driver_messages import DriverBroken, read, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Spawn = Callable[[Sequence[str], IO[bytes]], Awaitable[asyncio.subprocess.Process]]

PATIENCE: Final = 10.0  # seconds for an answer
_LINE: Final = 64 * 1024 * 1024  # bytes of a message
_LEAK_PATIENCE: Final = 2.0  # seconds in which threads and sockets that were told to end do so


class Refused(Exception):  # noqa: N818 - what happened, and no fault of the suite
    """The SDK raised an error; `error` is the normalised one of the result."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['class']} {error['code'] or ''}: {error['message']}")
        self.error = error


class Driver:
    """
    One running driver.

    Attributes:
        ready: Its first message.
        sleeps: Milliseconds that the SDK wanted to sleep, in order, in virtual mode; clear it as you like.
        said: All that it said on stdout since `forget`, for the search for secrets.
    """

    def __init__(self, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors
        self._errors_from = 0
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._news: asyncio.Condition = asyncio.Condition()
        self._waiting: deque[dict[str, Any]] = deque()  # job and event messages nobody took
        self._asleep: deque[int] = deque()
        self._broken: DriverBroken | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._outside = 0
        self.ready: dict[str, Any] = {}
        self.sleeps: list[float] = []
        self._free: int | None = None  # sleeps that are answered before one is held; None: all are
        self.said: list[str] = []

    # --- its life -----------------------------------------------------------------------------------------------

    @classmethod
    async def start(
        cls, command: Sequence[str], *, virtual: bool, seed: int, spawn: Spawn | None = None
    ) -> Driver:
        """Start it and wait until it is ready. DriverBroken when it is not. `spawn` makes the process of a command."""
        errors = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by stop
        try:
            process = await (spawn or _spawned)(command, errors)
        except BaseException as error:
            errors.close()
            if isinstance(error, OSError):
                raise DriverBroken(f"cannot start {command[0]}: {error}") from error
            raise
        driver = cls(process, errors)
        driver._reader = asyncio.create_task(driver._read())
        try:
            await driver._send({"t": "init", "proto": 1, "virtual": virtual, "seed": seed})
            async with asyncio.timeout(PATIENCE):
                driver.ready = await asyncio.shield(driver._ready)
        except (TimeoutError, DriverBroken) as error:
            await driver.stop()
            raise driver._broken or DriverBroken(f"it does not get ready: {error}") from error
        except BaseException:  # given up, for the item's time is up
            driver._kill()
            await driver.stop()
            raise
        driver._outside = driver._sockets_outside()
        return driver

    async def stop(self) -> int:
        """End of input, then, if need be, kill. Its exit code."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with self._errors:
            code = await self._ended()
            if self._reader is not None:
                await self._reader
        return code

    async def _ended(self) -> int:
        try:
            async with asyncio.timeout(PATIENCE / 2):
                return await self._process.wait()
        except BaseException as error:  # too late, or given up in the midst
            self._kill()
            if not isinstance(error, TimeoutError):
                raise
        return await self._process.wait()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
            self._process.kill()

    @property
    def broken(self) -> DriverBroken | None:
        return self._broken

    # --- asking -------------------------------------------------------------------------------------------------

    async def begin(self, what: str, /, **members: Any) -> tuple[int, asyncio.Future[Any]]:
        """Send a message that has a result. The future has its value, or raises Refused or DriverBroken."""
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._pending[number] = future
        await self._send({"t": what, "id": number, **members})
        return number, future

    async def ask(self, what: str, /, **members: Any) -> Any:
        """The value of the result of one message."""
        _, future = await self.begin(what, **members)
        return await self.result(future, f"{what} {members.get('method', '')}")

    async def result(self, future: asyncio.Future[Any], what: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(future)
        except TimeoutError:
            raise DriverBroken(f"no result of {what} within {PATIENCE:g} s") from None

    async def tell(self, what: str, /, **members: Any) -> None:
        """Send a message without a result."""
        await self._send({"t": what, **members})

    async def next(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The first job or event message that is *wanted*, already said or to come."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found.extend(message for message in self._waiting if wanted(message))
            return bool(found)

        await self._until(look, what)
        self._waiting.remove(found[0])
        return found[0]

    async def _until(self, look: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                while not look():
                    if self._broken is not None:
                        raise self._broken
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"nothing of {what} within {PATIENCE:g} s") from None

    def hold(self, after: int) -> None:
        """Answer *after* more sleeps, and no further one until `wake`."""
        self._free = after

    async def asleep(self) -> None:
        """Wait until the SDK sleeps in a sleep that is held."""
        await self._until(lambda: bool(self._asleep), "a sleep")

    async def wake(self) -> None:
        """Let all held sleeps end, and hold no more."""
        self._free = None
        await self._let_sleepers_go()

    async def _let_sleepers_go(self) -> None:
        while self._asleep:
            await self._send({"t": "wake", "id": self._asleep.popleft()})

    # --- what it leaves behind ------------------------------------------------------------------------------------

    async def leaks(self) -> dict[str, int]:
        """What is still open after a short while, by its own word and by that of the kernel; empty when all is closed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _LEAK_PATIENCE
        while True:
            inside: dict[str, int] = await self.ask("stats")
            found = {name: count for name, count in inside.items() if count}
            outside = self._sockets_outside() - self._outside
            if outside:
                found["sockets seen from outside"] = outside
            if not found or loop.time() > end:
                return found
            await asyncio.sleep(0.01)

    def forget(self) -> None:
        """Start a new case: what was said before is of no interest any more."""
        self.said.clear()
        self.sleeps.clear()
        self._waiting.clear()
        self._free = None
        self._errors_from = self._errors.seek(0, os.SEEK_END)

    def shown(self) -> str:
        """All that it wrote since `forget`, on stdout and stderr."""
        return "".join(self.said) + self.stderr()

    def stderr(self) -> str:
        self._errors.seek(self._errors_from)
        return self._errors.read().decode(errors="replace")

    def _sockets_outside(self) -> int:
        """Sockets of the process, where the kernel tells (Linux); a driver cannot lie about these."""
        try:
            links = list(Path(f"/proc/{self._process.pid}/fd").iterdir())
            return sum(os.readlink(link).startswith("socket:") for link in links)
        except OSError:
            return self._outside

    # --- the conversation -----------------------------------------------------------------------------------------

    async def _send(self, message: dict[str, Any]) -> None:
        if self._broken is not None:
            raise self._broken
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(write(message))
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise DriverBroken(f"it ended: {self.stderr()[-2000:]}") from error

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self.said.append(line.decode(errors="replace"))
                await self._receive(read(line))
            why = f"it ended: {self.stderr()[-2000:]}"
        except (DriverBroken, ValueError) as error:  # ValueError: a line beyond the limit
            why = str(error)
        await self._break(why)

    async def _break(self, why: str) -> None:
        self._broken = DriverBroken(why)
        waiting = [*self._pending.values(), self._ready]
        for future in waiting:
            if not future.done():
                future.set_exception(self._broken)
                _seen(future)
        self._pending.clear()
        async with self._news:
            self._news.notify_all()

    async def _receive(self, message: dict[str, Any]) -> None:
        match message["t"]:
            case "ready":
                if self._ready.done():
                    raise DriverBroken("it said ready twice")
                self._ready.set_result(message)
            case "result":
                self._settle(message)
            case "sleep":
                self.sleeps.append(message["ms"])
                self._asleep.append(message["id"])
                await self._sleeps()
            case _:
                async with self._news:
                    self._waiting.append(message)
                    self._news.notify_all()

    async def _sleeps(self) -> None:
        if self._free is None or self._free > 0:
            self._free = None if self._free is None else self._free - 1
            await self._let_sleepers_go()
        async with self._news:
            self._news.notify_all()

    def _settle(self, message: dict[str, Any]) -> None:
        future = self._pending.pop(message["id"], None)
        if future is None:
            raise DriverBroken(f"a result of a message that was not sent: {message['id']}")
        if message["ok"]:
            future.set_result(message["value"])
        else:
            future.set_exception(Refused(message["error"]))


async def _spawned(command: Sequence[str], errors: IO[bytes]) -> asyncio.subprocess.Process:
    env = {**os.environ, "PYTHONWARNINGS": "always::ResourceWarning", "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(
        *command, stdin=-1, stdout=-1, stderr=errors, limit=_LINE, env=env
    )


def _seen(future: asyncio.Future[Any]) -> None:
    """So that a failed call that nobody joins is no warning; whoever joins it still gets the exception."""
    if future.done() and not future.cancelled():
        future.exception()
