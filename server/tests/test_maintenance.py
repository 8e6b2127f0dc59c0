"""Housekeeping on a clock that is moved by hand: every instant to the millisecond, jumps, gaps, and steps that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.engine.jobs import a_job
from tests.stores import KINDS, Failing, Wrapped, new_store
from tests.world import PATIENCE, World, a_while, until

from jobwire_server.clock import ManualClock
from jobwire_server.errors import StoreFailed, StoreFull
from jobwire_server.events import Event
from jobwire_server.maintenance import Maintenance
from jobwire_server.model import Change
from jobwire_server.operations.core import Options
from jobwire_server.store.base import Applied, Store

DAY = 86_400_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Store]:
    opened = new_store(request.param, tmp_path)
    await opened.open(clock.now())
    yield opened
    await opened.close()


@pytest.fixture
def world(store: Store, clock: ManualClock) -> World:
    return World(store, clock)


# --- at its instant and not before ---


async def test_a_delayed_job_is_promoted(world: World) -> None:
    job_id = await world.push(delay_ms=500)
    world.happened()

    assert await world.after(499) == 0
    assert await world.state(job_id) == "delayed"
    assert await world.after(1) == 1
    assert await world.state(job_id) == "waiting"
    assert world.happened() == ["job.promoted"]


async def test_a_lease_ends(world: World) -> None:
    job = await world.active()
    world.happened()

    assert await world.after(29_999) == 0
    assert await world.after(1) == 1
    after = await world.get(job["id"])
    assert (after["state"], after["attempt"], after["errors"][0]["kind"]) == (
        "waiting",
        1,
        "lease_expired",
    )
    assert world.happened() == ["job.failed"]


async def test_the_last_lost_lease_is_poison(world: World) -> None:
    job_id = await world.push(max_attempts=2)
    for _ in range(2):
        await world.pulled()
        await world.after(30_000)

    job = await world.get(job_id)
    assert (job["state"], job["reason"], len(job["errors"])) == ("dlq", "poison", 2)
    assert world.happened()[-2:] == ["job.failed", "job.dlq"]


async def test_a_timeout_ends_a_try_however_often_the_worker_reports(world: World) -> None:
    job = await world.active(timeout_ms=40_000, backoff_delay_ms=70)
    world.clock.advance(20_000)
    await world.ok("heartbeat", id=job["id"], lease=job["lease"])

    assert await world.after(19_999) == 0
    assert await world.after(1) == 1
    after = await world.get(job["id"])
    assert (after["state"], after["errors"][0]["kind"]) == ("delayed", "timeout")
    assert await world.after(70) == 1


async def test_a_ttl_ends_the_wait(world: World) -> None:
    ids = [
        await world.push(ttl_ms=500),
        await world.push(ttl_ms=500, delay_ms=400),
        await world.push(ttl_ms=500, delay_ms=500),
    ]
    world.happened()

    assert await world.after(499) == 1
    assert await world.after(1) == 3
    assert [(await world.get(job_id))["reason"] for job_id in ids] == ["expired"] * 3
    assert world.happened() == ["job.promoted", "job.cancelled", "job.cancelled", "job.cancelled"]


async def test_a_running_job_outlives_its_ttl_and_expires_when_it_fails(world: World) -> None:
    job = await world.active(ttl_ms=500)
    assert await world.after(1_000) == 0

    await world.ok("fail", id=job["id"], retry_in_ms=0)
    assert await world.after(0) == 1
    assert (await world.get(job["id"]))["reason"] == "expired"


async def test_a_job_whose_try_ends_after_its_ttl_expires_in_the_same_run(world: World) -> None:
    job = await world.active(ttl_ms=500)

    assert await world.after(30_000) == 2
    assert (await world.get(job["id"]))["reason"] == "expired"


async def test_more_jobs_than_a_batch_are_all_done_at_once(world: World) -> None:
    for _ in range(2):
        await world.ok("push_batch", queue="q", jobs=[{"name": "n", "delay_ms": 5}] * 600)

    assert await world.after(5) == 1200
    assert await world.counts() == {"waiting": 1200}


# --- retention ---


async def finished(world: World, state: str, queue: str = "q") -> str:
    job_id = await world.push(queue)
    if state == "cancelled":
        await world.ok("cancel", id=job_id)
    else:
        await world.pulled(queue)
        await world.ok(
            "ack" if state == "completed" else "fail",
            id=job_id,
            **({} if state == "completed" else {"discard": True}),
        )
    return job_id


@pytest.mark.parametrize(("state", "days"), [("completed", 7), ("dlq", 90), ("cancelled", 7)])
async def test_a_finished_job_is_removed_when_its_retention_is_over(
    world: World, state: str, days: int
) -> None:
    job_id = await finished(world, state)

    await world.after(days * DAY)
    assert await world.state(job_id) == state
    await world.after(60_000)
    assert await world.state(job_id) == "gone"


@pytest.mark.parametrize("state", ["completed", "dlq", "cancelled"])
async def test_a_queue_may_have_a_retention_of_its_own(world: World, state: str) -> None:
    await world.ok("queue_update", queue="short", **{f"retention_{state}_ms": 0})
    gone, kept = await finished(world, state, "short"), await finished(world, state)

    await world.after(60_000)

    assert [await world.state(job_id) for job_id in (gone, kept)] == ["gone", state]


async def test_retention_counts_from_the_end_of_the_job(world: World) -> None:
    job_id = await world.push(delay_ms=6 * DAY)
    await world.after(6 * DAY)
    await world.pulled()
    await world.ok("ack", id=job_id)

    await world.after(6 * DAY)

    assert await world.state(job_id) == "completed"


async def test_more_old_jobs_than_a_batch_are_removed_in_one_run(world: World) -> None:
    for _ in range(2):
        ids = (await world.ok("push_batch", queue="q", jobs=[{"name": "n"}] * 600))["ids"]
        await world.ok("pull", queue="q", count=600)
        await world.ok("ack_batch", ids=ids)

    await world.after(8 * DAY)

    assert await world.counts() == {}


async def test_unfinished_jobs_are_never_removed(world: World) -> None:
    job_id = await world.push(delay_ms=400 * DAY)

    await world.after(399 * DAY)

    assert await world.state(job_id) == "delayed"


async def test_the_server_s_retention_is_an_option(store: Store, clock: ManualClock) -> None:
    world = World(
        store, clock, options=Options(retention_ms={"completed": 5, "dlq": 5, "cancelled": 5})
    )
    job_id = await finished(world, "cancelled")

    await world.after(60_000)

    assert await world.state(job_id) == "gone"


# --- sweep and recount ---


async def test_tombstones_are_swept(world: World) -> None:
    job_id = await world.push()
    await world.ok("delete", id=job_id)

    await world.after(59_999)
    assert await world.store.get([job_id]) != [None]
    await world.after(10_000)
    assert await world.store.get([job_id]) == [None]


class SlowPrune(Wrapped):
    """Each prune takes 100 ms, or as long as is said."""

    def __init__(self, store: Store, clock: ManualClock, ms: int = 100) -> None:
        super().__init__(store)
        self.clock = clock
        self.ms = ms

    async def prune(self, *arguments: Any) -> int:
        self.clock.advance(self.ms)
        pruned: int = await self.store.prune(*arguments)
        return pruned


async def many_ended(world: World, thousands: int, **options: Any) -> None:
    """So many thousand jobs that were pushed, pulled and acked."""
    for _ in range(thousands):
        jobs = [{"name": "n", "options": options}] * 1_000
        await world.ok("push_batch", queue="q", jobs=jobs)
        taken = (await world.ok("pull", queue="q", count=1_000))["jobs"]
        await world.ok("ack_batch", items=[{"id": j["id"], "lease": j["lease"]} for j in taken])


@pytest.mark.slow
async def test_tombstones_are_swept_as_fast_as_they_come(world: World) -> None:
    await many_ended(world, 5, remove_on_complete=True)

    await world.after(60_000)

    assert await world.store.sweep(world.clock.now(), 60_000, 10_000) == 0


@pytest.mark.slow
async def test_a_long_prune_holds_up_nothing_that_is_due(store: Store, clock: ManualClock) -> None:
    world = World(SlowPrune(store, clock), clock)
    await many_ended(world, 6)
    clock.advance(7 * DAY + 1)
    job_id = await world.push("other", delay_ms=250)
    due, promoted = clock.now() + 250, []

    def note(events: Any) -> None:
        promoted.extend(clock.now() for event in events if event.job.id == job_id)

    world.core.bus.subscribe(note)
    await world.housekeeper.run_due()

    assert (await world.counts()) == {}
    assert promoted == [due + 50]  # it took 1,200 ms


@pytest.mark.slow
async def test_much_that_is_due_is_not_taken_for_a_stopped_process(
    store: Store, clock: ManualClock
) -> None:
    world = World(SlowPrune(store, clock, 500), clock)
    await many_ended(world, 6)
    clock.advance(7 * DAY + 1)
    before = clock.now()
    await world.housekeeper.run_due()
    assert clock.now() - before >= 6_000

    with capture_logs() as lines:
        await world.housekeeper._watch_clock()
    assert lines == []


async def test_grace_for_a_timeout_that_had_passed_outlasts_a_heartbeat(world: World) -> None:
    """JW-TIME-1: whatever may end an active job waits for one length of its lease from the start on."""
    job = await world.active(timeout_ms=10_000)
    world.clock.advance(20_000)
    await world.housekeeper.start()

    world.clock.advance(1_000)
    for cmd, more in (("heartbeat", {}), ("progress", {"progress": 1})):
        await world.ok(cmd, id=job["id"], lease=job["lease"], **more)
    await world.ok("cancel", id=job["id"])
    assert await world.after(28_999) == 0
    assert await world.after(1) == 1
    assert (await world.get(job["id"]))["errors"][0]["kind"] == "timeout"


async def broken_child(world: World, **fields: Any) -> str:
    """A blocked job as a fault might leave it."""
    parent = await world.push("parents")
    child = await world.push(depends_on=[parent])
    await world.pulled("parents")
    await world.ok("ack", id=parent)
    row = await world.row(child)
    mended = {"state": "blocked", "pending_parents": 1, **fields}
    [outcome] = await world.store.apply(
        [Change(replace(row, revision=row.revision + 1, **mended), row.revision)], world.clock.now()
    )
    assert isinstance(outcome, Applied)
    return child


async def test_a_job_that_is_blocked_by_nothing_is_freed(world: World) -> None:
    children = [await broken_child(world) for _ in range(3)]

    await world.after(60_000)

    assert [await world.state(child) for child in children] == ["waiting"] * 3


async def test_a_job_that_rightly_waits_stays_blocked(world: World) -> None:
    child = await world.push(depends_on=[await world.push("parents")])

    await world.after(60_000)

    assert await world.state(child) == "blocked"


async def test_a_job_retried_below_a_dead_parent_goes_down_again(world: World) -> None:
    parent = await world.push("parents")
    child = await world.push(depends_on=[parent])
    await world.ok("cancel", id=child)
    await world.pulled("parents")
    await world.ok("fail", id=parent, discard=True)
    assert (await world.ok("retry", id=child))["state"] == "blocked"

    await world.after(60_000)

    assert (await world.get(child))["reason"] == "parent_failed"


# --- starts, jumps and gaps ---


async def test_after_a_downtime_every_lease_has_its_length_again(world: World) -> None:
    long = await world.active()
    await world.push()
    short = await world.pulled(lease_ms=5_000)
    world.clock.advance(DAY)

    with capture_logs() as logs:
        await world.housekeeper.start()

    assert [(line["event"], line["count"]) for line in logs] == [("leases.graced", 2)]
    assert await world.after(4_999) == 0
    await world.ok("heartbeat", id=short["id"], lease=short["lease"])
    assert await world.after(5_000) == 1
    assert await world.state(long["id"]) == "active"
    assert await world.after(20_001) == 1


async def test_a_start_without_leases_says_nothing(world: World) -> None:
    with capture_logs() as logs:
        await world.housekeeper.start()

    assert logs == []


class Loop:
    """The housekeeper's own loop; `turn` lets it wake up and waits until it has gone round."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rounds = 0
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Loop:
        run_due = self.world.housekeeper.run_due

        async def counted() -> int:
            changed = await run_due()
            self.rounds += 1
            return changed

        self.world.housekeeper.run_due = counted  # type: ignore[method-assign]
        self.task = asyncio.create_task(self.world.housekeeper.run())
        await self.asleep()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def asleep(self) -> None:
        await until(lambda: self.world.housekeeper._wake_at is not None)

    async def second_round(self) -> None:
        """After a round that failed before it looked at what is due."""
        self.world.core.bus.publish([Event("job.pushed", replace(a_job(), due_at=0))])
        await until(lambda: self.rounds > 0)
        await self.asleep()

    async def pass_time(self, ms: int) -> None:
        """Let time pass as it does for a loop that runs, without a gap."""
        for step in [1_000] * (ms // 1_000) + [ms % 1_000]:
            self.world.clock.advance(step)
            await self.turn()

    async def turn(self) -> None:
        """Something happens that is due now."""
        rounds = self.rounds
        row = replace(await self.world.row(await self.world.push("alarm")), due_at=0)
        self.world.core.bus.publish([Event("job.pushed", row)])
        await until(lambda: self.rounds > rounds)
        await self.asleep()


@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY, 1_500, -1_500])
async def test_a_jump_of_the_wall_clock_never_ends_a_live_lease(world: World, jump: int) -> None:
    job = await world.active(timeout_ms=50_000)
    world.clock.advance(10_000)
    async with Loop(world) as loop:
        world.clock.jump(jump)
        await loop.turn()

        assert world.clock.drift() == 0
        await loop.pass_time(19_999)
        assert await world.state(job["id"]) == "active"
        await world.ok("heartbeat", id=job["id"], lease=job["lease"])
        await loop.pass_time(19_999)
        assert await world.state(job["id"]) == "active"


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_lease_ends_at_its_length_across_a_jump(world: World, jump: int) -> None:
    job = await world.active()
    world.clock.advance(10_000)
    async with Loop(world) as loop:
        world.clock.jump(jump)
        await loop.turn()
        await loop.pass_time(20_000)

        assert await world.state(job["id"]) == "waiting"


