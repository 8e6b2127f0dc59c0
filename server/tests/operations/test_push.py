"""push and push_batch: ids, ready times, refusals in their order, batches whole or item by item."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import World

from jobwire_server.ids import IdMaker
from jobwire_server.wire.spelling import rfc3339

new_id = IdMaker().new


async def test_a_push_is_waiting_with_the_defaults(world: World) -> None:
    answer = await world.ok("push", queue="q", name="n")

    job = await world.get(answer["id"])
    assert answer == {"ok": True, "id": job["id"], "outcome": "created"}
    assert (job["state"], job["data"], job["max_attempts"], job["backoff"]) == (
        "waiting",
        {},
        3,
        "exponential",
    )
    assert (job["attempt"], job["delivery"], job["delay_until"]) == (0, 0, None)
    assert job["run_at"] == job["created_at"] == rfc3339(world.clock.now())
    assert world.happened() == ["job.pushed"]


async def test_every_option_is_kept_flat_or_nested(world: World) -> None:
    options: dict[str, Any] = {
        "priority": -5,
        "max_attempts": 7,
        "backoff": "linear",
        "backoff_delay_ms": 11,
        "backoff_schedule_ms": [1, 2],
        "backoff_max_ms": 13,
        "jitter": 0.5,
        "ttl_ms": 17,
        "timeout_ms": 19,
        "unique_for_ms": 23,
        "tags": ["a", "b"],
        "group_id": "g",
        "lifo": True,
        "remove_on_complete": True,
        "remove_on_fail": True,
        "custom_id": "c",
        "metadata": {"m": 1},
        "flow_id": "f",
    }
    flat = await world.push(unique_key="flat", **options)
    nested = await world.push(options={"unique_key": "nested", **options})

    for job_id in (flat, nested):
        job = await world.get(job_id)
        assert {key: job[key] for key in options} == options


async def test_options_may_stand_in_both_places_but_none_of_them_twice(world: World) -> None:
    job = await world.get(
        await world.push(priority=4, options={"tags": ["x"], "metadata": {"a": 1}})
    )

    assert (job["priority"], job["tags"], job["metadata"]) == (4, ["x"], {"a": 1})
    assert (
        await world.refused("push", queue="q", name="n", priority=4, options={"priority": 4})
        == "VALIDATION_ERROR"
    )
    assert (
        await world.refused(
            "push", queue="q", name="n", delay_ms=4, options={"run_at": "2030-01-01T00:00:00Z"}
        )
        == "VALIDATION_ERROR"
    )
    assert (
        await world.refused("push", queue="q", name="n", metadata=1, options={"metadata": 1})
        == "VALIDATION_ERROR"
    )


async def test_a_unique_key_beside_the_options_serves_what_stands_in_them(world: World) -> None:
    await world.push(unique_key="k", options={"on_conflict": "ignore"})

    assert (
        await world.ok(
            "push", queue="q", name="n", unique_key="k", options={"on_conflict": "ignore"}
        )
    )["outcome"] == "existing"


@pytest.mark.parametrize(
    ("fields", "state", "ready_in"),
    [
        ({"delay_ms": 0}, "waiting", 0),
        ({"delay_ms": 250}, "delayed", 250),
        ({"run_at": 300}, "delayed", 300),
        ({"run_at": 0}, "waiting", 0),
        ({"run_at": -300}, "waiting", 0),
    ],
)
async def test_the_ready_time(
    world: World, fields: dict[str, int], state: str, ready_in: int
) -> None:
    now = world.clock.now()
    said = {
        key: rfc3339(now + value) if key == "run_at" else value for key, value in fields.items()
    }

    job = await world.get(await world.push(**said))

    assert (job["state"], job["run_at"]) == (state, rfc3339(now + ready_in))
    assert job["delay_until"] == (job["run_at"] if ready_in else None)


# --- the same id again ---


async def test_a_repeated_push_answers_existing_and_changes_nothing(world: World) -> None:
    job_id = await world.push(id=new_id(), data={"a": 1})
    before = await world.everything()

    again = await world.ok("push", queue="q", name="n", id=job_id, data={"a": 1}, priority=9)

    assert (again["id"], again["outcome"]) == (job_id, "existing")
    assert await world.everything() == before


@pytest.mark.parametrize("other", [{"queue": "r"}, {"name": "m"}, {"data": {"a": 2}}, {"data": {}}])
async def test_another_payload_under_the_same_id_is_a_conflict(
    world: World, other: dict[str, Any]
) -> None:
    said: dict[str, Any] = {"queue": "q", "name": "n", "id": new_id(), "data": {"a": 1}}
    await world.ok("push", **said)

    answer = await world.ask("push", **{**said, **other})

    assert answer["error"]["code"] == "ID_CONFLICT"
    assert answer["error"]["details"] == {"id": said["id"], "pointer": "/id"}
    assert await world.refused("push", **{**said, **other}) == "ID_CONFLICT"


async def test_a_push_is_existing_whatever_became_of_the_job(world: World) -> None:
    job_id = await world.push(id=new_id())
    await world.ok("cancel", id=job_id)

    assert (await world.ok("push", queue="q", name="n", id=job_id))["outcome"] == "existing"


async def test_the_id_of_a_removed_job_is_remembered_for_a_minute(world: World) -> None:
    job_id = await world.push(id=new_id(), remove_on_complete=True)
    await world.pulled()
    await world.ok("ack", id=job_id)

    await world.after(59_999)
    assert (await world.ok("push", queue="q", name="n", id=job_id))["outcome"] == "existing"
    await world.after(10_000)
    assert (await world.ok("push", queue="q", name="n", id=job_id))["outcome"] == "created"


async def test_an_id_may_be_spelled_in_any_way(world: World) -> None:
    job_id = new_id()

    for spelling in (
        job_id.upper(),
        job_id.replace("-", ""),
        f"{{{job_id}}}",
        f"urn:uuid:{job_id}",
    ):
        assert await world.push(id=spelling) == job_id
        assert (await world.get(spelling))["id"] == job_id


# --- refusals ---


async def test_the_first_reason_to_refuse_is_given(world: World) -> None:
    taken = await world.push(unique_key="k", id=new_id())
    everything_wrong: dict[str, Any] = {
        "queue": "q",
        "name": "other",
        "id": taken,
        "unique_key": "k",
        "depends_on": [new_id()],
        "priority": 2**31,
    }
    await world.ok("queue_update", queue="q", max_length=1)
    await world.ok("queue_pause", queue="q", mode="push")

    codes = []
    for mended in ("priority", "id", "paused", "unique_key", "max_length", "depends_on"):
        codes.append(await world.refused("push", **everything_wrong))
        if mended == "paused":
            await world.ok("queue_resume", queue="q")
        elif mended == "max_length":
            await world.ok("queue_update", queue="q", max_length=None)
        else:
            del everything_wrong[mended]

    assert codes == [
        "VALIDATION_ERROR",
        "ID_CONFLICT",
        "QUEUE_PAUSED",
        "DUPLICATE_KEY",
        "QUEUE_FULL",
        "VALIDATION_ERROR",
    ]
    assert (await world.ok("push", **everything_wrong))["outcome"] == "created"


async def test_a_full_queue_takes_pushes_again_when_a_job_has_finished(world: World) -> None:
    await world.ok("queue_update", queue="q", max_length=2)
    await world.push()
    await world.push(delay_ms=5)

    answer = await world.ask("push", queue="q", name="n")
    assert answer["error"]["code"] == "QUEUE_FULL"
    assert answer["error"]["details"] == {"queue": "q", "limit": 2, "pointer": ""}
    assert answer["error"]["retry_after_ms"] > 0
    job = await world.pulled()
    assert await world.refused("push", queue="q", name="n") == "QUEUE_FULL"
    await world.ok("ack", id=job["id"])
    await world.push()


async def test_follow_ups_are_refused_rather_than_lost(world: World) -> None:
    assert (
        await world.refused("push", queue="q", name="n", metadata={"follow_ups": []})
        == "VALIDATION_ERROR"
    )
    await world.push(metadata={"x": {"follow_ups": []}, "y": "follow_ups"})
    await world.push(metadata=["follow_ups"])


# --- batches ---


async def test_a_batch_is_answered_in_the_order_of_its_jobs(world: World) -> None:
    ids = [new_id() for _ in range(3)]
    await world.push(name="b", id=ids[1])

    answer = await world.ok(
        "push_batch",
        queue="q",
        jobs=[{"name": n, "id": i} for n, i in zip("abc", ids, strict=True)],
    )

    assert answer == {"ok": True, "ids": ids, "outcomes": ["created", "existing", "created"]}


async def test_a_batch_without_jobs_is_ok(world: World) -> None:
    assert await world.ask("push_batch", queue="q", jobs=[]) == {
        "ok": True,
        "ids": [],
        "outcomes": [],
    }


async def test_one_bad_job_refuses_the_whole_batch_and_is_named(world: World) -> None:
    await world.push(unique_key="k")

    answer = await world.ask(
        "push_batch", queue="q", jobs=[{"name": "a"}, {"name": "b", "unique_key": "k"}]
    )

    assert answer["error"]["code"] == "DUPLICATE_KEY"
    assert answer["error"]["details"]["pointer"] == "/jobs/1/unique_key"
    assert await world.counts() == {"waiting": 1}
    assert (
        await world.refused("push_batch", queue="q", jobs=[{"name": "a"}, {"name": ""}])
        == "VALIDATION_ERROR"
    )


async def test_a_refused_batch_tells_nobody(world: World) -> None:
    await world.push(unique_key="k")
    world.happened()

    await world.refused(
        "push_batch", queue="q", jobs=[{"name": "a"}, {"name": "b", "unique_key": "k"}]
    )

    assert world.happened() == []


async def test_without_atomic_each_job_has_its_own_outcome(world: World) -> None:
    answer = await world.ok(
        "push_batch",
        queue="q",
        atomic=False,
        jobs=[{"name": "a", "unique_key": "k"}, {"name": "b", "unique_key": "k"}, {"name": "c"}],
    )

    assert answer["outcomes"] == ["created", None, "created"]
    assert [item["ok"] for item in answer["results"]] == [True, False, True]
    assert answer["results"][1]["error"]["code"] == "DUPLICATE_KEY"
    assert answer["results"][1]["error"]["details"]["existing_id"] == answer["ids"][0]
    assert answer["ids"][1] is None
    assert [item["id"] for item in answer["results"]][::2] == answer["ids"][::2]
    assert await world.counts() == {"waiting": 2}


GOOD, TOO_MANY = {"name": "n"}, 2**31


async def test_without_atomic_bad_fields_are_the_affair_of_their_own_job(world: World) -> None:
    named = new_id()
    jobs: list[Any] = [
        GOOD,
        {"name": "a b", "id": named.upper()},
        {"name": "n", "id": named, "priority": TOO_MANY},
        {"name": "n", "id": "no UUID"},
        {"name": "n", "id": 5},
        {"name": "n", "option": 1},
        {"name": "n", "delay_ms": 1, "options": {"delay_ms": 1}},
        {"id": named},
        "no object",
        {"name": "n", "depends_on": [named]},
        GOOD,
    ]

    answer = await world.ok("push_batch", queue="q", atomic=False, jobs=jobs)

    assert answer["outcomes"] == ["created", *[None] * 9, "created"]
    refused = answer["results"][1:-1]
    assert [item["ok"] for item in refused] == [False] * 9
    assert [item["error"]["details"]["pointer"] for item in refused] == [
        "/jobs/1/name",
        "/jobs/2/priority",
        "/jobs/3/id",
        "/jobs/4/id",
        "/jobs/5/option",
        "/jobs/6/delay_ms",
        "/jobs/7/name",
        "/jobs/8",
        "/jobs/9/depends_on/0",
    ]
    assert [item["id"] for item in refused] == [
        *(named, named, None, None, None, None, named, None, None)
    ]
    assert await world.counts() == {"waiting": 2}


async def test_without_atomic_a_circle_is_the_affair_of_its_own_jobs(world: World) -> None:
    one, two = new_id(), new_id()
    jobs = [
        {"name": "a", "id": one, "depends_on": [two]},
        GOOD,
        {"name": "b", "id": two, "depends_on": [one]},
    ]

    answer = await world.ok("push_batch", queue="q", atomic=False, jobs=jobs)

    assert answer["outcomes"] == [None, "created", None]
    assert [answer["results"][at]["id"] for at in (0, 2)] == [one, two]
    assert answer["results"][2]["error"]["details"] == {"pointer": "/jobs/2/depends_on"}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"queue": "a b", "jobs": [GOOD]}, "/queue"),
        ({"queue": "q", "jobs": [GOOD], "option": 1}, "/option"),
        ({"queue": "q", "jobs": [{"name": "a b"}], "option": 1}, "/option"),
        ({"queue": "q", "jobs": [{"name": 5}], "option": 1}, "/option"),
        ({"queue": "q", "jobs": {"name": "n"}}, "/jobs"),
        ({"queue": "q"}, "/jobs"),
        ({"queue": "q", "jobs": [5] * 1001}, "/jobs"),
    ],
)
async def test_without_atomic_what_is_wrong_beside_the_jobs_refuses_them_all(
    world: World, fields: dict[str, Any], pointer: str
) -> None:
    answer = await world.ask("push_batch", **fields, atomic=False)

    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert answer["error"]["details"]["pointer"] == pointer
    assert await world.counts() == {}


async def test_without_atomic_data_that_nests_too_deep_refuses_them_all(world: World) -> None:
    deep: list[Any] = []
    for _ in range(128):
        deep = [deep]

    jobs = [GOOD, {"name": "n", "data": deep}, {"name": 5}]

    assert await world.refused("push_batch", queue="q", atomic=False, jobs=jobs) == "PARSE_ERROR"


async def test_the_length_limit_holds_inside_a_batch(world: World) -> None:
    await world.ok("queue_update", queue="q", max_length=2)

    answer = await world.ok("push_batch", queue="q", atomic=False, jobs=[{"name": "n"}] * 3)

    assert answer["outcomes"] == ["created", "created", None]
    assert await world.refused("push_batch", queue="r", jobs=[{"name": ""}]) == "VALIDATION_ERROR"


async def test_a_job_may_depend_on_a_later_one_of_its_batch(world: World) -> None:
    parent, child = new_id(), new_id()

    answer = await world.ok(
        "push_batch",
        queue="q",
        jobs=[{"name": "c", "id": child, "depends_on": [parent]}, {"name": "p", "id": parent}],
    )

    assert answer["ids"] == [child, parent]
    assert [await world.state(job) for job in (child, parent)] == ["blocked", "waiting"]


async def test_a_circle_in_a_batch_is_refused(world: World) -> None:
    one, two = new_id(), new_id()

    assert (
        await world.refused(
            "push_batch",
            queue="q",
            jobs=[
                {"name": "a", "id": one, "depends_on": [two]},
                {"name": "b", "id": two, "depends_on": [one]},
            ],
        )
        == "VALIDATION_ERROR"
    )


async def test_a_thousand_jobs_are_one_batch_and_more_are_refused(world: World) -> None:
    answer = await world.ok("push_batch", queue="q", jobs=[{"name": "n"}] * 1000)

    assert len(set(answer["ids"])) == 1000
    assert answer["ids"] == sorted(answer["ids"])
    assert (
        await world.refused("push_batch", queue="q", jobs=[{"name": "n"}] * 1001)
        == "VALIDATION_ERROR"
    )
