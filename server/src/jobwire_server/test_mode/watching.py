"""A store whose calls are counted, so that the loop knows when other threads are at work for it."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire_server.store.base import Store
    from jobwire_server.test_mode.loop import VirtualLoop


class _Watched:
    """Passes everything on. A call goes on, and counts, to its end, also when nobody waits for its answer any more."""

    def __init__(self, store: Store, loop: VirtualLoop) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if callable(found) else found

    def _counted(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            # The verb itself is called at once: a claim counts on being submitted before the insert that follows it.
            answer = verb(*arguments, **named)
            if not inspect.isawaitable(answer):
                return answer
            future = asyncio.ensure_future(answer)
            self._loop.count_work(future)
            return asyncio.shield(future)

        return call


def watched(store: Store, loop: VirtualLoop) -> Store:
    """The same store, whose verbs keep `loop` from resting until they are done."""
    return cast("Store", _Watched(store, loop))
