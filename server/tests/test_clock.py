"""The clocks: `now` follows the monotonic one, `drift` says how far the wall has gone (JW-TIME-2)."""

from __future__ import annotations

import time

import pytest

from jobwire_server.clock import ManualClock, SystemClock

SECOND = 1_000_000_000


class Times:
    """What the operating system says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1_700_000_000 * SECOND, 5 * SECOND
        patch.setattr(time, "time_ns", lambda: self.wall)
        patch.setattr(time, "monotonic_ns", lambda: self.monotonic)

    def pass_seconds(self, seconds: int) -> None:
        self.wall += seconds * SECOND
        self.monotonic += seconds * SECOND


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


def test_now_starts_at_the_wall_clock_and_passes_with_it(times: Times) -> None:
    clock = SystemClock()

    assert clock.now() == 1_700_000_000_000
    times.pass_seconds(7)
    assert (clock.now(), clock.drift()) == (1_700_000_007_000, 0)


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_of_the_wall_does_not_move_now_until_it_is_followed(times: Times, jump: int) -> None:
    clock = SystemClock()
    times.pass_seconds(1)
    times.wall += jump * SECOND

    assert (clock.now(), clock.drift()) == (1_700_000_001_000, jump * 1_000)
    clock.resync()
    assert (clock.now(), clock.drift()) == (1_700_000_001_000 + jump * 1_000, 0)


def test_the_manual_clock_moves_when_it_is_told_to() -> None:
    clock = ManualClock(1_000)

    clock.advance(5)
    clock.jump(-300)

    assert (clock.now(), clock.drift()) == (1_005, -300)
    clock.resync()
    assert (clock.now(), clock.drift()) == (705, 0)
