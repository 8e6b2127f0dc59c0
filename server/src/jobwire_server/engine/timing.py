"""When a job is ready, where it stands in its queue, and when time alone changes it next."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from jobwire_server.model import Job, JobState


def earlier(first: int | None, second: int | None) -> int | None:
    """The earlier of two instants; None is never."""
    if first is None:
        return second
    return first if second is None or first < second else second


def due_at(job: Job) -> int | None:
    """The next instant at which time changes the job: promotion, ttl, the end of its lease or its timeout."""
    match job.state:
        case JobState.WAITING:
            return job.expires_at
        case JobState.DELAYED:
            return earlier(job.run_at, job.expires_at)
        case JobState.ACTIVE:
            return earlier(job.lease_expires_at, job.timeout_at)
    return None


def position(job: Job) -> int:
    """The place among equals of one priority: by ready time, or for lifo ahead of all, newest first (JW-PULL-3)."""
    return -job.run_at if job.lifo else job.run_at


def moved(job: Job, now: int, **fields: Any) -> Job:
    """The after-image of a job: `fields` set, one revision on, due_at and position made to fit; updated_at never goes back (JW-JOB-8)."""
    after = replace(job, revision=job.revision + 1, updated_at=max(now, job.updated_at), **fields)
    due, place = due_at(after), position(after)
    if due == after.due_at and place == after.position:
        return after
    return replace(after, due_at=due, position=place)
