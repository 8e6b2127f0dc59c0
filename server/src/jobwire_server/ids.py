"""Ids: UUIDv7 (RFC 9562), made in increasing order within a process."""

from __future__ import annotations

import os
import time
from typing import Final

# Ids whose random parts are made at once: a call of the kernel for each took a quarter of the time of an id.
_IDS_AT_ONCE: Final = 64
_CHANCE_DIGITS: Final = 16
_COUNTER_END: Final = 1 << 12
# The first of a thousand is drawn from the lower half, so that there is room to count up.
_FIRST_END: Final = 1 << 11
_COUNTS: Final = tuple(f"{count:03x}" for count in range(_COUNTER_END))
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
        self._tails: list[str] = []

    def new(self) -> str:
        if not self._tails:
            self._tails = _tails()
        stamp = time.time_ns() // 1_000_000
        self._counter += 1
        if stamp > self._stamp:
            self._begin(stamp, int.from_bytes(os.urandom(2)) % _FIRST_END)
        elif self._counter == _COUNTER_END:
            self._begin(self._stamp + 1, 0)  # ahead of the clock, which will catch up
        return self._head + _COUNTS[self._counter] + self._tails.pop()

    def _begin(self, stamp: int, counter: int) -> None:
        text = f"{stamp:012x}"
        self._stamp, self._head = stamp, f"{text[:8]}-{text[8:]}-7"
        self._counter = counter


def _tails() -> list[str]:
    """What comes after the counter, for many ids: the variant and chance."""
    chance = os.urandom(_CHANCE_DIGITS // 2 * _IDS_AT_ONCE).hex()
    starts = range(0, len(chance), _CHANCE_DIGITS)
    parts = (chance[start : start + _CHANCE_DIGITS] for start in starts)
    return [f"-{_VARIANT[part[0]]}{part[1:4]}-{part[4:]}" for part in parts]