async def test_a_small_drift_is_left_alone(world: World) -> None:
    async with Loop(world) as loop:
        world.clock.jump(900)
        await loop.turn()

        assert world.clock.drift() == 900


async def test_housekeeping_goes_on_after_the_clock_was_set_back(world: World) -> None:
    await world.ok("queue_update", queue="q", retention_cancelled_ms=0)
    async with Loop(world) as loop:
        world.clock.jump(-DAY)
        await loop.turn()
        job_id = await finished(world, "cancelled")
        world.clock.advance(60_001)
        await loop.turn()

        assert await world.state(job_id) == "gone"


async def test_a_stopped_process_gives_every_lease_its_length_again(world: World) -> None:
    job = await world.active()
    async with Loop(world) as loop:
        world.clock.advance(3_600_000)
        with capture_logs() as logs:
            await loop.turn()

        assert "loop.stopped" in [line["event"] for line in logs]
        assert await world.state(job["id"]) == "active"
        await world.ok("ack", id=job["id"], lease=job["lease"])


async def test_an_ordinary_wait_is_no_gap(world: World) -> None:
    await world.push()
    job = await world.pulled(lease_ms=1_000)
    async with Loop(world) as loop:
        world.clock.advance(2_000)
        await loop.turn()

        assert await world.state(job["id"]) == "waiting"


