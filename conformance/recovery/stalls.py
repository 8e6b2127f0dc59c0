"""A bare client beside the SDKs, which tells a slow SDK from a machine that does other things."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self

from conformance.recovery.hands import WORK

if TYPE_CHECKING:
    from conformance.recovery.server import Server

_QUEUE: Final = "bare"
_PAUSE_S: Final = 0.05


class Stalls:
    """
    Pushes, pulls and acks a job, again and again, from `__aenter__` to `__aexit__`.

    Attributes:
        worst_s: The longest time that this took, the one that was not finished included.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self._is_over = False
        self.worst_s = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._is_over = True
        self._note()
        await self._task

    async def _go_on(self) -> None:
        while not self._is_over:
            self._began = time.monotonic()
            await self._server.push(_QUEUE, WORK)
            await self._server.work_off(_QUEUE)
            self._note()
            await asyncio.sleep(_PAUSE_S)

    def _note(self) -> None:
        self.worst_s = max(self.worst_s, time.monotonic() - self._began)
