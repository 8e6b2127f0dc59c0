"""
Deadlines of all connections of a door, in one place: no timer a connection, and no look at one that is not due.

Goals: ten thousand connections that wait cost next to nothing, and none at all costs nothing; a deadline is met at most SLOT_MS
late, and never early.
Plan: a wheel. Each item stands in the slot of its next look; `advance` hands out the slots that have passed.
Warning: time is the clock's, counted in steps of at most MAX_STEP_MS. When the process was stopped or the clock was set, the
silence in between was not the peers', and what they sent may still wait in the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire_server.clock import Clock

SLOT_MS: Final = 1_000
MAX_STEP_MS: Final = 5 * SLOT_MS


class Timed(Protocol):
    """Something with deadlines; `slot` belongs to the wheel, and is None while the item is not in it."""

    slot: int | None


T = TypeVar("T", bound=Timed)


class Deadlines(Generic[T]):
    """
    `now` is the time of the last `advance`, in ms of the time in which there was something to wait for: good enough to stamp what happens.

    `wanted` is called when the first item comes: from then on somebody must `advance`, until the wheel is empty.
    """

    def __init__(self, clock: Clock, wanted: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wanted = wanted
        self._seen = clock.now()
        self._slots: dict[int, set[T]] = {}
        self._passed = 0
        self.now = 0

    def __bool__(self) -> bool:
        return bool(self._slots)

    def look_by(self, item: T, due: int) -> None:
        """Hand `item` out when `due` has come; an earlier look stays as it is."""
        slot = max(-(-due // SLOT_MS), self._passed + 1)
        if item.slot is not None:
            if item.slot <= slot:
                return
            self.drop(item)
        if not self._slots:
            self._seen = self._clock.now()
            self._wanted()
        item.slot = slot
        self._slots.setdefault(slot, set()).add(item)

    def drop(self, item: T) -> None:
        """Forget `item`."""
        if item.slot is None:
            return
        items = self._slots[item.slot]
        items.discard(item)
        if not items:
            del self._slots[item.slot]
        item.slot = None

    def advance(self) -> list[T]:
        """Move on to the clock's time; the items whose look is due, which are out of the wheel now."""
        seen = self._clock.now()
        self.now += max(0, min(seen - self._seen, MAX_STEP_MS))
        self._seen = seen
        due: list[T] = []
        current = self.now // SLOT_MS
        for slot in range(self._passed + 1, current + 1):
            due += self._slots.pop(slot, ())
        self._passed = current
        for item in due:
            item.slot = None
        return due