async def test_a_loop_that_oversleeps_by_more_than_a_second_was_stopped(world: World) -> None:
    """JW-TIME-3: also a stop that is short, as the shortest leases are."""
    await world.push()
    job = await world.pulled(lease_ms=1_000)
    async with Loop(world) as loop:
        world.clock.advance(2_001)
        await loop.turn()

        assert await world.state(job["id"]) == "active"
        await loop.pass_time(1_000)
        assert await world.state(job["id"]) == "waiting"


class Slow(Wrapped):
    """Its grace takes `ms` of the clock each time, for the given number of times."""

    def __init__(self, store: Store, clock: ManualClock, ms: int, times: int) -> None:
        super().__init__(store)
        self.clock, self.ms, self.times = clock, ms, times

    async def grace(self, now: int, shift: int = 0) -> int:
        changed = await self.store.grace(now, shift)
        if self.times:
            self.times -= 1
            self.clock.advance(self.ms)
        return changed


async def test_a_grace_that_is_always_slow_does_not_hold_up_the_rest(
    store: Store, clock: ManualClock
) -> None:
    """A slow disk with many leases looks like a stop each time; there must be an end to it."""
    world = World(Slow(store, clock, 10_000, 1_000), clock)
    delayed = await world.push(delay_ms=1_000)
    async with Loop(world) as loop:
        clock.advance(3_600_000)
        await loop.turn()

        assert await world.state(delayed) == "waiting"


