"""What the simulation found: a process that is stopped at an awkward moment, and the leases that must have their grace all the same (JW-TIME-1, JW-TIME-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.stores import Wrapped, new_store
from tests.world import World

from jobwire_server.clock import ManualClock

HOUR = 3_600_000


async def nothing() -> None:
    """What comes next after a stop."""


class StopsAfter(Wrapped):
    """Once, when `verb` has had its effect, the process is stopped for an hour; then comes `meanwhile`, and then its caller hears of it."""

    def __init__(self, clock: ManualClock, tmp_path: Any) -> None:
        super().__init__(new_store("memory", tmp_path))
        self.verb = ""
        self.meanwhile: Callable[[], Awaitable[None]] = nothing
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name != self.verb:
            return found

        async def stopped(*arguments: Any, **named: Any) -> Any:
            self.verb = ""
            result = await found(*arguments, **named)
            self._clock.advance(HOUR)
            await self.meanwhile()
            return result

        return stopped


@pytest.fixture
def store(tmp_path: Any) -> StopsAfter:
    return StopsAfter(ManualClock(), tmp_path)


@pytest.fixture
def world(store: StopsAfter) -> World:
    return World(store, store._clock)  # type: ignore[arg-type]


async def goes_on(world: World) -> None:
    """One round of the housekeeper, as its loop does it."""
    assert await world.housekeeper._watch_clock()
    await world.housekeeper.run_due()


async def test_a_clock_that_is_set_while_the_process_is_stopped_hides_no_stop(
    world: World,
) -> None:
    await goes_on(world)
    job = await world.active()
    world.clock.advance(HOUR)
    world.clock.jump(5_000)

    await goes_on(world)

    assert await world.state(job["id"]) == "active"


async def test_a_stop_in_the_midst_of_what_is_due_ends_no_other_lease(
    world: World, store: StopsAfter
) -> None:
    await world.push()
    short = await world.pulled(lease_ms=1_000)
    long = await world.active()
    await goes_on(world)
    world.clock.advance(1_000)
    store.verb = "apply"

    await goes_on(world)
    await goes_on(world)

    assert await world.state(short["id"]) == "waiting"
    assert await world.state(long["id"]) == "active"


async def test_a_stop_during_the_start_ends_no_lease(world: World, store: StopsAfter) -> None:
    job = await world.active()
    store.verb = "grace"

    await world.housekeeper.start()
    await goes_on(world)

    assert await world.state(job["id"]) == "active"


async def test_a_heartbeat_from_before_a_stop_does_not_take_back_the_grace(
    world: World, store: StopsAfter
) -> None:
    job = await world.active()
    again = World(store, store._clock)  # type: ignore[arg-type]  # one that must read the job first
    await goes_on(again)
    store.verb, store.meanwhile = "get", lambda: goes_on(again)

    await again.ok("heartbeat", id=job["id"], lease=job["lease"])
    await goes_on(again)

    assert await world.state(job["id"]) == "active"
