"""Freeze, advance and release: moves the clock, and waits until the server has done all that was due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobwire_server.errors import JobwireError

if TYPE_CHECKING:
    from jobwire_server.maintenance import Maintenance
    from jobwire_server.test_mode.clock import VirtualClock
    from jobwire_server.test_mode.loop import VirtualLoop

# How often, at most, the housekeeper looks around in one journey. What has an instant is met at it all the same; this is about retention
# and sweeps, which a real server does every ten seconds or more: a month of those would take minutes.
LOOKS: Final = 100


class Steering:
    """One call at a time; others wait their turn."""

    def __init__(self, loop: VirtualLoop, clock: VirtualClock, housekeeper: Maintenance) -> None:
        self._loop = loop
        self._clock = clock
        self._housekeeper = housekeeper
        self._turn = asyncio.Lock()

    async def freeze(self, at: int | None) -> int:
        """Stand still, at `at` if given; the time."""
        async with self._turn:
            self._clock.freeze()
            if at is not None:
                await self._set(at)
            await self._loop.rest()
            return self._clock.now()

    async def advance(self, ms: int) -> tuple[int, int]:
        """Pass `ms`: the time, and how many timers came due. Raises INVALID_STATE unless the clock is frozen."""
        async with self._turn:
            if not self._clock.frozen:
                raise JobwireError(
                    "INVALID_STATE", "The clock is not frozen; POST /_test/clock/freeze first"
                )
            before = self._loop.fired
            await self._loop.rest()
            await self._journey(ms)
            return self._clock.now(), self._loop.fired - before

    async def release(self) -> int:
        """Real time again: the clock is set to the machine's; the time."""
        async with self._turn:
            if self._clock.frozen:
                await self._set(self._clock.wall())
                self._clock.thaw()
                self._clock.resync()  # the milliseconds since the machine's clock was read
            return self._clock.now()

    async def _set(self, instant: int) -> None:
        """The housekeeper notices a clock that was set; a step that is too small for it is taken here."""
        await self._loop.rest()
        self._clock.set_to(instant)
        self._housekeeper.look()
        await self._loop.rest()
        self._clock.resync()

    async def _journey(self, ms: int) -> None:
        housekeeper, tick_ms = self._housekeeper, self._housekeeper.tick_ms
        if ms <= LOOKS * tick_ms:
            await self._loop.advance(ms)
            return
        housekeeper.tick_ms = ms // LOOKS
        try:
            await self._loop.advance(ms)
            housekeeper.look()  # so that at the end nothing is later than a tick would have it
            await self._loop.rest()
        finally:
            housekeeper.tick_ms = tick_ms
