"""ack, fail, release, heartbeat and progress: one and many, with a lease and without."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.ids import IdMaker
from jobwire_server.operations.core import Options
from jobwire_server.store.base import Store
from jobwire_server.wire.spelling import rfc3339

STRANGER = IdMaker().new()
CALLS: dict[str, dict[str, Any]] = {
    "ack": {},
    "fail": {"error": "x"},
    "release": {},
    "heartbeat": {},
    "progress": {"progress": 1},
}


async def test_an_ack_keeps_the_result(world: World) -> None:
    job = await world.active()

    assert await world.ask("ack", id=job["id"], lease=job["lease"], result={"n": 1}) == {"ok": True}

    after = await world.get(job["id"])
    assert (after["state"], after["result"], after["completed_at"]) == (
        "completed",
        {"n": 1},
        rfc3339(world.clock.now()),
    )
    assert (after["lease_expires_at"], "lease" in after) == (None, False)


async def test_the_last_heartbeat_is_shown_while_its_lease_runs(world: World) -> None:
    job = await world.active()
    await world.ok("heartbeat", id=job["id"])
    during = await world.get(job["id"])

    await world.ok("ack", id=job["id"])

    assert during["last_heartbeat"] == rfc3339(world.clock.now())
    assert (await world.get(job["id"]))["last_heartbeat"] is None


async def test_a_repeated_ack_is_answered_already_and_changes_nothing(world: World) -> None:
    job = await world.active()
    said = {"id": job["id"], "lease": job["lease"]}
    await world.ok("ack", **said, result=1)

    again = await world.ask("ack", **said, result=2)

    assert again == {"ok": True, "already": True}
    assert (await world.get(job["id"]))["result"] == 1


async def test_a_job_that_is_removed_on_completion_remembers_its_ack_for_a_minute(
    world: World,
) -> None:
    job = await world.active(remove_on_complete=True)
    said = {"id": job["id"], "lease": job["lease"]}
    await world.ok("ack", **said)

    assert await world.state(job["id"]) == "gone"
    assert await world.counts() == {}
    await world.after(59_000)
    assert await world.ask("ack", **said) == {"ok": True, "already": True}
    await world.after(10_001)
    assert await world.refused("ack", **said) == "JOB_NOT_FOUND"


async def test_a_fail_says_whether_and_when_the_job_runs_again(world: World) -> None:
    job = await world.active(max_attempts=2, backoff_delay_ms=700)

    answer = await world.ok("fail", id=job["id"], lease=job["lease"], error="boom")

    at = rfc3339(world.clock.now() + 700)
    assert answer == {"ok": True, "retry": True, "will_retry": True, "next_attempt_at": at}
    again = await world.ok("fail", id=job["id"], lease=job["lease"], error="other")
    assert again == {**answer, "already": True}
    assert (await world.get(job["id"]))["last_error"] == "boom"


async def test_a_repeated_fail_answers_as_the_job_now_stands(world: World) -> None:
    job = await world.active(backoff_delay_ms=700)
    await world.ok("fail", id=job["id"], lease=job["lease"])
    await world.ok("cancel", id=job["id"])

    again = await world.ok("fail", id=job["id"], lease=job["lease"])

    assert again == {
        "ok": True,
        "retry": False,
        "will_retry": False,
        "next_attempt_at": None,
        "already": True,
    }


async def test_a_fail_that_retries_at_once_has_no_next_instant(world: World) -> None:
    job = await world.active(backoff_delay_ms=0)

    answer = await world.ok("fail", id=job["id"])

    assert (answer["retry"], answer["next_attempt_at"]) == (True, None)


async def test_the_last_fail_makes_a_dead_letter(world: World) -> None:
    job = await world.active(max_attempts=1)

    answer = await world.ok("fail", id=job["id"])

    after = await world.get(job["id"])
    assert (answer["retry"], answer["next_attempt_at"]) == (False, None)
    assert (after["state"], after["reason"], after["last_error"]) == (
        "dlq",
        "failed",
        "unknown error",
    )
    assert world.happened()[-2:] == ["job.failed", "job.dlq"]


async def test_the_errors_of_all_tries_are_kept_after_success(world: World) -> None:
    await world.push(backoff_delay_ms=0, max_attempts=9)
    for message in ("one", "two"):
        job = await world.pulled(worker_id="w")
        await world.ok("fail", id=job["id"], lease=job["lease"], error=message)
        world.clock.advance(10)
    job = await world.pulled()
    await world.ok("ack", id=job["id"])

    after = await world.get(job["id"])
    now = world.clock.now()
    assert after["last_error"] == "two"
    assert after["errors"] == [
        {
            "attempt": n,
            "at": rfc3339(now - back),
            "kind": "error",
            "message": message,
            "worker_id": "w",
        }
        for n, back, message in ((1, 20, "one"), (2, 10, "two"))
    ]


async def test_the_jitter_is_drawn_once_for_each_fail(store: Store, clock: ManualClock) -> None:
    draws = iter([0.0, 0.5])
    world = World(store, clock, random=lambda: next(draws))

    waits = []
    for _ in range(2):
        job = await world.active(backoff_delay_ms=1000, jitter=1)
        await world.ok("fail", id=job["id"])
        waits.append((await world.row(job["id"])).run_at - clock.now())

    assert waits == [1000, 500]


async def test_a_release_answers_with_the_state(world: World) -> None:
    job = await world.active()
    said = {"id": job["id"], "lease": job["lease"]}

    assert await world.ask("release", **said) == {"ok": True, "state": "waiting"}
    assert await world.ask("release", **said) == {"ok": True, "state": "waiting", "already": True}
    await world.pulled()
    assert await world.refused("release", **said) == "LEASE_LOST"


async def test_a_heartbeat_says_until_when_the_lease_lasts(world: World) -> None:
    job = await world.active()
    world.clock.advance(20_000)

    answer = await world.ask("heartbeat", id=job["id"], lease=job["lease"])

    assert answer == {"ok": True, "lease_expires_at": rfc3339(world.clock.now() + 30_000)}
    assert await world.after(29_999) == 0
    assert await world.after(1) == 1


async def test_a_heartbeat_of_a_cancelled_job_says_so(world: World) -> None:
    job = await world.active()
    await world.ok("cancel", id=job["id"])

    assert (await world.ok("heartbeat", id=job["id"], lease=job["lease"]))["cancelled"] is True


async def test_progress_leaves_the_lease_alone(world: World) -> None:
    job = await world.active()
    world.clock.advance(1000)

    assert await world.ask(
        "progress", id=job["id"], lease=job["lease"], progress=255, message="half"
    ) == {"ok": True}

    after = await world.get(job["id"])
    assert (after["progress"], after["lease_expires_at"]) == (100, job["lease_expires_at"])
    assert after["logs"] == [{"timestamp": rfc3339(world.clock.now()), "message": "half"}]


@pytest.mark.parametrize("call", CALLS)
async def test_a_worker_without_a_lease_speaks_for_the_live_one(world: World, call: str) -> None:
    job = await world.active()

    assert (await world.ok(call, id=job["id"], **CALLS[call])).get("already") is None


@pytest.mark.parametrize("call", CALLS)
async def test_a_worker_whose_lease_ran_out_is_told_so_while_another_has_the_job(
    world: World, call: str
) -> None:
    job = await world.active()
    await world.after(30_000)
    other = await world.pulled()

    assert (
        await world.refused(call, id=job["id"], lease=job["lease"], **CALLS[call]) == "LEASE_LOST"
    )
    await world.ok(call, id=job["id"], lease=other["lease"], **CALLS[call])


@pytest.mark.parametrize("call", CALLS)
async def test_a_job_that_is_not_there(world: World, call: str) -> None:
    assert await world.refused(call, id=STRANGER, lease="x", **CALLS[call]) == "JOB_NOT_FOUND"


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_wants_leases_refuses_calls_without_one(
    store: Store, clock: ManualClock, call: str
) -> None:
    world = World(store, clock, options=Options(require_lease=True))
    job = await world.active()

    assert await world.refused(call, id=job["id"], **CALLS[call]) == "LEASE_REQUIRED"
    await world.ok(call, id=job["id"], lease=job["lease"], **CALLS[call])


async def test_a_batch_with_and_without_leases_on_a_server_that_wants_them(
    store: Store, clock: ManualClock
) -> None:
    world = World(store, clock, options=Options(require_lease=True))
    jobs = [await world.active() for _ in range(3)]
    items = [{"id": job["id"], "lease": job["lease"]} for job in jobs]
    del items[1]["lease"]

    answer = await world.ok("ack_batch", items=items)

    assert [item["ok"] for item in answer["results"]] == [True, False, True]
    assert answer["results"][1]["error"]["code"] == "LEASE_REQUIRED"


# --- batches ---


async def test_each_item_of_a_batch_of_acks_stands_for_itself(world: World) -> None:
    jobs = [await world.active() for _ in range(3)]
    await world.ok("ack", id=jobs[2]["id"], lease=jobs[2]["lease"])

    answer = await world.ok(
        "ack_batch",
        items=[
            {"id": jobs[0]["id"], "lease": jobs[0]["lease"], "result": [1]},
            {"id": jobs[1]["id"], "lease": "wrong"},
            {"id": STRANGER},
            {"id": jobs[2]["id"], "lease": jobs[2]["lease"]},
        ],
    )

    assert (answer["acked"], answer["failed"]) == (2, 2)
    assert [item["id"] for item in answer["results"]] == [
        jobs[0]["id"],
        jobs[1]["id"],
        STRANGER,
        jobs[2]["id"],
    ]
    assert answer["results"][0] == {"id": jobs[0]["id"], "ok": True}
    assert [answer["results"][i]["error"]["code"] for i in (1, 2)] == [
        "LEASE_LOST",
        "JOB_NOT_FOUND",
    ]
    assert answer["results"][3] == {"id": jobs[2]["id"], "ok": True, "already": True}
    assert (await world.get(jobs[0]["id"]))["result"] == [1]


async def test_a_job_that_a_batch_names_twice_is_settled_in_that_order(world: World) -> None:
    job = await world.active()
    item = {"id": job["id"], "lease": job["lease"]}

    answer = await world.ok("ack_batch", items=[{**item, "result": 1}, {**item, "result": 2}])

    assert answer["results"] == [
        {"id": job["id"], "ok": True},
        {"id": job["id"], "ok": True, "already": True},
    ]
    assert (await world.get(job["id"]))["result"] == 1


async def test_a_batch_of_acks_by_ids(world: World) -> None:
    jobs = [await world.active() for _ in range(2)]

    answer = await world.ok("ack_batch", ids=[job["id"] for job in jobs])

    assert (answer["acked"], answer["failed"]) == (2, 0)
    assert (await world.ok("ack_batch", items=[], ids=[STRANGER])) == {
        "ok": True,
        "acked": 0,
        "failed": 0,
        "results": [],
    }
    assert await world.refused("ack_batch") == "VALIDATION_ERROR"


async def test_a_batch_of_fails_answers_for_each(world: World) -> None:
    jobs = [await world.active(max_attempts=n, backoff_delay_ms=5) for n in (1, 2)]

    answer = await world.ok(
        "fail_batch",
        items=[*({"id": job["id"], "lease": job["lease"]} for job in jobs), {"id": STRANGER}],
    )

    assert (answer["failed"], answer["refused"]) == (2, 1)
    # Without next_attempt_at, which an item has only with a time (ItemResult.yaml).
    assert answer["results"][0] == {"id": jobs[0]["id"], "ok": True, "retry": False}
    assert answer["results"][1]["next_attempt_at"] == rfc3339(world.clock.now() + 5)
    assert answer["results"][2]["error"]["code"] == "JOB_NOT_FOUND"


async def test_a_batch_of_heartbeats_names_the_lost_and_the_cancelled(world: World) -> None:
    jobs = [await world.active() for _ in range(4)]
    await world.ok("cancel", id=jobs[1]["id"])
    await world.ok("ack", id=jobs[2]["id"])
    items = [{"id": job["id"], "lease": job["lease"]} for job in jobs[:3]]
    items += [{"id": jobs[3]["id"], "lease": "wrong"}, {"id": STRANGER, "lease": "x"}]

    answer = await world.ok("heartbeat_batch", items=items)

    assert answer["lost"] == [jobs[2]["id"], jobs[3]["id"], STRANGER]
    assert answer["cancelled"] == [jobs[1]["id"]]
    assert answer["deaf"] is False
    assert answer["results"][0] == {
        "id": jobs[0]["id"],
        "ok": True,
        "lease_expires_at": rfc3339(world.clock.now() + 30_000),
    }


async def test_many_requests_of_one_kind_run_as_one_call(world: World) -> None:
    from jobwire_server.wire.requests import parse_line

    jobs = [await world.active() for _ in range(3)]
    lines = [b'{"cmd":"ack","id":"%b"}' % job["id"].encode() for job in [*jobs, jobs[0]]]

    results = await world.operations.run(
        "ack", [parse_line(line).request for line in lines], world.caller
    )

    assert [getattr(result, "code", "ok") for result in results] == [
        "ok",
        "ok",
        "ok",
        "INVALID_STATE",
    ]


async def test_a_batch_that_names_a_job_under_several_leases_is_settled_in_its_order(
    world: World,
) -> None:
    old = await world.active(remove_on_complete=True)
    await world.ok("release", id=old["id"])
    new = await world.pulled()
    stale, live = ({"id": job["id"], "lease": job["lease"]} for job in (old, new))

    answer = await world.ok("ack_batch", items=[stale, live, stale, live])

    codes = [item.get("error", {}).get("code", "ok") for item in answer["results"]]
    assert codes == ["LEASE_LOST", "ok", "JOB_NOT_FOUND", "ok"]
    assert answer["results"][3]["already"] is True


async def test_a_batch_may_name_one_job_a_thousand_times(world: World) -> None:
    job = await world.active()

    answer = await world.ok("ack_batch", ids=[job["id"]] * 2 + [job["id"]])
    again = await world.ok("ack_batch", items=[{"id": job["id"], "lease": job["lease"]}] * 1000)

    assert (answer["acked"], again["acked"]) == (1, 1000)
