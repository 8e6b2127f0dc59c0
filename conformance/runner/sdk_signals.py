"""Signals between the steps of a gremlin's script and the steps of an SDK: `signal: name` on one side, `await: name` on the other."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

PATIENCE: Final = 5.0  # seconds


class Signals:
    """Each name is set once and stays so."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def set(self, name: str) -> None:
        self._events[name].set()

    async def wait(self, name: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._events[name].wait()
        except TimeoutError:
            raise AssertionError(
                f"the signal {name!r} did not come within {PATIENCE:g} s"
            ) from None
