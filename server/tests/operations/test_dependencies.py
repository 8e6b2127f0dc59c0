"""depends_on, unique keys: what one job's end means for others, in one step."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import World

from jobwire_server.ids import IdMaker
from jobwire_server.wire import limits

new_id = IdMaker().new


async def family(world: World, **child: Any) -> tuple[str, str, str]:
    """A parent, a child of it, and a grandchild."""
    parent = await world.push("parents")
    middle = await world.push(depends_on=[parent], **child)
    return parent, middle, await world.push(depends_on=[middle])


async def finish(world: World, how: str) -> None:
    job = await world.pulled("parents")
    await world.ok(
        "ack" if how == "ack" else "fail",
        id=job["id"],
        **({} if how == "ack" else {"discard": True}),
    )


async def test_a_child_waits_for_the_last_of_its_parents(world: World) -> None:
    parents = [await world.push("parents") for _ in range(3)]
    child = await world.push(depends_on=[*parents, parents[0]])

    for state in ("blocked", "blocked", "waiting"):
        await finish(world, "ack")
        assert await world.state(child) == state


async def test_a_child_of_completed_parents_does_not_wait(world: World) -> None:
    parent = await world.push("parents")
    await finish(world, "ack")

    assert await world.state(await world.push(depends_on=[parent])) == "waiting"


async def test_a_child_keeps_its_ready_time(world: World) -> None:
    parent = await world.push("parents")
    child = await world.push(depends_on=[parent], delay_ms=500)
    before = await world.get(child)
    assert (before["state"], before["delay_until"]) == ("blocked", before["run_at"])

    await finish(world, "ack")

    after = await world.get(child)
    assert (after["state"], after["run_at"]) == ("delayed", before["run_at"])
    await world.after(500)
    assert await world.state(child) == "waiting"


async def test_a_parent_that_is_removed_on_completion_counts_as_completed(world: World) -> None:
    await world.push("parents", remove_on_complete=True, id=(parent := new_id()))
    child = await world.push(depends_on=[parent])

    await finish(world, "ack")

    assert await world.state(child) == "waiting"


async def test_a_dead_letter_takes_down_all_below_it(world: World) -> None:
    parent, *below = await family(world)

    await finish(world, "fail")

    for above, job_id in zip([parent, *below], below, strict=False):
        job = await world.get(job_id)
        assert (job["state"], job["reason"]) == ("dlq", "parent_failed")
        assert job["last_error"] == f"parent job '{above}' moved to DLQ"
    assert world.happened()[-4:] == ["job.failed", "job.dlq", "job.dlq", "job.dlq"]


@pytest.mark.parametrize("call", ["cancel", "delete"])
async def test_a_cancel_or_a_delete_cancels_all_below(world: World, call: str) -> None:
    parent, *below = await family(world)

    await world.ok(call, id=parent)

    assert [(job["state"], job["reason"]) for job in [await world.get(j) for j in below]] == [
        ("cancelled", "parent_failed")
    ] * 2


async def test_an_expired_parent_cancels_all_below(world: World) -> None:
    parent = await world.push("parents", ttl_ms=5)
    child = await world.push(depends_on=[parent])

    await world.after(5)

    assert [await world.state(job) for job in (parent, child)] == ["cancelled", "cancelled"]


async def test_a_poisoned_parent_kills_all_below(world: World) -> None:
    await world.push("parents", max_attempts=1, id=(parent := new_id()))
    child = await world.push(depends_on=[parent])
    await world.pulled("parents")

    await world.after(30_000)

    assert [(await world.get(job))["reason"] for job in (parent, child)] == [
        "poison",
        "parent_failed",
    ]


async def test_death_passes_through_children_that_are_removed_on_failure(world: World) -> None:
    parent, middle, last = await family(world, remove_on_fail=True)

    await finish(world, "fail")

    assert [await world.state(job) for job in (parent, middle, last)] == ["dlq", "gone", "dlq"]


async def test_a_child_that_was_cancelled_waits_again_when_it_is_retried(world: World) -> None:
    _, child, _ = await family(world)
    await world.ok("cancel", id=child)

    assert (await world.ok("retry", id=child))["state"] == "blocked"
    await finish(world, "ack")
    assert await world.state(child) == "waiting"


async def test_a_child_that_was_cancelled_runs_when_its_parent_has_completed_meanwhile(
    world: World,
) -> None:
    _, child, _ = await family(world)
    await world.ok("cancel", id=child)
    await finish(world, "ack")
    assert await world.state(child) == "cancelled"

    assert (await world.ok("retry", id=child))["state"] == "waiting"


async def test_a_child_that_a_parent_took_down_runs_when_it_is_retried(world: World) -> None:
    _, child, _ = await family(world)
    await finish(world, "fail")

    assert (await world.ok("retry", id=child))["state"] == "waiting"


@pytest.mark.parametrize("end", ["dlq", "cancelled", "missing"])
async def test_a_push_on_a_parent_that_can_never_complete_is_refused(
    world: World, end: str
) -> None:
    parent = await world.push("parents")
    good = await world.push("others")
    if end == "dlq":
        await finish(world, "fail")
    elif end == "cancelled":
        await world.ok("cancel", id=parent)
    else:
        parent = new_id()

    answer = await world.ask("push", queue="q", name="n", depends_on=[good, parent])

    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert answer["error"]["details"] == {"pointer": "/depends_on/1"}
    assert (
        await world.refused("push", queue="q", name="n", depends_on=[good, parent])
        == "VALIDATION_ERROR"
    )


async def test_a_chain_may_be_as_deep_as_the_limit(world: World) -> None:
    parent = await world.push("parents")
    for _ in range(limits.DAG_DEPTH):
        parent = await world.push(depends_on=[parent])

    answer = await world.ask("push", queue="q", name="n", depends_on=[parent])

    assert answer["error"]["details"] == {"pointer": "/depends_on", "limit": limits.DAG_DEPTH}


async def test_a_job_cannot_depend_on_itself(world: World) -> None:
    me = new_id()

    assert (
        await world.refused("push", queue="q", name="n", id=me, depends_on=[me])
        == "VALIDATION_ERROR"
    )


# --- unique keys ---


async def test_a_taken_key_is_refused_with_its_holder(world: World) -> None:
    holder = await world.push(unique_key="k")

    answer = await world.ask("push", queue="q", name="n", unique_key="k")

    assert answer["error"]["code"] == "DUPLICATE_KEY"
    assert answer["error"]["details"] == {"existing_id": holder, "pointer": "/unique_key"}


async def test_a_key_belongs_to_its_queue(world: World) -> None:
    await world.push("a", unique_key="k")
    await world.push("b", unique_key="k")

    assert await world.refused("push", queue="a", name="n", unique_key="k") == "DUPLICATE_KEY"


async def test_ignore_answers_with_the_holder(world: World) -> None:
    holder = await world.push(unique_key="k")

    answer = await world.ok("push", queue="q", name="m", unique_key="k", on_conflict="ignore")

    assert answer == {"ok": True, "id": holder, "outcome": "existing"}


@pytest.mark.parametrize("fields", [{}, {"delay_ms": 99}, {"depends_on": True}])
async def test_replace_puts_the_new_job_in_the_place_of_one_that_has_not_begun(
    world: World, fields: dict[str, Any]
) -> None:
    if "depends_on" in fields:
        fields = {"depends_on": [await world.push("parents")]}
    old = await world.push(unique_key="k", **fields)
    below = await world.push(depends_on=[old])
    world.happened()

    answer = await world.ok("push", queue="q", name="new", unique_key="k", on_conflict="replace")

    assert answer["outcome"] == "replaced"
    assert (await world.get(old))["reason"] == "replaced"
    assert (await world.get(below))["reason"] == "parent_failed"
    assert await world.state(answer["id"]) == "waiting"
    assert world.happened() == ["job.cancelled", "job.cancelled", "job.pushed"]


async def test_replace_does_not_touch_a_running_job(world: World) -> None:
    await world.push(unique_key="k")
    await world.pulled()

    assert (
        await world.refused("push", queue="q", name="n", unique_key="k", on_conflict="replace")
        == "DUPLICATE_KEY"
    )


@pytest.mark.parametrize("end", ["ack", "cancel", "delete", "fail", "expire", "removed"])
async def test_a_key_is_free_when_its_job_has_ended(world: World, end: str) -> None:
    job_id = await world.push(unique_key="k", ttl_ms=50, remove_on_complete=end == "removed")
    if end in ("ack", "fail", "removed"):
        await world.pulled()
        await world.ok(
            "fail" if end == "fail" else "ack",
            id=job_id,
            **({"discard": True} if end == "fail" else {}),
        )
    elif end == "expire":
        await world.after(50)
    else:
        await world.ok(end, id=job_id)

    assert (await world.ok("push", queue="q", name="n", unique_key="k"))["outcome"] == "created"


@pytest.mark.parametrize("removed", [False, True])
async def test_a_key_with_a_window_stays_taken_until_its_end(world: World, removed: bool) -> None:
    await world.push(unique_key="k", unique_for_ms=5_000, remove_on_complete=removed)
    job = await world.pulled()
    await world.ok("ack", id=job["id"])

    await world.after(4_999)
    for on_conflict in ("reject", "replace"):
        assert (
            await world.refused(
                "push", queue="q", name="n", unique_key="k", on_conflict=on_conflict
            )
            == "DUPLICATE_KEY"
        )
    await world.after(1)
    assert (await world.ok("push", queue="q", name="n", unique_key="k"))["outcome"] == "created"


async def test_a_window_does_not_free_the_key_of_an_unfinished_job(world: World) -> None:
    await world.push(unique_key="k", unique_for_ms=10)
    await world.after(20)

    assert await world.refused("push", queue="q", name="n", unique_key="k") == "DUPLICATE_KEY"