async def test_a_stop_while_leases_follow_the_clock_gives_grace(
    store: Store, clock: ManualClock
) -> None:
    """JW-TIME-3."""
    world = World(Slow(store, clock, 40_000, 1), clock)
    job = await world.active()
    async with Loop(world) as loop:
        clock.jump(-DAY)
        await loop.turn()

        assert await world.state(job["id"]) == "active"
        await loop.pass_time(29_000)
        assert await world.state(job["id"]) == "active"


# --- waking up ---


async def test_the_loop_wakes_up_for_a_job_that_is_due_before_the_planned_moment(
    world: World,
) -> None:
    async with Loop(world) as loop:
        planned = world.housekeeper._wake_at
        assert planned is not None
        rounds = loop.rounds
        await world.push(delay_ms=300)
        await until(lambda: loop.rounds > rounds)
        await loop.asleep()
        earlier = world.housekeeper._wake_at

    assert (planned - world.clock.now(), (earlier or 0) - world.clock.now()) == (1_000, 300)


class PushesMeanwhile(Wrapped):
    """While the loop reads what is due next, after it was read, a job that is due earlier is pushed."""

    world: World
    pushed: str | None = None

    async def next_due(self) -> int | None:
        due = await self.store.next_due()
        if self.pushed is None:
            self.pushed = "soon"
            self.pushed = await self.world.push(delay_ms=300)
        return due


