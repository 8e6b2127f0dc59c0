"""The clock of a server in test mode: the machine's, until its loop stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobwire_server.clock import SystemClock

if TYPE_CHECKING:
    from jobwire_server.test_mode.loop import VirtualLoop


class VirtualClock:
    """
    A Clock that stands still with its loop and moves as the loop is moved.

    It is set as a wall clock is set: `set_to` leaves `now()` alone and makes a `drift()`, which the housekeeper notices, so that leases
    move along (JW-TIME-2).
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._system = SystemClock()
        self._ahead = 0  # of the system's clock, while time passes by itself
        self._frozen_at: int | None = None
        self._drift = 0

    def now(self) -> int:
        if self._frozen_at is None:
            return self._system.now() + self._ahead
        return self._frozen_at + self._loop.elapsed_ms

    def drift(self) -> int:
        if self._frozen_at is None:
            return self._system.drift() - self._ahead
        return self._drift

    def resync(self) -> None:
        if self._frozen_at is None:
            self._system.resync()
            self._ahead = 0
        else:
            self._frozen_at += self._drift
            self._drift = 0

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    def freeze(self) -> None:
        """Stand still, and the loop with it."""
        if self._frozen_at is None:
            now = self.now()
            self._loop.freeze()
            self._frozen_at, self._drift = now, 0

    def thaw(self) -> None:
        """Go on from where it stands."""
        if self._frozen_at is not None:
            now = self.now()
            self._loop.thaw()
            self._frozen_at = None
            self._ahead = now - self._system.now()

    def set_to(self, instant: int) -> None:
        """While it stands still: the wall clock shows `instant` from now on."""
        self._drift = instant - self.now()

    def wall(self) -> int:
        """What the machine's clock shows."""
        return self._system.now() + self._system.drift()
