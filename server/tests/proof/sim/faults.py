"""A store that takes its time at every verb, and fails, fills up or dies when it is told to.

The verbs of the store behind it are atomic and outlive the server. Before and after each one, everything else may run: a change that is
made may never be told, as with a commit whose answer is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Literal

from jobwire_server.errors import StoreFailed, StoreFull
from jobwire_server.store.base import Store

Fault = Literal["before", "after"]  # of the effect

WRITES = frozenset({"insert", "claim", "apply", "set_queue", "grace"})
NEED_SPACE = frozenset({"insert", "set_queue"})
VERBS = WRITES | {"get", "find", "oldest", "due", "next_due", "prune", "sweep", "check"}

# How long half a verb takes: (share, seconds at most). The rest is done at once.
Pace = tuple[tuple[float, float], ...]
QUICK: Pace = ((0.35, 0.0), (0.75, 0.003), (0.78, 0.04))
SLOW: Pace = ((0.2, 0.0), (0.9, 0.04))


class FaultyStore:
    """One server's way to the store; the next server has a way of its own."""

    def __init__(
        self,
        store: Store,
        chance: Random,
        trace: Callable[[str], None],
        on_failed: Callable[[], None],
        pace: Pace = QUICK,
    ) -> None:
        self.store = store
        self.next_fault: Fault | None = None
        self.is_full = False
        self._chance = chance
        self._trace = trace
        self._on_failed = on_failed
        self._pace = pace
        self._has_failed = False
        self._is_dead = False

    def die(self) -> None:
        """The process is gone: nothing that it had begun goes on, and nothing is told any more."""
        self._is_dead = True

    def __getattr__(self, name: str) -> Any:
        if name not in VERBS:
            return getattr(self.store, name)

        async def verb(*arguments: Any, **named: Any) -> Any:
            return await self._carry_out(name, arguments, named)

        return verb

    async def _carry_out(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        await self._take_time()
        fault = self._fault_of(name)
        if fault == "before":
            self._fail()
        if self.is_full and name in NEED_SPACE:
            raise StoreFull
        self._trace(name)
        result = await getattr(self.store, name)(*arguments, **named)
        if fault == "after":
            self._fail()
        await self._take_time()
        return result

    async def _take_time(self) -> None:
        share = self._chance.random()
        for limit, seconds in self._pace:
            if share < limit:
                await asyncio.sleep(self._chance.uniform(0, seconds))
                break
        self._go_on()

    def _go_on(self) -> None:
        """
        Raises:
            CancelledError: the server that asks is gone, so that its task ends here.
            StoreFailed: the store has failed before, which is final.
        """
        if self._is_dead:
            raise asyncio.CancelledError
        if self._has_failed:
            raise StoreFailed("the store has failed")

    def _fault_of(self, name: str) -> Fault | None:
        if name not in WRITES:
            return None
        fault, self.next_fault = self.next_fault, None
        return fault

    def _fail(self) -> None:
        self._trace("failed")
        self._has_failed = True
        self._on_failed()
        raise StoreFailed("a write failed")
