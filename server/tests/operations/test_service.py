"""What holds for all operations: draining, a store that fails, health, what the server says of itself, decisions on memory that has aged."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.stores import Failing, Wrapped
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.engine import decide
from jobwire_server.errors import StoreFailed, StoreFull
from jobwire_server.model import Change
from jobwire_server.operations.core import JobDefaults, Options
from jobwire_server.store.base import Applied, Store
from jobwire_server.wire import limits
from jobwire_server.wire.requests import TYPES


def test_every_command_of_the_wire_but_those_of_the_session_can_be_run(world: World) -> None:
    session = {"hello", "auth", "abort", "bye"}

    assert set(world.operations._many) | set(world.operations._one) == set(TYPES) - session


# --- a store that fails ---

WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "push": ("insert", {"queue": "q", "name": "n"}),
    "push_batch": ("insert", {"queue": "q", "jobs": [{"name": "n"}]}),
    "queue_pause": ("set_queue", {"queue": "q"}),
    "queue_update": ("set_queue", {"queue": "q", "lease_ms": 2000}),
    "cancel": ("get", {"id": "019b0000-0000-7000-8000-00000000000a"}),
    "get": ("get", {"id": "019b0000-0000-7000-8000-00000000000a"}),
    "find": ("find", {}),
}


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreFull("disk"), "STORAGE_FULL"), (StoreFailed("fsync"), "STORAGE_UNAVAILABLE")],
)
async def test_a_store_that_fails_is_answered(
    store: Store, clock: ManualClock, call: str, error: Exception, code: str
) -> None:
    verb, fields = WRITES[call]
    world = World(Failing(store, error, [verb]), clock)

    [result] = await world.operations.run(call, [_request(call, fields)], world.caller)

    assert result.code == code
    assert (result.retry_after_ms is not None) is (code == "STORAGE_FULL")


@pytest.mark.parametrize("error", [StoreFull("disk"), StoreFailed("fsync")])
async def test_a_server_that_cannot_write_is_not_ready(
    store: Store, clock: ManualClock, error: Exception
) -> None:
    """503 whatever the reason (JW-HEALTH-3), and so not the 507 of a full disk."""
    world = World(Failing(store, error, ["check"]), clock)

    [result] = await world.operations.run("ready", [_request("ready", {})], world.caller)

    assert result.code == "STORAGE_UNAVAILABLE"


def _request(call: str, fields: dict[str, Any]) -> Any:
    import msgspec

    from jobwire_server.wire import checks

    request = msgspec.json.decode(msgspec.json.encode(fields), type=TYPES[call])
    checks.check(call, request)
    return request


async def test_a_store_that_fails_answers_each_request_of_a_call(
    store: Store, clock: ManualClock
) -> None:
    world = World(Failing(store, StoreFull("disk"), ["insert"]), clock)
    request = _request("push", {"queue": "q", "name": "n"})

    results = await world.operations.run("push", [request, request], world.caller)

    assert [result.code for result in results] == ["STORAGE_FULL"] * 2


async def test_a_bug_is_not_answered_but_raised(store: Store, clock: ManualClock) -> None:
    world = World(Failing(store, ZeroDivisionError(), ["insert", "find"]), clock)

    for call, fields in (("push", {"queue": "q", "name": "n"}), ("find", {})):
        with pytest.raises(ZeroDivisionError):
            await world.operations.run(call, [_request(call, fields)], world.caller)


# --- health and what the server says of itself ---


class Full(Wrapped):
    @property
    def is_full(self) -> bool:
        return True


async def test_the_health(world: World) -> None:
    world.clock.advance(61_500)

    health = await world.ok("health")

    assert health["status"] == "healthy"
    assert (health["uptime_seconds"], health["storage"]) == (61, "ok")
    assert health["durability"] == world.store.durability
    world.operations.drain()
    assert (await world.ok("health"))["status"] == "draining"


async def test_the_health_while_the_disk_is_full(store: Store, clock: ManualClock) -> None:
    health = await World(Full(store), clock).ok("health")

    assert (health["status"], health["storage"]) == ("degraded", "full")


async def test_ready_until_the_server_drains(world: World) -> None:
    nothing = TYPES["ready"]()

    [ready] = await world.operations.run("ready", [nothing], world.caller)
    world.operations.drain()
    [refused] = await world.operations.run("ready", [nothing], world.caller)
    [live] = await world.operations.run("live", [nothing], world.caller)

    assert (ready.status, refused.code, live.status) == ("ready", "SHUTTING_DOWN", "live")


async def test_everything_but_pulls_goes_on_while_the_server_drains(world: World) -> None:
    job = await world.active()

    world.operations.drain()

    await world.push()
    await world.ok("heartbeat", id=job["id"], lease=job["lease"])
    await world.ok("ack", id=job["id"], lease=job["lease"])
    assert await world.refused("pull", queue="q") == "SHUTTING_DOWN"


async def test_the_announced_limits_and_defaults_are_those_that_apply(
    store: Store, clock: ManualClock
) -> None:
    options = Options(
        lease_ms=5_000,
        heartbeat_ms=1_500,
        tombstone_ms=7_000,
        job=JobDefaults(
            max_attempts=9, backoff="fixed", backoff_delay_ms=3, backoff_max_ms=4, jitter=0.25
        ),
        retention_ms={"completed": 1, "dlq": 2, "cancelled": 3},
    )
    world = World(store, clock, options=options)

    said = await world.ok("capabilities")
    welcome = world.operations.welcome(2)

    assert said["limits"] == limits.LIMITS == welcome.limits
    assert (
        said["defaults"]
        == welcome.defaults
        == {
            **limits.DEFAULTS,
            "lease_ms": 5_000,
            "heartbeat_ms": 1_500,
            "tombstone_ms": 7_000,
            "max_attempts": 9,
            "backoff": "fixed",
            "backoff_delay_ms": 3,
            "backoff_max_ms": 4,
            "jitter": 0.25,
            "retention_completed_ms": 1,
            "retention_dlq_ms": 2,
            "retention_cancelled_ms": 3,
        }
    )
    assert welcome.heartbeat_ms == 1_500
    job = await world.get(await world.push())
    assert {key: job[key] for key in ("max_attempts", "backoff", "backoff_delay_ms", "jitter")} == {
        "max_attempts": 9,
        "backoff": "fixed",
        "backoff_delay_ms": 3,
        "jitter": 0.25,
    }
    assert said["wire"] == [1, 2]
    assert said["capabilities"] == sorted(set(said["capabilities"])) == welcome.capabilities


# --- decisions on memory that has aged ---


async def behind_its_back(world: World, job_id: str, **fields: Any) -> None:
    """Change a job through the store alone, so that the operations do not hear of it."""
    row = await world.row(job_id)
    now = world.clock.now()
    [outcome] = await world.store.apply(
        [Change(replace(row, revision=row.revision + 1, **fields), row.revision)], now
    )
    assert isinstance(outcome, Applied)


async def test_an_ack_that_was_decided_on_old_memory_has_no_effect(world: World) -> None:
    job = await world.active()
    await behind_its_back(
        world,
        job["id"],
        state="waiting",
        settled_by="lease_expired",
        lease_expires_at=None,
        due_at=None,
    )

    answer = await world.ask("ack", id=job["id"], lease=job["lease"])

    assert answer["error"]["code"] == "LEASE_LOST"
    assert await world.state(job["id"]) == "waiting"


async def test_a_refusal_that_was_decided_on_old_memory_is_looked_at_again(world: World) -> None:
    job = await world.active()
    row = await world.row(job["id"])
    await behind_its_back(world, job["id"], delivery=row.delivery + 1)

    assert await world.ask("ack", id=job["id"], lease=f"2-{job['id'][-12:]}") == {"ok": True}


async def test_what_changed_behind_its_back_is_kept_by_the_next_change(world: World) -> None:
    job = await world.active()
    await behind_its_back(world, job["id"], progress=77)

    await world.ok("ack", id=job["id"], lease=job["lease"])

    assert (await world.get(job["id"]))["progress"] == 77


async def test_a_job_that_vanished_behind_its_back_is_not_found(world: World) -> None:
    job = await world.active()
    row = await world.row(job["id"])
    decision = decide.ack(row, None, None, world.clock.now())
    assert isinstance(decision, Change)
    await world.store.apply([decision], world.clock.now())
    await world.store.prune("q", "completed", world.clock.now() + 1, 10)

    assert await world.refused("heartbeat", id=job["id"], lease=job["lease"]) == "JOB_NOT_FOUND"


async def test_two_servers_on_one_store_agree(store: Store, clock: ManualClock) -> None:
    here, there = World(store, clock), World(store, clock)
    job = await here.active()
    await there.ok("cancel", id=job["id"])
    assert (await here.ok("heartbeat", id=job["id"], lease=job["lease"]))["cancelled"] is True
    await there.ok("ack", id=job["id"], lease=job["lease"])

    assert await here.ask("ack", id=job["id"], lease=job["lease"]) == {"ok": True, "already": True}


class AlwaysLate(Wrapped):
    """Someone is always first: the job is at another revision each time that it is applied to."""

    async def apply(self, changes: Any, now: int) -> Any:
        for change in changes:
            [row] = await self.store.get([change.job.id])
            assert row is not None
            await self.store.apply(
                [Change(replace(row, revision=row.revision + 1), row.revision)], now
            )
        return await self.store.apply(changes, now)


async def test_a_job_that_never_holds_still_ends_in_an_answer(
    store: Store, clock: ManualClock
) -> None:
    world = World(store, clock)
    job = await world.active()

    answer = await World(AlwaysLate(store), clock).ask("progress", id=job["id"], progress=1)

    assert answer["error"]["code"] == "OVERLOADED"


def test_the_memory_of_what_was_handed_out_is_bounded() -> None:
    from tests.engine.jobs import a_job

    from jobwire_server.operations.settling import Held

    held = Held()
    big = b'"' + b"x" * (1 << 20) + b'"'

    for number in range(40):
        held.put(a_job("active", id=f"job-{number}", data=big))

    kept = [number for number in range(40) if held.get(f"job-{number}") is not None]
    assert kept == list(range(40 - len(kept), 40))
    assert 10 <= len(kept) <= 16
    held.saw(a_job("completed", id="job-39"))
    assert held.get("job-39") is None
