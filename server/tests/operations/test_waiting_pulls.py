"""Pulls that wait: woken by everything that makes a job ready, each job by one of them, none forgotten (JW-PULL-9, JW-PULL-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stores import (
    ClaimsAtABarrier,
    ClaimsSlowly,
    InsertsLate,
    PushedBetween,
    Wrapped,
    new_store,
)
from tests.world import PATIENCE, World, a_while, soon

from jobwire_server.clock import ManualClock
from jobwire_server.store.base import Store
from jobwire_server.store.sqlite.writer import Writer

LONG = 60_000


def waiting_pull(world: World, **fields: Any) -> asyncio.Task[dict[str, Any]]:
    return asyncio.create_task(world.ok("pull", **{"queue": "q", "wait_ms": LONG, **fields}))


async def no_job(task: asyncio.Task[Any]) -> bool:
    await a_while()
    return not task.done()


Ready = Callable[[World, str], Awaitable[Any]]


async def _pushed(world: World, _: str) -> None:
    await world.push(name="pushed")


async def _push_batch(world: World, _: str) -> None:
    await world.ok("push_batch", queue="q", jobs=[{"name": "n"}])


async def _resumed(world: World, _: str) -> None:
    await world.ok("queue_resume", queue="q")


async def _prepare_paused(world: World) -> str:
    await world.ok("queue_pause", queue="q")
    return await world.push()


async def _prepare_dead(world: World) -> str:
    job = await world.active()
    await world.ok("fail", id=job["id"], discard=True)
    return str(job["id"])


async def _prepare_blocked(world: World) -> str:
    parent = await world.push("parents")
    await world.push(depends_on=[parent])
    await world.pulled("parents")
    return parent


WAYS: dict[str, tuple[Callable[[World], Awaitable[Any]], Ready]] = {
    "a push": (lambda world: a_while(), _pushed),
    "a batch of pushes": (lambda world: a_while(), _push_batch),
    "a promote": (
        lambda world: world.push(delay_ms=LONG),
        lambda world, job: world.ok("promote", id=job),
    ),
    "a release": (
        lambda world: _active_id(world),
        lambda world, job: world.ok("release", id=job),
    ),
    "a fail without backoff": (
        lambda world: _active_id(world),
        lambda world, job: world.ok("fail", id=job, retry_in_ms=0),
    ),
    "a retry": (_prepare_dead, lambda world, job: world.ok("retry", id=job)),
    "a retry of dead letters": (_prepare_dead, lambda world, _: world.ok("dlq_retry", queue="q")),
    "a resume": (_prepare_paused, _resumed),
    "the end of a parent": (_prepare_blocked, lambda world, parent: world.ok("ack", id=parent)),
    "the time of a delayed job": (
        lambda world: world.push(delay_ms=50),
        lambda world, _: world.after(50),
    ),
    "the end of a lease": (lambda world: _active_id(world), lambda world, _: world.after(30_000)),
}


async def _active_id(world: World) -> str:
    return str((await world.active())["id"])


@pytest.mark.parametrize("way", WAYS)
async def test_a_waiting_pull_is_woken_by(world: World, way: str) -> None:
    prepare, make_ready = WAYS[way]
    job_id = await prepare(world)
    task = waiting_pull(world)
    assert await no_job(task)

    await make_ready(world, job_id or "")

    assert (await soon(task))["job"]["state"] == "active"


async def test_a_wait_that_finds_nothing_ends_with_nothing(world: World) -> None:
    assert await world.ask("pull", queue="q", wait_ms=1) == {"ok": True, "job": None}
    assert await world.ask("pull", queue="q", wait_ms=1, count=2) == {"ok": True, "jobs": []}


async def test_a_job_that_is_there_already_is_answered_without_waiting(world: World) -> None:
    job_id = await world.push()

    assert (await soon(waiting_pull(world)))["job"]["id"] == job_id


async def test_one_job_is_given_to_exactly_one_of_many_waiting_pulls(world: World) -> None:
    tasks = [waiting_pull(world) for _ in range(10)]
    await a_while()

    await world.push()
    done, left = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    await a_while()

    assert len(done) == 1
    assert not any(task.done() for task in left)
    world.operations.drain()
    assert [(await soon(task))["job"] for task in left] == [None] * 9


async def test_the_pull_that_waited_longest_is_served_first(world: World) -> None:
    tasks = []
    for _ in range(3):
        tasks.append(waiting_pull(world))
        await a_while()

    for task in tasks:
        job_id = await world.push()
        assert (await soon(task))["job"]["id"] == job_id


async def test_as_many_pulls_are_woken_as_there_are_jobs(world: World) -> None:
    tasks = [waiting_pull(world) for _ in range(3)]
    await a_while()

    await world.ok("push_batch", queue="q", jobs=[{"name": "n"}] * 3)

    jobs = [(await soon(task))["job"]["id"] for task in tasks]
    assert len(set(jobs)) == 3


async def test_a_pull_of_several_queues_is_woken_by_any_of_them(world: World) -> None:
    for queue in ("a", "b"):
        task = asyncio.create_task(world.ok("pull", queues=["a", "b"], wait_ms=LONG))
        await a_while()
        await world.push(queue)
        assert (await soon(task))["job"]["queue"] == queue


async def test_a_job_is_not_forgotten_when_the_pull_that_was_woken_wants_other_names(
    world: World,
) -> None:
    picky = waiting_pull(world, names=["other"])
    await a_while()
    pickier = waiting_pull(world, names=["yet-another"])
    await a_while()
    open_to_all = waiting_pull(world)
    await a_while()

    job_id = await world.push(name="n")

    assert (await soon(open_to_all))["job"]["id"] == job_id
    assert not picky.done()
    assert not pickier.done()
    world.operations.drain()
    await soon(picky)
    await soon(pickier)


async def test_a_job_is_not_forgotten_when_the_pull_that_was_woken_takes_one_of_another_queue(
    world: World,
) -> None:
    both = asyncio.create_task(world.ok("pull", queues=["first", "second"], wait_ms=LONG))
    await a_while()
    second = waiting_pull(world, queue="second")
    await a_while()

    # As a rule both before the woken pull can look; the first of the pushes wakes it.
    await asyncio.gather(world.push("second"), world.push("first"))

    if (await soon(both))["job"]["queue"] == "second":
        await world.push(
            "second"
        )  # a thread of the store saw the first push alone, so one is missing
    assert (await soon(second))["job"]["queue"] == "second"


async def test_a_push_between_the_look_and_the_wait_is_not_missed(
    store: Store, clock: ManualClock
) -> None:
    world = World(store, clock)
    between = PushedBetween(store, lambda: world.push())
    pulling = World(between, clock)
    # One bus for both, as in a server.
    world.core.bus.subscribe(pulling.core.bus.publish)

    task = waiting_pull(pulling)

    assert (await soon(task))["job"] is not None


async def test_a_pull_that_is_cancelled_after_it_was_woken_passes_the_word_on(world: World) -> None:
    job = await world.active()
    first, second = waiting_pull(world), waiting_pull(world)
    await a_while()

    releasing = asyncio.create_task(world.ok("release", id=job["id"]))
    woken = asyncio.Event()
    world.core.bus.subscribe(lambda events: woken.set())
    await woken.wait()
    first.cancel()

    assert (await soon(second))["job"]["id"] == job["id"]
    with pytest.raises(asyncio.CancelledError):
        await first
    await releasing


async def test_a_pushed_job_and_the_pull_that_waits_for_it_share_a_commit(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[list[str]] = []
    serve = Writer.serve

    def noted(self: Writer, calls: Any) -> Any:
        commits.append([call.verb for call in calls])
        return serve(self, calls)

    monkeypatch.setattr(Writer, "serve", noted)
    store = new_store("sqlite", tmp_path)
    await store.open(clock.now())
    world = World(store, clock)
    task = waiting_pull(world)
    await a_while()

    pushed = await world.push()

    assert (await soon(task))["job"]["id"] == pushed
    assert commits == [["claim", "insert"]]
    await store.close()


@pytest.mark.parametrize("wrapped", [InsertsLate, ClaimsSlowly])
async def test_a_claim_for_a_push_that_comes_too_early_loses_nothing(
    store: Store, clock: ManualClock, wrapped: type[Wrapped]
) -> None:
    world = World(wrapped(store), clock)
    task = waiting_pull(world)
    await asyncio.sleep(0.05)

    assert (await soon(world.push())) == (await soon(task))["job"]["id"]


async def test_a_pull_that_is_cancelled_while_a_push_is_claimed_for_it_gives_the_job_back(
    world: World,
) -> None:
    first, second = waiting_pull(world), waiting_pull(world)
    await a_while()

    pushing = asyncio.create_task(world.push())
    await asyncio.sleep(0)  # the push has submitted its job and the claim for the first pull
    first.cancel()

    assert (await soon(second))["job"]["id"] == await pushing
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_pull_that_is_cancelled_while_the_store_claims_gives_its_jobs_back(
    store: Store, clock: ManualClock
) -> None:
    barrier = ClaimsAtABarrier(store)
    world = World(barrier, clock)
    ids = [await world.push(), await world.push()]
    task = asyncio.create_task(world.ok("pull", queue="q", count=2))
    await barrier.claimed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released = asyncio.Event()
    world.core.bus.subscribe(
        lambda events: released.set() if any(e.name == "job.released" for e in events) else None
    )

    barrier.answer.set()
    async with asyncio.timeout(PATIENCE):
        await released.wait()

    jobs = [await world.row(job_id) for job_id in ids]
    assert [(job.state, job.attempt, job.settled_by) for job in jobs] == [
        ("waiting", 0, "release")
    ] * 2


async def test_a_pull_that_is_repeated_while_its_first_one_is_given_up_keeps_its_jobs(
    store: Store, clock: ManualClock
) -> None:
    """JW-PULL-11: the connection was lost, and the client is back before the store has answered."""
    barrier = ClaimsAtABarrier(store)
    world = World(barrier, clock)
    await world.push()
    gone = asyncio.create_task(world.ok("pull", queue="q", request_id="r"))
    await barrier.claimed.wait()
    again = asyncio.create_task(world.ok("pull", queue="q", request_id="r"))
    await a_while()

    gone.cancel()
    barrier.answer.set()

    job = (await soon(again))["job"]
    await a_while()
    assert await world.state(job["id"]) == "active"
    await world.ok("ack", id=job["id"], lease=job["lease"])


@pytest.mark.parametrize("wait_ms", [0, LONG])
async def test_a_pull_that_waits_is_left_by_its_repeat_and_takes_no_job(
    store: Store, clock: ManualClock, wait_ms: int
) -> None:
    """JW-PULL-11: its connection is dead and nobody was told, so that a job would be held there until its lease ends."""
    world = World(store, clock)
    left = waiting_pull(world, request_id="r")
    assert await no_job(left)
    again = asyncio.create_task(world.ok("pull", queue="q", request_id="r", wait_ms=wait_ms))

    assert (await soon(left))["job"] is None
    if not wait_ms:
        assert (await soon(again))["job"] is None
        again = waiting_pull(world, request_id="next")
    await a_while()
    job_id = await world.push()

    assert (await soon(again))["job"]["id"] == job_id


async def test_a_pull_that_was_told_of_a_job_leaves_it_to_its_repeat(
    store: Store, clock: ManualClock
) -> None:
    """JW-PULL-11, in the moment in which both could take it."""
    world = World(store, clock)
    left = waiting_pull(world, request_id="r")
    assert await no_job(left)

    pushing = asyncio.create_task(world.push())
    await asyncio.sleep(0)
    again = asyncio.create_task(world.ok("pull", queue="q", request_id="r", wait_ms=LONG))
    job_id = await pushing

    assert (await soon(again))["job"]["id"] == job_id
    await soon(left)
    assert await world.state(job_id) == "active"


async def test_jobs_that_come_back_from_a_cancelled_pull_go_to_one_that_waits(
    store: Store, clock: ManualClock
) -> None:
    barrier = ClaimsAtABarrier(store)
    world = World(barrier, clock)
    job_id = await world.push()
    gone = asyncio.create_task(world.ok("pull", queue="q"))
    await barrier.claimed.wait()
    waiting = waiting_pull(world)
    await a_while()

    gone.cancel()
    barrier.answer.set()

    answer = await soon(waiting)
    assert (answer["job"]["id"], answer["job"]["delivery"]) == (job_id, 2)


async def test_a_cancelled_pull_that_claimed_nothing_gives_nothing_back(
    store: Store, clock: ManualClock
) -> None:
    barrier = ClaimsAtABarrier(store)
    world = World(barrier, clock)
    await world.push(name="n")
    task = asyncio.create_task(world.ok("pull", queue="q", names=["other"]))
    await barrier.claimed.wait()
    task.cancel()
    barrier.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await a_while()

    assert world.happened() == ["job.pushed"]


async def test_pulls_that_went_away_leave_nothing_behind(world: World) -> None:
    tasks = [waiting_pull(world, queue=f"q{index}") for index in range(5)]
    await a_while()
    assert len(world.operations._waiters) == 5

    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert len(world.operations._waiters) == 0


async def test_a_drain_answers_waiting_pulls_empty_and_refuses_new_ones(world: World) -> None:
    job = await world.active()
    one, many = waiting_pull(world), waiting_pull(world, count=5)
    await a_while()

    world.operations.drain()

    assert await soon(one) == {"ok": True, "job": None}
    assert await soon(many) == {"ok": True, "jobs": []}
    refusal = await world.ask("pull", queue="q")
    assert refusal["error"]["code"] == "SHUTTING_DOWN"
    assert refusal["error"]["retry_after_ms"] > 0
    await world.ok("ack", id=job["id"], lease=job["lease"])
