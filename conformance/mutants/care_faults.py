"""Faults in what a caller asks of a job that is there, and in what becomes of finished ones."""

from __future__ import annotations

from typing import Any

from jobwire_server.engine import decide
from jobwire_server.maintenance import Maintenance
from jobwire_server.model import Change, Job, JobState
from jobwire_server.operations import care
from jobwire_server.wire import answers
from msgspec.structs import replace

from conformance.mutants.fault import around, fault, put

# --- cancel, retry, delete ----------------------------------------------------------------------------------------------


@fault("JW-CANCEL-2")
def cancel_takes_the_job_away() -> None:
    """The cancel of an active job ends it at once."""

    def hard(original: Any, job: Job, now: int) -> Any:
        if job.state != JobState.ACTIVE:
            return original(job, now)
        return decide._finished(job, JobState.CANCELLED, now, "fail", reason="cancelled")

    around(decide, "cancel", hard)


@fault("JW-CANCEL-3")
def cancelled_job_is_tried_again() -> None:
    """A job that was asked to stop and fails has its next try."""

    def deaf(original: Any, job: Job, *args: Any, **kwargs: Any) -> Any:
        return original(replace(job, cancel_requested_at=None), *args, **kwargs)

    around(decide, "_failed", deaf)


@fault("JW-CANCEL-5")
def second_cancel_is_no_repeat() -> None:
    """A cancel that is repeated does not say `already`."""

    async def forgetful(original: Any, self: Any, request: Any) -> Any:
        answer = await original(self, request)
        return answers.Moved(state=answer.state)

    around(care.Care, "cancel", forgetful)


def _retried(**fields: str) -> None:
    """Have a retry keep these members of the job."""

    def kept(original: Any, job: Job, now: int) -> Any:
        change = original(job, now)
        if not isinstance(change, Change):
            return change
        same = {field: getattr(job, member) for field, member in fields.items()}
        return Change(replace(change.job, **same), change.expect, change.children)

    around(decide, "retry", kept)


@fault("JW-RETRY-1")
def retry_keeps_the_attempts() -> None:
    """A retried dead letter has no tries left."""
    _retried(attempt="attempt")


@fault("JW-RETRY-6")
def retry_keeps_the_ttl() -> None:
    """A job that has expired and is retried keeps its ttl."""
    _retried(ttl_ms="ttl_ms")


@fault("MATRIX-delete-active", "JW-DEL-1")
def active_job_is_deleted() -> None:
    """A delete removes a job that a worker has."""

    def lax(original: Any, operation: str, job: Job) -> Any:
        if operation == "delete" and job.state == JobState.ACTIVE:
            return False
        return original(operation, job)

    around(decide, "_caller_again", lax)


@fault("JW-QUEUE-9")
def nothing_is_pruned() -> None:
    """Finished jobs stay after their retention."""

    async def idle(self: Any) -> int:
        return 0

    put(Maintenance, "_prune", idle)


@fault("READY-018", "JW-JOB-8")
def updated_at_stands_still() -> None:
    """updated_at is the time of the push for ever."""

    def still(original: Any, job: Job, now: int, **fields: Any) -> Any:
        return replace(original(job, now, **fields), updated_at=job.updated_at)

    around(decide, "moved", still)
