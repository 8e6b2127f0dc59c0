"""Servers and drivers forked by a zygote, with a fault or without, in the shapes in which their pools keep processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.runner.loader import REPOSITORY
from conformance.runner.pool import Pool
from conformance.runner.processes import ServerProcess, environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Forked:
    """A child of the zygote, with what is used of an asyncio process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    def send_signal(self, signal: int) -> None:
        """ProcessLookupError when it has ended."""
        if self._ended.done():
            raise ProcessLookupError
        os.kill(self.pid, signal)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def end(self, code: int) -> None:
        self._ended.set_result(code)


class Nursery:
    """The zygote and its children. `async with` starts it and ends all of them."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Forked]] = deque()
        self._children: dict[int, Forked] = {}

    async def __aenter__(self) -> Nursery:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "conformance.mutants.zygote",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=REPOSITORY,
            env=environment(),
        )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reader is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def server(self, mutant: str, argv: Sequence[str], log: Path) -> Forked:
        """A server with this fault, "" for none; it appends what it says to `log`."""
        return await self.fork("server", mutant, argv, (os.devnull, str(log), str(log)))

    async def fork(
        self, what: str, mutant: str, argv: Sequence[str], files: tuple[str, str, str]
    ) -> Forked:
        """What the zygote has under a name. `files` are its stdin, stdout and stderr, which are open when this returns."""
        assert self._process is not None
        assert self._process.stdin is not None
        future: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        names = dict(zip(("stdin", "stdout", "stderr"), files, strict=True))
        asked = {"what": what, "mutant": mutant, "argv": list(argv), **names}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return await future

    def pool(self, mutant: str, *, limit: int, seed: int = 0) -> Pool:
        """A pool of servers that all have this fault."""
        process = partial(ForkedServer, self, mutant)
        return Pool(limit=limit, seed=seed, process=process)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._take(json.loads(line))
        for future in self._asked:
            future.set_exception(RuntimeError("the zygote has ended"))

    def _take(self, told: dict[str, Any]) -> None:
        if "pid" in told:
            child = self._children[told["pid"]] = Forked(told["pid"])
            self._asked.popleft().set_result(child)
        else:
            self._children.pop(told["ended"]).end(told["code"])


class ForkedServer(ServerProcess):
    """A server process of the pool that is forked in place of started."""

    def __init__(self, nursery: Nursery, mutant: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._nursery = nursery
        self._mutant = mutant

    async def _spawn(self, log: Path) -> Forked:
        _begin(log)
        return await self._nursery.server(self._mutant, ["serve", *self._flags()], log)


def _begin(log: Path) -> None:
    """So that whoever waits for the first line has a file to look at."""
    log.touch()
