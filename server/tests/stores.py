"""Stores for tests: each kind that there is, and wrappers that come between an operation and its store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jobwire_server.engine.flows import resolve_child
from jobwire_server.model import ClaimRequest, Job
from jobwire_server.store.base import Store
from jobwire_server.store.memory import MemoryStore
from jobwire_server.store.sqlite import SqliteStore

KINDS: Final = ("memory", "sqlite")


def new_store(kind: str, folder: Path) -> Store:
    """A store of this kind, not opened; the SQLite file is in `folder`. What survives a power loss is tested elsewhere."""
    if kind == "memory":
        return MemoryStore(resolve_child)
    return SqliteStore(folder / "jobs.db", resolve_child, synchronous="OFF", ballast_bytes=0)


class Wrapped:
    """A store that passes every verb on; subclasses come between."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class ClaimsAtABarrier(Wrapped):
    """Claims are carried out at once, and answered when `answer` is set; `claimed` says that one has been carried out."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.claimed = asyncio.Event()
        self.answer = asyncio.Event()

    async def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        jobs = await self.store.claim(request, now)
        self.claimed.set()
        await self.answer.wait()
        return jobs


class PushedBetween(Wrapped):
    """Runs `between` once, after a claim has looked and found nothing and before its caller hears of it."""

    def __init__(self, store: Store, between: Any) -> None:
        super().__init__(store)
        self.between = between

    async def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        jobs = await self.store.claim(request, now)
        if not jobs and self.between is not None:
            between, self.between = self.between, None
            await between()
        return jobs

    def backlog(self, queue: str) -> int:
        """Says that there is work, so that the claim is asked."""
        return self.store.backlog(queue) or 1


class Failing(Wrapped):
    """Raises `error` from every verb that `verbs` names."""

    def __init__(self, store: Store, error: Exception, verbs: Sequence[str]) -> None:
        super().__init__(store)
        self.error = error
        self.verbs = frozenset(verbs)

    def __getattr__(self, name: str) -> Any:
        if name in self.verbs:
            return self._fail
        return super().__getattr__(name)

    async def _fail(self, *_: Any, **__: Any) -> Any:
        raise self.error


class InsertsLate(Wrapped):
    """A claim that is submitted right before an insert has been answered by the time that the insert begins."""

    async def insert(self, *args: Any, **options: Any) -> Any:
        for _ in range(20):
            await asyncio.sleep(0.001)
        return await self.store.insert(*args, **options)


class ClaimsSlowly(Wrapped):
    """The other way round: a claim looks at once and is answered late, when the insert has been."""

    async def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        jobs = await self.store.claim(request, now)
        for _ in range(20):
            await asyncio.sleep(0.001)
        return jobs
