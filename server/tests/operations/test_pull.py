"""pull: what is taken, in which order, under which lease."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from tests.world import World

from jobwire_server.store.base import Store


async def take_all(world: World, queue: str = "q") -> list[str]:
    return [job["name"] for job in (await world.ok("pull", queue=queue, count=100))["jobs"]]


async def test_priority_goes_before_age_and_age_before_the_rest(world: World) -> None:
    for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)]:
        await world.push(name=name, priority=priority)
        world.clock.advance(1)

    assert await take_all(world) == ["b", "d", "a", "c", "e"]


async def test_jobs_of_one_instant_are_taken_in_the_order_of_their_acceptance(world: World) -> None:
    names = [f"n{index}" for index in range(20)]
    for name in names:
        await world.push(name=name)

    assert await take_all(world) == names


async def test_lifo_goes_ahead_of_its_equals_newest_first(world: World) -> None:
    for name, fields in [
        ("a", {}),
        ("b", {"lifo": True}),
        ("c", {}),
        ("d", {"lifo": True}),
        ("e", {"priority": 1}),
    ]:
        await world.push(name=name, **fields)
        world.clock.advance(1)

    assert await take_all(world) == ["e", "d", "b", "a", "c"]


async def test_a_retried_job_stands_behind_what_came_meanwhile(world: World) -> None:
    first = await world.active(name="first", backoff="fixed", backoff_delay_ms=10)
    await world.ok("fail", id=first["id"], lease=first["lease"])
    world.clock.advance(5)
    await world.push(name="meanwhile")
    await world.after(5)

    assert await take_all(world) == ["meanwhile", "first"]


async def test_a_released_job_goes_back_to_where_it_stood(world: World) -> None:
    first = await world.active(name="first")
    world.clock.advance(5)
    await world.push(name="meanwhile")
    await world.ok("release", id=first["id"], lease=first["lease"])

    assert await take_all(world) == ["first", "meanwhile"]


async def test_a_pull_starts_a_lease(world: World) -> None:
    job_id = await world.push()
    world.clock.advance(7)

    job = await world.pulled(worker_id="w1")

    row = await world.row(job_id)
    now = world.clock.now()
    assert (job["state"], job["delivery"], job["worker_id"]) == ("active", 1, "w1")
    assert (row.started_at, row.lease_expires_at, row.last_heartbeat) == (now, now + 30_000, None)
    assert row.due_at == now + 30_000


async def test_the_length_of_a_lease_is_the_pulls_then_the_queues_then_the_servers(
    world: World,
) -> None:
    for _ in range(3):
        await world.push()

    lengths = []
    for settings, said in [({}, {}), ({"lease_ms": 5_000}, {}), ({}, {"lease_ms": 2_000})]:
        await world.ok("queue_update", queue="q", **settings)
        job = await world.pulled(**said)
        row = await world.row(job["id"])
        lengths.append((row.lease_expires_at or 0) - world.clock.now())

    assert lengths == [30_000, 5_000, 2_000]


async def test_every_pull_of_a_job_has_a_lease_of_its_own(world: World) -> None:
    leases = set()
    job = await world.active()
    for delivery in (1, 2, 3):
        assert job["delivery"] == delivery
        leases.add(job["lease"])
        await world.ok("release", id=job["id"], lease=job["lease"])
        job = await world.pulled()

    assert len(leases) == 3


async def test_queues_are_tried_in_order_each_until_it_is_empty(world: World) -> None:
    for queue in ("b", "a", "b", "a"):
        await world.push(queue, name=queue)

    answer = await world.ok("pull", queues=["none", "a", "b"], count=3)

    assert [job["queue"] for job in answer["jobs"]] == ["a", "a", "b"]


async def test_weights_draw_the_order_in_proportion(store: Store, clock) -> None:
    world = World(store, clock, random=Random(7).random)
    first: Counter[str] = Counter()
    for queue in ("a", "b"):
        await world.push(queue)
    for _ in range(400):
        [job] = (
            (await world.ok("pull", queues=["a", "b"], weights=[3, 1], count=1, lease_ms=1000))[
                "job"
            ],
        )
        first[job["queue"]] += 1
        await world.ok("release", id=job["id"])

    assert 260 < first["a"] < 340


async def test_only_jobs_of_the_names_are_taken(world: World) -> None:
    for name in ("a", "b", "c", "a"):
        await world.push(name=name)

    answer = await world.ok("pull", queue="q", names=["a", "c", "z"], count=10)

    assert [job["name"] for job in answer["jobs"]] == ["a", "c", "a"]
    assert await world.counts() == {"waiting": 1, "active": 3}


async def test_a_job_past_its_ttl_is_not_taken_even_before_the_housekeeper_comes(
    world: World,
) -> None:
    await world.push(ttl_ms=10)
    world.clock.advance(10)

    assert await world.pull() is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, {"ok": True, "jobs": []}), (1, {"ok": True, "job": None}), (2, {"ok": True, "jobs": []})],
)
async def test_an_empty_pull_answers_with_the_member_of_its_count(
    world: World, count: int, expected: object
) -> None:
    assert await world.ask("pull", queue="never-used", count=count) == expected
    assert (await world.ok("queues"))["queues"] == []


async def test_a_pull_of_two_that_finds_one_answers_with_a_list(world: World) -> None:
    await world.push()

    assert len((await world.ok("pull", queue="q", count=2))["jobs"]) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"queue": "q", "queues": ["r"]},
        {"queues": []},
        {"queues": ["a", "b"], "weights": [1]},
        {"queue": "q", "weights": [1]},
        {"queue": "q", "weights": []},
        {"queue": "q", "count": -1},
        {"queue": "q", "count": 1001},
        {"queue": "q", "lease_ms": 999},
        {"queue": "q", "wait_ms": 60_001},
    ],
)
async def test_a_pull_that_makes_no_sense_is_refused(
    world: World, fields: dict[str, object]
) -> None:
    assert await world.refused("pull", **fields) == "VALIDATION_ERROR"


# --- the same pull again ---


async def test_a_pull_that_is_repeated_answers_the_same_jobs_and_takes_no_more(
    world: World,
) -> None:
    for _ in range(5):
        await world.push()

    first = await world.ok("pull", queue="q", count=2, request_id="r")
    again = await world.ok("pull", queue="q", count=2, request_id="r")

    assert again == first
    assert (await world.counts())["active"] == 2


async def test_a_repeated_pull_leaves_out_what_was_settled_meanwhile(world: World) -> None:
    for _ in range(3):
        await world.push()
    first = (await world.ok("pull", queue="q", count=2, request_id="r"))["jobs"]
    await world.ok("ack", id=first[0]["id"], lease=first[0]["lease"])

    again = (await world.ok("pull", queue="q", count=2, request_id="r"))["jobs"]

    assert [job["id"] for job in again] == [first[1]["id"]]


async def test_a_repeated_pull_takes_anew_when_no_lease_of_the_first_lives(world: World) -> None:
    await world.push()
    first = await world.pulled(request_id="r")
    await world.ok("release", id=first["id"], lease=first["lease"])

    again = await world.pulled(request_id="r")

    assert (again["id"], again["delivery"]) == (first["id"], 2)


async def test_a_repeated_pull_does_not_answer_a_lease_that_another_worker_has_now(
    world: World,
) -> None:
    await world.push()
    first = await world.pulled(request_id="r")
    await world.ok("release", id=first["id"], lease=first["lease"])
    await world.pulled()

    assert await world.pull(request_id="r") is None


async def test_a_repeated_pull_finds_its_jobs_in_a_queue_that_is_empty_by_now(world: World) -> None:
    await world.push()
    first = await world.pulled(request_id="r")

    assert (await world.pulled(request_id="r", wait_ms=1000)) == first
