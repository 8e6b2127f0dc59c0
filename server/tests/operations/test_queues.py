"""Queues: counts, pause and its modes, settings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import World

DEFAULTS = {
    "lease_ms": None,
    "max_length": None,
    "retention_completed_ms": None,
    "retention_dlq_ms": None,
    "retention_cancelled_ms": None,
}


async def test_a_queue_that_was_never_used_is_empty(world: World) -> None:
    counts = dict.fromkeys(
        ["waiting", "active", "delayed", "completed", "failed", "dlq", "blocked", "cancelled"], 0
    )

    assert await world.ok("stats", queue="odd name!") == {
        "ok": True,
        "counts": counts,
        "paused": None,
        "oldest_waiting_ms": None,
    }
    queue = (await world.ok("queue", queue="q"))["queue"]
    assert queue == {
        "name": "q",
        "counts": counts,
        "paused": None,
        "settings": DEFAULTS,
        "oldest_waiting_ms": None,
    }
    assert (await world.ok("queues"))["queues"] == []


async def test_the_counts_follow_every_change(world: World) -> None:
    ids = [await world.push(**fields) for fields in ({}, {}, {}, {}, {"delay_ms": 9})]
    await world.push(depends_on=[ids[4]])
    await world.ok("cancel", id=ids[3])
    jobs = [await world.pulled() for _ in range(3)]
    await world.ok("ack", id=jobs[0]["id"])
    await world.ok("fail", id=jobs[1]["id"], discard=True)

    assert await world.counts() == {
        "active": 1,
        "delayed": 1,
        "completed": 1,
        "dlq": 1,
        "blocked": 1,
        "cancelled": 1,
    }


async def test_the_age_of_the_longest_ready_job(world: World) -> None:
    await world.push(delay_ms=100)
    world.clock.advance(40)
    await world.push()
    world.clock.advance(25)

    assert (await world.ok("stats", queue="q"))["oldest_waiting_ms"] == 25


async def test_queues_are_listed_by_name_with_jobs_or_settings(world: World) -> None:
    await world.push("b")
    await world.ok("queue_pause", queue="c")
    await world.ok("queue_update", queue="a", lease_ms=2000)

    listed = (await world.ok("queues"))["queues"]

    assert [(queue["name"], queue["paused"], queue["counts"]["waiting"]) for queue in listed] == [
        ("a", None, 0),
        ("b", None, 1),
        ("c", "pull", 0),
    ]


@pytest.mark.parametrize(
    ("said", "mode", "pushes", "pulls"),
    [
        ({}, "pull", True, False),
        ({"mode": "pull"}, "pull", True, False),
        ({"mode": "push"}, "push", False, True),
        ({"mode": "both"}, "both", False, False),
    ],
)
async def test_a_pause_stops_what_its_mode_says(
    world: World, said: dict[str, Any], mode: str, pushes: bool, pulls: bool
) -> None:
    await world.push()
    job = await world.active()

    assert await world.ask("queue_pause", queue="q", **said) == {"ok": True, "paused": mode}

    assert (await world.ok("stats", queue="q"))["paused"] == mode
    answer = await world.ask("push", queue="q", name="n")
    assert answer["ok"] is pushes
    if not pushes:
        assert answer["error"]["code"] == "QUEUE_PAUSED"
        assert answer["error"]["details"] == {"queue": "q", "pointer": ""}
    assert (await world.pull() is not None) is pulls
    await world.ok("heartbeat", id=job["id"], lease=job["lease"])
    await world.ok("ack", id=job["id"], lease=job["lease"])
    assert await world.ask("queue_resume", queue="q") == {"ok": True, "paused": None}
    await world.push()
    assert await world.pull() is not None


async def test_a_pause_is_of_one_queue(world: World) -> None:
    await world.ok("queue_pause", queue="a", mode="both")

    await world.push("b")
    assert await world.pull("b") is not None


async def test_a_pause_goes_before_a_batch_and_names_its_job(world: World) -> None:
    await world.ok("queue_pause", queue="q", mode="push")

    answer = await world.ask("push_batch", queue="q", jobs=[{"name": "a"}, {"name": "b"}])

    assert (answer["error"]["code"], answer["error"]["details"]["pointer"]) == (
        "QUEUE_PAUSED",
        "/jobs/0",
    )


async def test_an_update_changes_only_what_it_names(world: World) -> None:
    await world.ok("queue_update", queue="q", lease_ms=5000, max_length=7)
    await world.ok("queue_pause", queue="q")

    answer = await world.ok("queue_update", queue="q", max_length=None, retention_dlq_ms=0)

    assert answer["queue"]["settings"] == {**DEFAULTS, "lease_ms": 5000, "retention_dlq_ms": 0}
    assert answer["queue"]["paused"] == "pull"
    await world.ok("queue_resume", queue="q")
    assert (await world.ok("queue", queue="q"))["queue"]["settings"] == answer["queue"]["settings"]


async def test_settings_that_are_all_default_leave_no_queue_behind(world: World) -> None:
    await world.ok("queue_update", queue="q", lease_ms=5000)
    await world.ok("queue_update", queue="q", lease_ms=None)

    assert (await world.ok("queues"))["queues"] == []


@pytest.mark.parametrize("call", ["queue_update", "queue_pause", "queue_resume"])
async def test_a_queue_that_is_written_to_has_a_proper_name(world: World, call: str) -> None:
    assert await world.refused(call, queue="odd name!") == "VALIDATION_ERROR"
