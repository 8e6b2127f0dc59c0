"""Operations that do what a test says, behind a TCP door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jobwire_server.model import Job
from jobwire_server.operations.core import Caller
from jobwire_server.wire import answers


class FakeOperations:
    """
    Answers at once, with these exceptions: a pull with wait_ms waits until `give` or `drain`; a command in `held` waits
    for its event; one in `broken` raises; `size` is how long the text is that a get answers.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.callers: list[Caller] = []
        self.forgotten: list[Caller] = []
        self.held: dict[str, asyncio.Event] = {}
        self.broken: dict[str, Exception] = {}
        self.waiting: list[asyncio.Future[list[Job]]] = []
        self.cancelled = 0
        self.size = 10

    async def run(self, name: str, requests: Sequence[Any], caller: Caller) -> list[Any]:
        self.calls.append((name, len(requests)))
        self.callers.append(caller)
        if name in self.broken:
            raise self.broken[name]
        if name in self.held:
            await self.held[name].wait()
        if name == "pull":
            return [await self._pull(requests[0])]
        return [self._answer(name, request) for request in requests]

    async def _pull(self, request: Any) -> answers.Pulled:
        jobs: list[Job] = []
        if request.wait_ms:
            future: asyncio.Future[list[Job]] = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            try:
                jobs = await future
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.waiting.remove(future)
        return answers.Pulled(jobs=jobs, single=request.wanted == 1)

    def _answer(self, name: str, request: Any) -> Any:
        if name == "push":
            return answers.Pushed(id=request.name, outcome="created")
        if name == "heartbeat_batch":
            return answers.BeatenBatch(results=[], lost=[], cancelled=[], deaf=False)
        if name == "get":
            return answers.Moved(state="x" * self.size)
        return answers.Done()

    def give(self, job_id: str, index: int = 0) -> None:
        """A job for a pull that waits; nothing when that one was cancelled a moment ago."""
        job = Job(job_id, "q", "n", b"{}", 0, state="active", delivery=1)
        if index < len(self.waiting) and not self.waiting[index].done():
            self.waiting[index].set_result([job])

    def drain(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result([])

    def forget(self, caller: Caller) -> None:
        self.forgotten.append(caller)

    def welcome(self, version: int) -> answers.Welcome:
        server = {"name": "jobwire", "version": "0"}
        return answers.Welcome(
            v=version, server=server, capabilities=[], limits={}, defaults={}, heartbeat_ms=1
        )

    def ran(self, name: str) -> int:
        """How many requests of a command were carried out or begun."""
        return sum(count for called, count in self.calls if called == name)