async def test_a_job_that_comes_while_the_loop_plans_is_not_missed(
    store: Store, clock: ManualClock
) -> None:
    meanwhile = PushesMeanwhile(store)
    world = meanwhile.world = World(meanwhile, clock)
    async with Loop(world) as loop:
        await until(lambda: loop.rounds > 1)
        await loop.asleep()

        assert world.housekeeper._wake_at == clock.now() + 300


async def test_a_job_that_is_due_later_wakes_nobody(world: World) -> None:
    async with Loop(world) as loop:
        rounds = loop.rounds
        await world.push(delay_ms=5_000)
        await world.push()
        await a_while()

        assert loop.rounds == rounds


async def test_what_is_due_while_the_loop_sleeps_is_done_by_its_own_timer(
    store: Store, clock: ManualClock
) -> None:
    world = World(store, clock)
    world.housekeeper = Maintenance(world.core, tick_ms=1)
    job_id = await world.push(delay_ms=100)
    promoted = asyncio.Event()
    world.core.bus.subscribe(
        lambda events: promoted.set() if any(e.job.id == job_id for e in events) else None
    )
    async with Loop(world):
        clock.advance(100)
        async with asyncio.timeout(PATIENCE):
            await promoted.wait()


# --- steps that fail ---


@pytest.mark.parametrize("verb", ["due", "prune", "sweep", "find"])
async def test_a_step_that_fails_does_not_stop_the_others(
    store: Store, clock: ManualClock, verb: str
) -> None:
    world = World(store, clock)
    await world.ok("queue_update", queue="q", retention_cancelled_ms=0)
    delayed = await world.push(delay_ms=60_000)
    old = await finished(world, "cancelled")
    stone = await world.push()
    await world.ok("delete", id=stone)
    blocked = await broken_child(world)
    broken = World(Failing(store, ZeroDivisionError(), [verb]), clock)

    with capture_logs() as logs:
        await broken.after(60_001)

    assert [line["event"] for line in logs] == ["housekeeping.failed"]
    undone = {"due": delayed, "prune": old, "find": blocked}.get(verb)
    expected = {delayed: "waiting", old: "gone", blocked: "waiting"}
    for job_id, state in expected.items():
        assert (await world.state(job_id) == state) is (job_id != undone)
    assert (await store.get([stone]) == [None]) is (verb != "sweep")


