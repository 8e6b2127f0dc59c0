"""Ids by the clock of test mode and by its chance: the same ones for the same seed and the same instants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from jobwire_server.clock import Clock

_COUNTER_END: Final = 1 << 12


class VirtualIds:
    """Makes UUIDv7 text in increasing order, as ids.IdMaker does, with another source of time and chance."""

    def __init__(self, clock: Clock, chance: Random) -> None:
        self._clock = clock
        self._chance = chance
        self._stamp = -1
        self._counter = 0

    def new(self) -> str:
        now = self._clock.now()
        self._counter += 1
        if now > self._stamp:
            self._stamp, self._counter = now, self._chance.getrandbits(11)
        elif self._counter == _COUNTER_END:
            self._stamp, self._counter = self._stamp + 1, 0
        head, chance = f"{self._stamp:012x}", self._chance.getrandbits(62)
        tail = f"{0x8000 | chance >> 48:04x}-{chance & (1 << 48) - 1:012x}"
        return f"{head[:8]}-{head[8:]}-7{self._counter:03x}-{tail}"

    def forget(self) -> None:
        """Begin anew: the next id may be smaller than the last one."""
        self._stamp = -1
