"""How a worker hears that its job should stop or is lost: notices, waiting heartbeats. And who is deaf."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.world import World, a_while, soon

from jobwire_server.operations.core import Caller

LONG = 60_000


class Connection(Caller):
    """A connection of wire version 2 that keeps its notices."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        super().__init__("tcp2", "192.0.2.1", "python/1", self.notices.append)


async def pulled_by(world: World, caller: Caller, **fields: Any) -> dict[str, Any]:
    await world.push(**fields)
    job: dict[str, Any] = (await world.ok("pull", caller, queue="q"))["job"]
    return job


def listen(world: World, worker: str = "w", **fields: Any) -> asyncio.Task[dict[str, Any]]:
    said = {"worker": {"id": worker}, "wait_ms": LONG, **fields}
    return asyncio.create_task(world.ok("heartbeat_batch", **said))


# --- notices ---


async def test_a_cancel_is_told_to_the_connection_that_pulled(world: World) -> None:
    holder, other = Connection(), Connection()
    job = await pulled_by(world, holder)
    await pulled_by(world, other)

    await world.ok("cancel", id=job["id"])

    assert holder.notices == [{"notice": "job.cancel", "id": job["id"], "lease": job["lease"]}]
    assert other.notices == []


async def test_a_second_cancel_tells_nothing_more(world: World) -> None:
    holder = Connection()
    job = await pulled_by(world, holder)

    for _ in range(2):
        await world.ok("cancel", id=job["id"])

    assert len(holder.notices) == 1


@pytest.mark.parametrize("fields", [{}, {"timeout_ms": 500}, {"max_attempts": 1}])
async def test_a_lost_lease_is_told(world: World, fields: dict[str, Any]) -> None:
    holder = Connection()
    job = await pulled_by(world, holder, **fields)

    await world.after(500 if "timeout_ms" in fields else 30_000)

    assert holder.notices == [{"notice": "lease.lost", "id": job["id"], "lease": job["lease"]}]


async def test_a_lost_lease_of_a_cancelled_job_is_told(world: World) -> None:
    holder = Connection()
    job = await pulled_by(world, holder)
    await world.ok("cancel", id=job["id"])
    await world.after(30_000)

    assert [notice["notice"] for notice in holder.notices] == ["job.cancel", "lease.lost"]
    assert await world.state(job["id"]) == "cancelled"


@pytest.mark.parametrize("call", ["ack", "fail", "release"])
async def test_what_a_worker_does_itself_is_not_told(world: World, call: str) -> None:
    holder = Connection()
    job = await pulled_by(world, holder)

    await world.ok(call, holder, id=job["id"], lease=job["lease"])
    await world.after(LONG)

    assert holder.notices == []


async def test_the_next_holder_is_told_and_not_the_one_before(world: World) -> None:
    first, second = Connection(), Connection()
    job = await pulled_by(world, first)
    await world.ok("release", first, id=job["id"])
    await world.ok("pull", second, queue="q")

    await world.ok("cancel", id=job["id"])

    assert (first.notices, len(second.notices)) == ([], 1)


async def test_a_connection_that_is_gone_is_told_nothing_and_keeps_its_leases(world: World) -> None:
    holder = Connection()
    job = await pulled_by(world, holder)

    world.operations.forget(holder)
    world.operations.forget(holder)
    await world.ok("cancel", id=job["id"])

    assert holder.notices == []
    await world.ok("ack", id=job["id"], lease=job["lease"])


# --- waiting heartbeats ---


async def test_a_cancel_ends_the_wait_of_its_worker_at_once(world: World) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    mine, other = listen(world), listen(world, "someone-else")
    await a_while()
    assert not mine.done()

    await world.ok("cancel", id=job["id"])

    answer = await soon(mine)
    assert (answer["cancelled"], answer["lost"], answer["results"]) == ([job["id"]], [], [])
    assert not other.done()
    other.cancel()


async def test_a_cancelled_job_that_its_worker_knows_of_does_not_end_the_wait_again(
    world: World,
) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    await world.ok("cancel", id=job["id"])
    items = [{"id": job["id"], "lease": job["lease"]}]
    assert (await soon(listen(world, items=items)))["cancelled"] == [job["id"]]

    again = listen(world, items=items)
    await a_while()

    assert not again.done()
    await world.ok("release", **items[0])
    again.cancel()


async def test_a_lost_lease_ends_the_wait_of_its_worker(world: World) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    task = listen(world)
    await a_while()

    await world.after(30_000)

    assert (await soon(task))["lost"] == [job["id"]]


async def test_what_happened_between_two_waits_is_told_by_the_second(world: World) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    await world.ok("heartbeat_batch", worker={"id": "w"}, wait_ms=1)

    await world.ok("cancel", id=job["id"])

    assert (await soon(listen(world)))["cancelled"] == [job["id"]]


async def test_news_are_told_once(world: World) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    task = listen(world)
    await a_while()
    await world.ok("cancel", id=job["id"])
    await soon(task)

    assert (await world.ok("heartbeat_batch", worker={"id": "w"}, wait_ms=1))["cancelled"] == []


