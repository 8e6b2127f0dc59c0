"""Jobs and calls for the tests of the stores: everything has a default, a test names what it is about."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from jobwire_server.engine.timing import due_at, position
from jobwire_server.ids import IdMaker
from jobwire_server.model import Change, ClaimRequest, Job, JobState, PushItem
from jobwire_server.store.base import Applied, Existing, Inserted, InsertOutcome, Store

NOW = 1_767_225_600_000
LEASE = 30_000
_ids = IdMaker()


def a_job(**fields: Any) -> Job:
    """A job as a push would hand it to the store; `run_at` in the future makes it delayed."""
    run_at = fields.pop("run_at", NOW)
    state = JobState.DELAYED if run_at > NOW else JobState.WAITING
    base: dict[str, Any] = {
        "id": _ids.new(),
        "queue": "mail",
        "name": "send",
        "data": b'{"to": "a@example.org"}',
        "created_at": NOW,
        "updated_at": NOW,
    }
    job = Job(**{**base, "state": state, "run_at": run_at, **fields})
    return replace(job, position=position(job), due_at=due_at(job))


async def offer(store: Store, *items: Job | PushItem, **options: Any) -> list[InsertOutcome]:
    """Insert, atomic and at NOW unless told otherwise; every outcome as it is."""
    pushes = [item if isinstance(item, PushItem) else PushItem(item) for item in items]
    return await store.insert(
        pushes, atomic=options.get("atomic", True), now=options.get("now", NOW)
    )


async def push(store: Store, *items: Job | PushItem, now: int = NOW) -> list[Job]:
    """Insert jobs that must be accepted; the jobs as stored."""
    outcomes = await offer(store, *items, now=now)
    assert all(isinstance(outcome, Inserted) for outcome in outcomes), outcomes
    return [outcome.job for outcome in outcomes if isinstance(outcome, Inserted)]


async def pull(store: Store, *queues: str, now: int = NOW, **fields: Any) -> list[Job]:
    """Claim, one job from `mail` unless told otherwise."""
    asked = {"count": 1, "default_lease_ms": LEASE, **fields}
    return await store.claim(ClaimRequest(queues=queues or ("mail",), **asked), now)


async def make(store: Store, change: Any, now: int = NOW) -> Applied:
    """Apply a change (a decision of the engine) that must be accepted."""
    assert isinstance(change, Change), change
    [outcome] = await store.apply([change], now)
    assert isinstance(outcome, Applied), outcome
    return outcome


async def current(store: Store, job: Job) -> Job:
    """The job as it is now; it must be there."""
    [found] = await store.get([job.id])
    assert found is not None
    return found


def existing(outcome: InsertOutcome) -> Job:
    assert isinstance(outcome, Existing), outcome
    return outcome.job


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]
