"""Ids: UUIDv7 (RFC 9562), made in increasing order within a process."""

from __future__ import annotations

import os
import time
from typing import Final

# Ids for whose random parts the kernel is asked at once: a call for each took a quarter of the time of an id.
_IDS_AT_ONCE: Final = 64
_CHANCE_BYTES: Final = 9
_COUNTER_END: Final = 1 << 12
# The first of a thousand is drawn from the lower half, so that there is room to count up.
_FIRST_MASK: Final = (1 << 11) - 1
# The variant takes two bits of a hex digit, chance the other two.
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class IdMaker:
    """
    Makes UUIDv7 text. Ids of one maker increase strictly, also within a millisecond and when the clock steps back.

    The 12 bits after the version count up within a millisecond (RFC 9562 §6.2, method 1), so a batch keeps its order when
    sorted by id; 62 bits of chance follow. The text is put together from slices: to format numbers took most of the time.
    """

    def __init__(self) -> None:
        self._stamp = -1
        self._counter = 0
        self._head = ""  # the text of the stamp, which most ids of a batch share
        self._pool = ""
        self._at = 0

    def new(self) -> str:
        chance = self._chance()
        stamp = time.time_ns() // 1_000_000
        self._counter += 1
        if stamp > self._stamp:
            self._begin(stamp, int(chance[16:], 16))
        elif self._counter == _COUNTER_END:
            self._begin(self._stamp + 1, 0)  # ahead of the clock, which will catch up
        variant = _VARIANT[chance[0]]
        return f"{self._head}{self._counter:03x}-{variant}{chance[1:4]}-{chance[4:16]}"

    def _begin(self, stamp: int, chance: int) -> None:
        text = f"{stamp:012x}"
        self._stamp, self._head = stamp, f"{text[:8]}-{text[8:]}-7"
        self._counter = chance << 3 & _FIRST_MASK

    def _chance(self) -> str:
        """The hex digits of nine random bytes."""
        start = self._at
        if start == len(self._pool):
            self._pool, start = os.urandom(_CHANCE_BYTES * _IDS_AT_ONCE).hex(), 0
        self._at = start + 2 * _CHANCE_BYTES
        return self._pool[start : self._at]