@pytest.mark.parametrize("verb", ["due", "prune", "next_due"])
async def test_a_store_that_failed_for_good_ends_the_loop(
    store: Store, clock: ManualClock, verb: str
) -> None:
    await finished(World(store, clock), "cancelled")
    world = World(Failing(store, StoreFailed("fsync"), [verb]), clock)

    with pytest.raises(StoreFailed):
        async with asyncio.timeout(PATIENCE):
            await world.housekeeper.run()


class FailsOnce(Wrapped):
    """Raises `error` the first time that `verb` is asked."""

    def __init__(self, store: Store, verb: str, error: Exception) -> None:
        super().__init__(store)
        self.verb = verb
        self.error: Exception | None = error

    def __getattr__(self, name: str) -> Any:
        if name == self.verb and self.error is not None:
            return self._fail
        return super().__getattr__(name)

    async def _fail(self, *_: Any, **__: Any) -> Any:
        error, self.error = self.error, None
        assert error is not None
        raise error


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_lease_survives_a_jump_whose_first_answer_fails(
    store: Store, clock: ManualClock, jump: int
) -> None:
    job = await World(store, clock).active()
    world = World(FailsOnce(store, "grace", StoreFull("disk")), clock)
    clock.jump(jump)

    with capture_logs() as logs:
        async with Loop(world) as loop:
            await loop.second_round()
            assert await world.state(job["id"]) == "active"
            await loop.pass_time(30_000)
            assert await world.state(job["id"]) == "waiting"
    assert "housekeeping.failed" in [line["event"] for line in logs]


async def test_the_loop_outlives_a_plan_that_fails(store: Store, clock: ManualClock) -> None:
    world = World(FailsOnce(store, "next_due", ZeroDivisionError()), clock)
    world.housekeeper = Maintenance(world.core, tick_ms=1)
    job_id = await world.push(delay_ms=5)

    with capture_logs():
        async with Loop(world) as loop:
            clock.advance(5)
            await loop.turn()

    assert await world.state(job_id) == "waiting"


async def test_a_step_that_always_fails_is_tried_again_a_tick_later(
    store: Store, clock: ManualClock
) -> None:
    world = World(Failing(store, ZeroDivisionError(), ["due"]), clock)
    await world.push(delay_ms=5)
    clock.advance(5)

    with capture_logs() as logs:
        async with Loop(world) as loop:
            assert (loop.rounds, world.housekeeper._wake_at) == (1, clock.now() + 1_000)
    assert len(logs) == 1


async def test_a_job_that_someone_else_changed_meanwhile_is_theirs(
    store: Store, clock: ManualClock
) -> None:
    world = World(store, clock)
    job = await world.active()
    clock.advance(30_000)
    [seen] = await store.due(clock.now(), 10)
    await world.ok("ack", id=job["id"], lease=job["lease"])

    class Late(Wrapped):
        async def due(self, now: int, limit: int) -> Any:
            return [seen]

    assert await World(Late(store), clock).housekeeper.run_due() == 0
    assert await world.state(job["id"]) == "completed"
