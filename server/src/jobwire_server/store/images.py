"""
The few after-images that a store makes by itself, because they happen inside its own transaction.

Rule 1: pure; the same for every backend. What an operation means is decided in engine/, never here.
Rule 2: every image but a first one has a revision one higher than the job it was made from (JW-JOB-4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from jobwire_server.model import ClaimRequest, Job, JobState, QueueSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

CLAIM_MEMORY_MS: Final = 300_000

PAUSED_FOR_PUSH = frozenset({"push", "both"})
PAUSED_FOR_PULL = frozenset({"pull", "both"})

# A job in one of these can make room for a push with the same unique key (on_conflict replace).
REPLACEABLE = frozenset({JobState.WAITING, JobState.DELAYED, JobState.BLOCKED})


def placed(job: Job, depth: int, pending: int) -> Job:
    """The image that is inserted: where the job stands in its dependency graph; blocked while it waits for parents."""
    if pending == 0:
        return job if depth == job.depth else replace(job, depth=depth)
    return replace(job, depth=depth, pending_parents=pending, state=JobState.BLOCKED, due_at=None)


def lease_length(request: ClaimRequest, settings: QueueSettings) -> int:
    """How long a claim's lease lasts, in ms: the request's word, else the queue's, else the server's (JW-LEASE-2)."""
    return request.lease_ms or settings.lease_ms or request.default_lease_ms


def leased(job: Job, worker_id: str | None, lease_ms: int, now: int) -> Job:
    """The job as handed to a worker (JW-PULL-1)."""
    ends = now + lease_ms
    times_out = ends if job.timeout_ms is None else now + job.timeout_ms
    return replace(
        job,
        state="active",
        revision=job.revision + 1,
        due_at=min(ends, times_out),
        updated_at=max(now, job.updated_at),
        delivery=job.delivery + 1,
        lease_ms=lease_ms,
        lease_expires_at=ends,
        started_at=now,
        last_heartbeat=None,
        worker_id=worker_id,
        settled_by=None,
    )


def replaced(job: Job, now: int) -> Job:
    """A job that made room for a push with the same unique key (JW-UNIQ-4)."""
    return replace(
        job,
        state=JobState.CANCELLED,
        revision=job.revision + 1,
        due_at=None,
        updated_at=max(now, job.updated_at),
        reason="replaced",
        finished_at=now,
    )


def tombstone(job: Job) -> Job:
    """What is kept of a removed job: enough to recognise a repeated call, nothing of the user's (JW-DEL-2)."""
    return replace(job, data=b"", result=None, metadata=None, errors=(), logs=())


def graced(job: Job, now: int) -> Job:
    """An active job whose lease has at least its whole length to go (JW-TIME-3); the same object when it has."""
    least = now + (job.lease_ms or 0)
    ends = max(job.lease_expires_at or 0, least)
    due_at = max(job.due_at or 0, least)
    if (ends, due_at) == (job.lease_expires_at, job.due_at):
        return job
    return replace(job, revision=job.revision + 1, lease_expires_at=ends, due_at=due_at)


def shifted(job: Job, shift: int) -> Job:
    """An active job whose instants follow a clock that was set (JW-TIME-2)."""
    return replace(
        job,
        revision=job.revision + 1,
        lease_expires_at=_moved(job.lease_expires_at, shift),
        started_at=_moved(job.started_at, shift),
        due_at=_moved(job.due_at, shift),
    )


def _moved(instant: int | None, shift: int) -> int | None:
    return None if instant is None else instant + shift


def forget_claim_at(jobs: Sequence[Job], now: int) -> int:
    """Until when a claim's request_id is remembered: well after its leases would have ended unrenewed (JW-PULL-11)."""
    return max((job.lease_expires_at or now for job in jobs), default=now) + CLAIM_MEMORY_MS
