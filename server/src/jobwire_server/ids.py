"""Ids: UUIDv7 (RFC 9562), made in increasing order within a process."""

from __future__ import annotations

import os
import time


class IdMaker:
    """
    Makes UUIDv7 text. Ids of one maker increase strictly, also within a millisecond and when the clock steps back.

    The 12 bits after the version and the top of the random part count up within a millisecond (RFC 9562 §6.2,
    method 2), so a batch keeps its order when sorted by id.
    """

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        chance = int.from_bytes(os.urandom(9), "big") & ((1 << 73) - 1)
        fresh = (time.time_ns() // 1_000_000) << 74 | chance
        self._last = value = fresh if fresh > self._last else self._last + 1 + (fresh & 0xFFFF)
        stamp, low = value >> 74, value & ((1 << 74) - 1)
        number = stamp << 80 | 7 << 76 | (low >> 62) << 64 | 2 << 62 | low & ((1 << 62) - 1)
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
