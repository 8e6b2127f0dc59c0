"""Job ids made by the client: UUID version 7 (RFC 9562), so that every push can be repeated without a second job."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_COUNTER_BITS: Final = (
    12  # rand_a of RFC 9562 section 6.2, method 1: a counter below the millisecond
)


class IdSource:
    """
    Makes version 7 UUIDs that only grow, also when the wall clock steps back. Safe between threads.

    More than 4,096 ids in a millisecond borrow from the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next_id(self) -> str:
        """A new id, lower-case and hyphenated."""
        with self._lock:
            stamp = max((time.time_ns() // 1_000_000) << _COUNTER_BITS, self._last + 1)
            self._last = stamp
        return format_uuid7(
            stamp >> _COUNTER_BITS, stamp & 0xFFF, int.from_bytes(os.urandom(8), "big")
        )


def format_uuid7(ms: int, counter: int, random_bits: int) -> str:
    """48 bits of *ms*, 12 of *counter*, 62 of *random_bits*, with version and variant in their places."""
    value = (ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (counter & 0xFFF) << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# The one source of the process: ids of several clients must not interleave backwards.
_SOURCE: Final = IdSource()
uuid7 = _SOURCE.next_id
