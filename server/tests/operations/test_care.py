"""get, find, cancel, retry, promote, delete, flows and dead letters."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import World

from jobwire_server.ids import IdMaker
from jobwire_server.wire.spelling import rfc3339

STRANGER = IdMaker().new()


async def dead(world: World, queue: str = "q", **fields: Any) -> str:
    """A dead letter."""
    await world.push(queue, **fields)
    job = await world.pulled(queue)
    await world.ok("fail", id=job["id"], discard=True, error="dead")
    return str(job["id"])


# --- cancel ---


async def test_a_cancel_of_a_waiting_job(world: World) -> None:
    job_id = await world.push()

    assert await world.ask("cancel", id=job_id) == {"ok": True, "state": "cancelled"}
    assert await world.ask("cancel", id=job_id) == {
        "ok": True,
        "state": "cancelled",
        "already": True,
    }
    assert (await world.get(job_id))["reason"] == "cancelled"
    assert await world.pull() is None


async def test_a_cancel_of_an_active_job_ends_it_at_its_next_word(world: World) -> None:
    job = await world.active()

    assert await world.ask("cancel", id=job["id"]) == {"ok": True, "state": "active"}
    assert await world.ask("cancel", id=job["id"]) == {
        "ok": True,
        "state": "active",
        "already": True,
    }
    assert (await world.get(job["id"]))["cancel_requested_at"] == rfc3339(world.clock.now())
    answer = await world.ok("fail", id=job["id"], lease=job["lease"], error="stopped")
    assert (answer["retry"], answer["next_attempt_at"]) == (False, None)
    assert (await world.get(job["id"]))["state"] == "cancelled"


@pytest.mark.parametrize("way", ["release", "lease", "timeout"])
async def test_a_cancelled_job_ends_however_its_lease_ends(world: World, way: str) -> None:
    job = await world.active(timeout_ms=10_000 if way == "timeout" else None)
    await world.ok("cancel", id=job["id"])

    if way == "release":
        assert (await world.ok("release", id=job["id"], lease=job["lease"], delay_ms=5))[
            "state"
        ] == "cancelled"
    else:
        await world.after(10_000 if way == "timeout" else 30_000)

    assert (await world.get(job["id"]))["reason"] == "cancelled"
    assert "job.cancelled" in world.happened() or way == "release"


async def test_an_ack_that_was_on_its_way_wins_over_a_cancel(world: World) -> None:
    job = await world.active()
    await world.ok("cancel", id=job["id"])

    await world.ok("ack", id=job["id"], lease=job["lease"])

    assert await world.state(job["id"]) == "completed"


# --- retry, promote, delete ---


async def test_a_retried_dead_letter_runs_from_the_start_with_its_history(world: World) -> None:
    job_id = await dead(world, max_attempts=1)
    world.clock.advance(100)

    assert await world.ask("retry", id=job_id) == {"ok": True, "state": "waiting"}

    job = await world.pulled()
    assert (job["id"], job["attempt"], job["delivery"], job["reason"]) == (job_id, 0, 2, None)
    assert (job["run_at"], job["last_error"], len(job["errors"])) == (
        rfc3339(world.clock.now()),
        "dead",
        1,
    )


async def test_a_retry_takes_the_unique_key_again_or_is_refused(world: World) -> None:
    first = await dead(world, unique_key="k")
    holder = await world.push(unique_key="k")

    answer = await world.ask("retry", id=first)
    assert answer["error"]["code"] == "DUPLICATE_KEY"
    assert answer["error"]["details"] == {"existing_id": holder}
    assert await world.refused("retry", id=first) == "DUPLICATE_KEY"
    await world.ok("cancel", id=holder)
    await world.ok("retry", id=first)
    assert await world.refused("push", queue="q", name="n", unique_key="k") == "DUPLICATE_KEY"


async def test_a_retry_ends_the_ttl(world: World) -> None:
    job_id = await world.push(ttl_ms=10)
    await world.after(10)
    assert (await world.get(job_id))["reason"] == "expired"

    await world.ok("retry", id=job_id)
    await world.after(100)

    assert (await world.get(job_id))["state"] == "waiting"
    assert (await world.get(job_id))["ttl_ms"] is None


async def test_a_promote_makes_a_delayed_job_ready(world: World) -> None:
    job_id = await world.push(delay_ms=10_000)

    assert await world.ask("promote", id=job_id) == {"ok": True, "state": "waiting"}
    assert await world.ask("promote", id=job_id) == {
        "ok": True,
        "state": "waiting",
        "already": True,
    }
    job = await world.get(job_id)
    assert (job["run_at"], job["delay_until"]) == (rfc3339(world.clock.now()), None)


async def test_a_deleted_job_is_gone_from_every_list(world: World) -> None:
    job_id = await world.push(flow_id="f")

    assert await world.ask("delete", id=job_id) == {"ok": True}

    assert await world.everything() == ([], [])
    assert (await world.ok("flow", flow_id="f"))["summary"]["total"] == 0
    for call in ("get", "delete", "cancel", "retry", "promote", "ack", "heartbeat"):
        assert await world.refused(call, id=job_id) == "JOB_NOT_FOUND"


async def test_an_active_job_is_not_deleted(world: World) -> None:
    job = await world.active()

    assert await world.refused("delete", id=job["id"]) == "INVALID_STATE"


@pytest.mark.parametrize("call", ["get", "cancel", "retry", "promote", "delete"])
async def test_a_job_that_is_not_there(world: World, call: str) -> None:
    answer = await world.ask(call, id=STRANGER)

    assert (answer["error"]["code"], answer["error"]["details"]) == (
        "JOB_NOT_FOUND",
        {"id": STRANGER},
    )


# --- find ---


async def test_a_find_matches_all_of_its_filters_newest_first(world: World) -> None:
    said = {"name": "a", "tags": ["t", "u"], "group_id": "g", "flow_id": "f", "custom_id": "c"}
    first = await world.push(**said)
    second = await world.push(**said)
    for other in (
        {"name": "b"},
        {"tags": ["v"]},
        {"group_id": "h"},
        {"flow_id": "e"},
        {"custom_id": "d"},
    ):
        await world.push(**{**said, **other})
    await world.push("other", **said)

    found = await world.ok(
        "find",
        queue="q",
        name="a",
        tag="t",
        group_id="g",
        flow_id="f",
        custom_id="c",
        state=["waiting"],
    )

    assert [job["id"] for job in found["jobs"]] == [second, first]
    assert found["next_cursor"] is None
    assert (await world.ok("find", queue="q", state=["active"]))["jobs"] == []


async def test_the_pages_of_a_find_show_each_job_once(world: World) -> None:
    ids = [await world.push() for _ in range(7)]

    seen: list[str] = []
    cursor = None
    while True:
        page = await world.ok("find", queue="q", limit=3, cursor=cursor)
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ids[::-1]


async def test_the_bounds_of_time_are_inclusive_and_exclusive(world: World) -> None:
    ids = []
    start = world.clock.now()
    for _ in range(4):
        ids.append(await world.push())
        world.clock.advance(1)

    found = await world.ok(
        "find", created_after=rfc3339(start + 1), created_before=rfc3339(start + 3)
    )

    assert [job["id"] for job in found["jobs"]] == [ids[2], ids[1]]


@pytest.mark.parametrize("call", [("find", {}), ("dlq", {"queue": "q"})])
async def test_a_cursor_of_someone_else_is_refused(
    world: World, call: tuple[str, dict[str, str]]
) -> None:
    name, fields = call
    answer = await world.ask(name, cursor="nonsense", **fields)

    assert (answer["error"]["code"], answer["error"]["details"]["pointer"]) == (
        "VALIDATION_ERROR",
        "/cursor",
    )


# --- flows ---


async def test_a_flow_answers_with_its_jobs_oldest_first_and_counts(world: World) -> None:
    first = await world.push(flow_id="f")
    world.clock.advance(1)
    second = await world.push("other", flow_id="f", delay_ms=9)
    await world.push(flow_id="g")

    answer = await world.ok("flow", flow_id="f")

    assert [job["id"] for job in answer["jobs"]] == [first, second]
    assert answer["flow_id"] == "f"
    assert answer["summary"] == {
        "total": 2, "waiting": 1, "active": 0, "delayed": 1, "blocked": 0, "completed": 0, "failed": 0, "dlq": 0, "cancelled": 0,
    }  # fmt: skip


async def test_a_flow_that_is_not_there_is_empty(world: World) -> None:
    answer = await world.ok("flow", flow_id="none")

    assert (answer["jobs"], answer["summary"]["total"]) == ([], 0)


async def test_a_large_flow_shows_its_oldest_thousand_and_counts_all(world: World) -> None:
    ids: list[str] = []
    for size in (1000, 5):
        ids += (
            await world.ok("push_batch", queue="q", jobs=[{"name": "n", "flow_id": "f"}] * size)
        )["ids"]

    answer = await world.ok("flow", flow_id="f")

    assert [job["id"] for job in answer["jobs"]] == ids[:1000]
    assert (answer["summary"]["total"], answer["summary"]["waiting"]) == (1005, 1005)


# --- dead letters ---


async def test_dead_letters_are_listed_newest_first(world: World) -> None:
    ids = []
    for _ in range(3):
        ids.append(await dead(world))
        world.clock.advance(1)
    await dead(world, "other")

    answer = await world.ok("dlq", queue="q")
    first = await world.ok("dlq", queue="q", limit=2)
    rest = await world.ok("dlq", queue="q", limit=2, cursor=first["next_cursor"])

    assert [job["id"] for job in answer["jobs"]] == ids[::-1]
    assert [job["id"] for page in (first, rest) for job in page["jobs"]] == ids[::-1]
    assert (await world.ok("dlq", queue="q", limit=0)) == {
        "ok": True,
        "jobs": [],
        "next_cursor": None,
    }


@pytest.mark.parametrize(("call", "state"), [("dlq_retry", "waiting"), ("dlq_discard", "gone")])
async def test_without_ids_the_oldest_dead_letters_are_taken(
    world: World, call: str, state: str
) -> None:
    ids = []
    for _ in range(3):
        ids.append(await dead(world))
        world.clock.advance(1)

    answer = await world.ok(call, queue="q", limit=2)

    shown = {"state": "waiting"} if state == "waiting" else {}
    assert answer == {
        "ok": True,
        "count": 2,
        "results": [{"id": job_id, "ok": True, **shown} for job_id in ids[:2]],
        "remaining": 1,
    }
    assert [await world.state(job_id) for job_id in ids] == [state, state, "dlq"]
    assert (await world.ok(call, queue="q"))["remaining"] == 0
    assert (await world.ok(call, queue="q"))["count"] == 0


@pytest.mark.parametrize("call", ["dlq_retry", "dlq_discard"])
async def test_named_jobs_that_are_no_dead_letters_of_the_queue_are_left_alone(
    world: World, call: str
) -> None:
    good = await dead(world)
    elsewhere = await dead(world, "other")
    deleted = await dead(world)
    await world.ok("delete", id=deleted)
    alive = await world.push()

    answer = await world.ok(call, queue="q", ids=[alive, good, elsewhere, STRANGER, deleted])

    assert [item["ok"] for item in answer["results"]] == [False, True, False, False, False]
    assert [item["error"]["code"] for item in answer["results"] if not item["ok"]] == [
        "INVALID_STATE",
        "JOB_NOT_FOUND",
        "JOB_NOT_FOUND",
        "JOB_NOT_FOUND",
    ]
    assert (answer["count"], answer["remaining"]) == (1, 0)
    assert [await world.state(job) for job in (elsewhere, alive)] == ["dlq", "waiting"]


async def test_a_dead_letter_whose_key_is_taken_stays_one(world: World) -> None:
    first = await dead(world, unique_key="k")
    await world.push(unique_key="k")

    answer = await world.ok("dlq_retry", queue="q")

    assert (answer["count"], answer["remaining"]) == (0, 1)
    assert answer["results"][0]["error"]["code"] == "DUPLICATE_KEY"
    assert await world.state(first) == "dlq"
