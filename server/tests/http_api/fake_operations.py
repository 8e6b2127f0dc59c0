"""Operations without jobs: they record what they were asked and answer what the test put in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from jobwire_server.operations.core import Caller
from jobwire_server.wire.answers import Done


class FakeOperations:
    """
    `answers` has a result by command; an exception that is no JobwireError is raised. Without one, every command is Done.

    With `hold` set a call waits for it: `entered`, `cancelled` and `finished` tell the test how far a call got.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, Caller]] = []
        self.answers: dict[str, Any] = {}
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.finished = asyncio.Event()

    async def run(self, name: str, requests: Sequence[Any], caller: Caller) -> list[Any]:
        self.calls += [(name, request, caller) for request in requests]
        await self._wait()
        self.finished.set()
        answer = self.answers.get(name, Done())
        if isinstance(answer, RuntimeError):
            raise answer
        return [answer for _ in requests]

    async def _wait(self) -> None:
        self.entered.set()
        if self.hold is None:
            return
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]
