"""Answers that list jobs stay within the server's limit, and nothing gets lost over it (JW-PULL-18, JW-LIMIT-7)."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import pytest
from tests.stores import Wrapped
from tests.world import World, soon

from jobwire_server.clock import ManualClock
from jobwire_server.operations.core import Options
from jobwire_server.store.base import Store

LIMIT: Final = 100_000
DATA: Final = "x" * 20_000  # four of these have room


@pytest.fixture
def world(store: Store, clock: ManualClock) -> World:
    return World(store, clock, options=Options(max_answer_bytes=LIMIT))


def within_limit(answer: dict[str, Any]) -> list[str]:
    """The ids of the jobs that an answer lists."""
    assert len(json.dumps(answer["jobs"]).encode()) <= LIMIT
    return [job["id"] for job in answer["jobs"]]


async def pushed(world: World, count: int, **fields: Any) -> list[str]:
    return [await world.push(data=DATA, **fields) for _ in range(count)]


async def pages(world: World, cmd: str, **fields: Any) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while not found or cursor is not None:
        answer = await world.ok(cmd, **fields, **({"cursor": cursor} if cursor else {}))
        found.append(within_limit(answer))
        cursor = answer["next_cursor"]
    return found


async def test_pulls_hand_out_what_has_room_and_every_job_once(world: World) -> None:
    ids = await pushed(world, 10)

    answers = [await world.ok("pull", queue="q", count=1_000) for _ in range(4)]

    assert [within_limit(answer) for answer in answers] == [ids[:4], ids[4:8], ids[8:], []]
    assert await world.counts() == {"active": 10}


async def test_what_had_no_room_wakes_a_pull_that_waits(world: World) -> None:
    waiting = asyncio.create_task(world.ok("pull", queue="q", count=9, wait_ms=60_000))
    second = asyncio.create_task(world.ok("pull", queue="q", count=9, wait_ms=60_000))
    await asyncio.sleep(0)

    jobs = [{"name": "n", "data": DATA} for _ in range(8)]
    ids = (await world.ok("push_batch", queue="q", jobs=jobs))["ids"]

    taken = within_limit(await soon(waiting)) + within_limit(await soon(second))
    assert sorted(ids) == sorted(taken)


async def test_a_job_over_the_limit_is_handed_out_alone(world: World) -> None:
    small = await world.push()
    big = await world.push(data="x" * LIMIT)

    answers = [await world.ok("pull", queue="q", count=9) for _ in range(2)]

    assert [[job["id"] for job in answer["jobs"]] for answer in answers] == [[small], [big]]


async def test_pages_of_find_are_cut(world: World) -> None:
    ids = await pushed(world, 9)

    found = await pages(world, "find", queue="q", limit=1_000)

    assert [ids[:4:-1], ids[4:0:-1], ids[:1]] == found


async def test_pages_of_dead_letters_are_cut(world: World) -> None:
    ids = await pushed(world, 9)
    await bury(world)

    found = await pages(world, "dlq", queue="q", limit=1_000)

    assert [len(page) for page in found] == [4, 4, 1]
    assert sorted(ids) == sorted(job_id for page in found for job_id in page)


async def test_a_flow_lists_its_oldest_jobs_and_counts_all(world: World) -> None:
    ids = await pushed(world, 9, flow_id="f")

    flow = await world.ok("flow", flow_id="f")

    assert ids[:4] == within_limit(flow)
    assert flow["summary"]["total"] == flow["summary"]["waiting"] == 9


async def test_a_flow_has_at_least_one_job(world: World) -> None:
    [first, _] = [await world.push(data="x" * LIMIT, flow_id="f") for _ in range(2)]

    flow = await world.ok("flow", flow_id="f")

    assert [job["id"] for job in flow["jobs"]] == [first]
    assert flow["summary"]["total"] == 2


@pytest.mark.parametrize(("call", "state"), [("dlq_retry", "waiting"), ("dlq_discard", "gone")])
async def test_many_dead_letters_are_read_a_few_at_a_time(
    store: Store, clock: ManualClock, call: str, state: str
) -> None:
    counting = CountsReads(store)
    world = World(counting, clock)  # type: ignore[arg-type]
    ids = (await world.ok("push_batch", queue="q", jobs=[{"name": "n"}] * 150))["ids"]
    await bury(world)
    counting.read.clear()

    answer = await world.ok(call, queue="q")

    assert (answer["count"], answer["remaining"]) == (150, 0)
    assert sorted(ids) == sorted(item["id"] for item in answer["results"])
    assert {await world.state(job_id) for job_id in ids[::50]} == {state}
    assert max(counting.read) <= 64


async def bury(world: World) -> None:
    """Pull and discard all that waits."""
    while jobs := (await world.ok("pull", queue="q", count=1_000))["jobs"]:
        for job in jobs:
            await world.ok("fail", id=job["id"], error="no", discard=True)


class CountsReads(Wrapped):
    """Notes how many jobs each read asks for."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.read: list[int] = []

    async def get(self, ids: list[str]) -> Any:
        self.read.append(len(ids))
        return await self.store.get(ids)
