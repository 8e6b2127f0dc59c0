"""Time. The only module of the server, with app.py and ids.py, that reads a clock."""

from __future__ import annotations

import time
from typing import Protocol

MS = 1_000_000  # nanoseconds


class Clock(Protocol):
    """Where `now` comes from; a manual one in tests."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch; never goes back, and is not moved by a jump of the wall clock."""
        ...

    def drift(self) -> int:
        """How far the wall clock has moved away from `now()` since the last `resync()`, in ms (signed)."""
        ...

    def resync(self) -> None:
        """Follow the wall clock again; `now()` may jump by `drift()`."""
        ...


class SystemClock:
    """
    The monotonic clock, anchored to the wall clock at start.

    Leases must not end early because someone set the date (JW-TIME-2), so `now` runs with the monotonic clock; the
    housekeeper watches `drift` and, when it grows, resyncs and moves the live leases along.
    """

    def __init__(self) -> None:
        self._offset = 0
        self.resync()

    def now(self) -> int:
        return (time.monotonic_ns() + self._offset) // MS

    def drift(self) -> int:
        return (time.time_ns() - time.monotonic_ns() - self._offset) // MS

    def resync(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()


class ManualClock:
    """A clock that only moves when told; for tests and for the virtual time of test mode."""

    def __init__(self, now: int = 1_767_225_600_000) -> None:
        self._now = now
        self._drift = 0

    def now(self) -> int:
        return self._now

    def advance(self, ms: int) -> None:
        self._now += ms

    def jump(self, ms: int) -> None:
        """Set the wall clock forward or back without time passing."""
        self._drift += ms

    def drift(self) -> int:
        return self._drift

    def resync(self) -> None:
        self._now += self._drift
        self._drift = 0
