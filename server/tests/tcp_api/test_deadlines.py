"""Deadlines: who is looked at when."""

from __future__ import annotations

from jobwire_server.clock import ManualClock
from jobwire_server.tcp_api.deadlines import MAX_STEP_MS, SLOT_MS, Deadlines


class Item:
    def __init__(self) -> None:
        self.slot: int | None = None


def made() -> tuple[ManualClock, Deadlines[Item]]:
    clock = ManualClock()
    return clock, Deadlines(clock)


def seconds_until_due(clock: ManualClock, deadlines: Deadlines[Item], item: Item) -> int | None:
    for passed in range(100):
        if item in deadlines.advance():
            return passed
        clock.advance(1000)
    return None


def test_an_item_is_due_at_its_time_and_never_before() -> None:
    for due, seconds in ((1, 1), (1000, 1), (1001, 2), (30_000, 30), (0, 1)):
        clock, deadlines = made()
        item = Item()
        deadlines.look_by(item, due)

        assert seconds_until_due(clock, deadlines, item) == seconds


def test_an_item_is_handed_out_once() -> None:
    clock, deadlines = made()
    item = Item()
    deadlines.look_by(item, 1000)

    assert seconds_until_due(clock, deadlines, item) == 1
    assert seconds_until_due(clock, deadlines, item) is None


def test_an_earlier_look_wins_and_a_later_one_changes_nothing() -> None:
    clock, deadlines = made()
    first, second = Item(), Item()
    for item, dues in ((first, (60_000, 5_000)), (second, (5_000, 60_000))):
        for due in dues:
            deadlines.look_by(item, due)

    assert seconds_until_due(clock, deadlines, first) == 5
    assert second.slot is None


def test_a_dropped_item_is_not_looked_at() -> None:
    clock, deadlines = made()
    item = Item()
    deadlines.look_by(item, 1000)

    deadlines.drop(item)
    deadlines.drop(item)

    assert seconds_until_due(clock, deadlines, item) is None


def test_a_gap_in_the_clock_counts_for_a_few_seconds_only() -> None:
    clock, deadlines = made()
    item = Item()
    deadlines.look_by(item, MAX_STEP_MS + SLOT_MS)

    clock.advance(86_400_000)
    assert deadlines.advance() == []
    assert deadlines.now == MAX_STEP_MS

    clock.advance(SLOT_MS)
    assert deadlines.advance() == [item]


def test_time_in_which_nobody_waited_does_not_count() -> None:
    """Whoever comes after an hour of rest has its whole time, and somebody is told to advance again."""
    clock = ManualClock()
    wanted: list[int] = []
    deadlines: Deadlines[Item] = Deadlines(clock, lambda: wanted.append(clock.now()))
    clock.advance(3_600_000)
    item = Item()

    deadlines.look_by(item, deadlines.now + 5_000)

    assert wanted == [clock.now()]
    assert seconds_until_due(clock, deadlines, item) == 5
    assert not deadlines


def test_the_first_of_many_makes_it_wanted_and_the_last_that_leaves_ends_it() -> None:
    wanted: list[None] = []
    deadlines: Deadlines[Item] = Deadlines(ManualClock(), lambda: wanted.append(None))
    items = [Item(), Item()]
    for item in items:
        deadlines.look_by(item, 5_000)
    for item in items:
        assert deadlines
        deadlines.drop(item)

    assert not deadlines
    assert len(wanted) == 1