async def test_an_item_with_news_of_its_own_is_answered_without_waiting(world: World) -> None:
    await world.push()
    job = await world.pulled(worker_id="w")
    await world.ok("cancel", id=job["id"])

    answer = await soon(listen(world, items=[{"id": job["id"], "lease": job["lease"]}]))

    assert answer["cancelled"] == [job["id"]]
    assert answer["results"][0]["cancelled"] is True


async def test_a_wait_without_news_ends_with_nothing(world: World) -> None:
    answer = await world.ok("heartbeat_batch", worker={"id": "w"}, wait_ms=1)

    assert answer == {"ok": True, "results": [], "lost": [], "cancelled": [], "deaf": False}


async def test_a_worker_that_waits_anew_ends_its_earlier_wait(world: World) -> None:
    earlier = listen(world)
    await a_while()
    later = listen(world)

    assert (await soon(earlier))["cancelled"] == []
    assert not later.done()
    world.operations.drain()
    await soon(later)


async def test_a_drain_ends_every_wait(world: World) -> None:
    tasks = [listen(world, f"w{index}") for index in range(3)]
    await a_while()

    world.operations.drain()

    for task in tasks:
        assert (await soon(task))["lost"] == []
    assert (await soon(listen(world)))["lost"] == []


async def test_a_wait_without_a_worker_is_refused(world: World) -> None:
    assert await world.refused("heartbeat_batch", wait_ms=5) == "VALIDATION_ERROR"
    assert await world.refused("heartbeat_batch", worker={"id": ""}) == "VALIDATION_ERROR"


# --- who works here ---


async def report(world: World, **fields: Any) -> dict[str, Any]:
    return await world.ok(
        "heartbeat_batch", worker={"id": "w", "queues": ["q"], "free": 2, **fields}
    )


async def the_worker(world: World) -> dict[str, Any]:
    [worker] = (await world.ok("workers"))["workers"]
    return dict(worker)


async def test_a_worker_is_listed_with_what_it_last_said(world: World) -> None:
    job = await pulled_by(world, world.caller)
    items = [{"id": job["id"], "lease": job["lease"]}]

    caller = Caller("http", "192.0.2.1", "node/2")
    await world.ok(
        "heartbeat_batch",
        caller,
        items=items,
        worker={"id": "w", "queues": ["q"], "concurrency": 4, "free": 3},
    )

    worker = await the_worker(world)
    assert {
        key: worker[key]
        for key in ("id", "queues", "concurrency", "free", "held", "state", "client", "transport")
    } == {
        "id": "w",
        "queues": ["q"],
        "concurrency": 4,
        "free": 3,
        "held": 1,
        "state": "alive",
        "client": "node/2",
        "transport": "http",
    }
    assert worker["first_seen_at"] == worker["last_seen_at"]
    assert worker["last_pull_at"] is None


async def test_a_worker_is_deaf_when_it_has_slots_and_work_and_does_not_ask(world: World) -> None:
    await world.push()
    assert (await report(world))["deaf"] is False

    world.clock.advance(10_001)

    assert (await report(world))["deaf"] is True
    assert (await the_worker(world))["state"] == "deaf"


@pytest.mark.parametrize(
    "fields", [{"free": 0}, {"state": "quiet"}, {"queues": ["empty"]}, {"free": None}]
)
async def test_a_worker_that_has_a_reason_not_to_ask_is_not_deaf(
    world: World, fields: dict[str, Any]
) -> None:
    await world.push()
    await report(world)
    world.clock.advance(10_001)

    assert (await report(world, **fields))["deaf"] is False


async def test_a_worker_whose_queue_is_paused_is_not_deaf(world: World) -> None:
    await world.push()
    await report(world)
    await world.ok("queue_pause", queue="q")
    world.clock.advance(10_001)

    assert (await report(world))["deaf"] is False


async def test_a_worker_that_waits_for_a_job_is_not_deaf(world: World) -> None:
    await world.push(name="other")
    await report(world)
    task = asyncio.create_task(
        world.ok("pull", queue="q", names=["n"], worker_id="w", wait_ms=LONG)
    )
    await a_while()
    world.clock.advance(50_000)

    assert (await report(world))["deaf"] is False
    world.operations.drain()
    await soon(task)


async def test_a_worker_that_asks_is_deaf_no_more(world: World) -> None:
    await world.push()
    await world.push()
    await report(world)
    world.clock.advance(10_001)
    await world.pulled(worker_id="w")

    assert (await report(world))["deaf"] is False


async def test_a_quiet_worker_is_shown_so(world: World) -> None:
    await report(world, state="quiet")

    assert (await the_worker(world))["state"] == "quiet"


async def test_a_worker_that_is_silent_for_a_lease_is_lost_and_later_left_out(
    world: World,
) -> None:
    await report(world)

    world.clock.advance(29_999)
    assert (await the_worker(world))["state"] == "alive"
    world.clock.advance(1)
    assert (await the_worker(world))["state"] == "lost"
    world.clock.advance(3_600_000)
    assert (await world.ok("workers"))["workers"] == []


async def test_workers_are_listed_by_id(world: World) -> None:
    for worker in ("b", "c", "a"):
        await world.ok("heartbeat_batch", worker={"id": worker})

    assert [worker["id"] for worker in (await world.ok("workers"))["workers"]] == ["a", "b", "c"]
