"""A pool of server processes: cases with the same settings share one after another, cases that move the clock have their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conformance.runner.processes import LAUNCHER, ServerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from conformance.runner.model import Item

AT_ONCE: Final = 4  # processes that are lent at a time
SERVED: Final = 150  # items of one process: where much is stored a find may come in pages, which most cases are not about
KEPT: Final = 6  # idle ones that stay for the next case, as many as there are common settings; who waited longest goes first

Key = tuple[str, bool]


class Pool:
    """
    Lends a process to one item at a time. `async with` ends all of them.

    limit: how many may run at once. launcher replaces `jobwire serve`; process makes what runs it (mutants are forked).
    """

    def __init__(
        self,
        launcher: Sequence[str] = LAUNCHER,
        *,
        limit: int = AT_ONCE,
        seed: int = 0,
        process: Callable[..., ServerProcess] = ServerProcess,
    ) -> None:
        self._launcher = tuple(launcher)
        self._seed = seed
        self._process = process
        self._idle: list[tuple[Key, ServerProcess]] = []
        self._slots = asyncio.Semaphore(limit)
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        self._made = 0

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every process, and delete their files."""
        idle, self._idle = self._idle, []
        for _, process in idle:
            await process.stop()
        self._folder.cleanup()

    @contextlib.asynccontextmanager
    async def lease(self, item: Item) -> AsyncIterator[ServerProcess]:
        """A running process with the settings of the item's case, for this item alone. Raises CannotStart."""
        key: Key = (json.dumps(dict(item.case.server), sort_keys=True), item.case.time)
        async with self._slots:
            process = await self._take(key, item)
            try:
                yield process
            except BaseException:
                await process.stop()  # whatever it was, the next case shall not meet it
                raise
            await self._give_back(key, process)

    async def _take(self, key: Key, item: Item) -> ServerProcess:
        for index, (kept, process) in enumerate(self._idle):
            if kept == key:
                del self._idle[index]
                if process.alive:
                    return process
                await process.stop()
                break
        self._made += 1
        folder = Path(self._folder.name) / f"{self._made}"
        process = self._process(folder, item.case.server, self._launcher, seed=self._seed)
        try:
            await process.start()
        except BaseException:
            await process.stop()
            raise
        return process

    async def _give_back(self, key: Key, process: ServerProcess) -> None:
        process.served += 1
        if not process.alive or process.served == SERVED:
            await process.stop()
            return
        self._idle.append((key, process))
        while len(self._idle) > KEPT:
            _, oldest = self._idle.pop(0)
            await oldest.stop()
