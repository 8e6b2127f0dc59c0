"""
What each operation makes of a job: ack, fail, release, heartbeat, progress, cancel, retry, promote, delete, and the passing of time.

Each function takes the job as it was last seen and answers with a Change, or with ALREADY when the same call had been carried out before.
A move that lifecycle.yaml forbids raises INVALID_STATE, or LEASE_LOST when the caller showed a lease. The store compares the
Change with the job of that moment; when it is stale, the operation decides again on what is there now.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal

from msgspec.structs import replace

from jobwire_server.engine.backoff import delay_ms
from jobwire_server.engine.leases import lease_of
from jobwire_server.engine.timing import earlier, moved
from jobwire_server.engine.transitions import ALREADY_SAME_LEASE, TRANSITIONS
from jobwire_server.errors import invalid_state, job_not_found, lease_lost
from jobwire_server.model import Change, Children, Job, JobError, JobState, LogLine

ERRORS_KEPT: Final = 20
LOGS_KEPT: Final = 100
TIMEOUT_MESSAGE: Final = "job timed out"
LEASE_MESSAGE: Final = "lease expired (no heartbeat)"


class Nothing(Enum):
    """The answer is ok and nothing changes."""

    ALREADY = "already"


ALREADY: Final = Nothing.ALREADY
Decision = Change | Literal[Nothing.ALREADY]


# --- what a worker says about its job ----------------------------------------------------------------------------


def ack(job: Job, lease: str | None, result: bytes | None, now: int) -> Decision:
    """The job is done (JW-ACK-1). An ack wins over a cancel that was asked for meanwhile."""
    if _speaks_again("ack", job, lease):
        return ALREADY
    after = replace(
        job,
        state=JobState.REMOVED if job.remove_on_complete else JobState.COMPLETED,
        revision=job.revision + 1,
        updated_at=max(now, job.updated_at),
        result=result,
        completed_at=now,
        finished_at=now,
        due_at=None,
        lease_expires_at=None,
        settled_by="ack",
    )
    return Change(after, job.revision, "release")


def fail(
    job: Job,
    lease: str | None,
    message: str,
    now: int,
    u: float,
    *,
    retry_in_ms: int | None = None,
    discard: bool = False,
) -> Decision:
    """This attempt failed (JW-FAIL-1): try again after its backoff, or give up."""
    if _speaks_again("fail", job, lease):
        return ALREADY
    wait = delay_ms(job, job.attempt + 1, u) if retry_in_ms is None else retry_in_ms
    return _failed(job, now, "error", message, wait, settled_by="fail", give_up=discard)


def release(job: Job, lease: str | None, delay: int, now: int) -> Decision:
    """Give the job back without burning an attempt (JW-LEASE-6). Without a delay it goes back to where it stood."""
    if _speaks_again("release", job, lease):
        return ALREADY
    ended = _lease_ended("release")
    if job.cancel_requested_at is not None:
        return _finished(job, JobState.CANCELLED, now, "fail", reason="cancelled", **ended)
    if delay > 0:
        return _change(job, now, state=JobState.DELAYED, run_at=now + delay, **ended)
    return _change(job, now, state=JobState.WAITING, **ended)


def heartbeat(job: Job, lease: str | None, lease_ms: int | None, now: int) -> Decision:
    """The worker lives: its lease lasts its length from now on (JW-HB-1)."""
    _speaks_again("heartbeat", job, lease)
    length = lease_ms or job.lease_ms or 0
    return _stays(job, now, lease_ms=length, lease_expires_at=now + length, last_heartbeat=now)


def progress(job: Job, lease: str | None, percent: int, message: str | None, now: int) -> Decision:
    """How far the handler is, and a line for the log, which keeps the last LOGS_KEPT (JW-PROG-1)."""
    _speaks_again("progress", job, lease)
    logs = job.logs if message is None else (*job.logs, LogLine(now, message))[-LOGS_KEPT:]
    return _stays(job, now, progress=min(percent, 100), logs=logs)


# --- what a caller asks for --------------------------------------------------------------------------------------


def cancel(job: Job, now: int) -> Decision:
    """Stop the job (JW-CANCEL-1); one that runs is asked to stop and ends when its worker says so."""
    asked_before = job.state == JobState.ACTIVE and job.cancel_requested_at is not None
    if _caller_again("cancel", job) or asked_before:
        return ALREADY
    if job.state == JobState.ACTIVE:
        return _stays(job, now, cancel_requested_at=now)
    return _finished(job, JobState.CANCELLED, now, "fail", reason="cancelled")


def retry(job: Job, now: int) -> Decision:
    """
    Run a dead letter or a cancelled job again, attempts from the start and without its ttl (JW-RETRY-1).

    A job that was cancelled while it waited for parents waits for them again; one that a parent took down runs.
    """
    _caller_again("retry", job)
    waits = (
        job.state == JobState.CANCELLED
        and job.pending_parents > 0
        and job.reason != "parent_failed"
    )
    return _change(
        job,
        now,
        state=JobState.BLOCKED if waits else JobState.WAITING,
        run_at=now,
        attempt=0,
        reason=None,
        ttl_ms=None,
        completed_at=None,
        finished_at=None,
        cancel_requested_at=None,
        settled_by=None,
    )


def promote(job: Job, now: int) -> Decision:
    """A delayed job is ready now (JW-RETRY-4)."""
    if _caller_again("promote", job):
        return ALREADY
    return _change(job, now, state=JobState.WAITING, run_at=now)


def delete(job: Job, now: int) -> Decision:
    """Forget the job; whoever waits for it is cancelled (JW-DEL-1). Never an active one."""
    _caller_again("delete", job)
    children: Children = "none" if job.is_finished else "fail"
    return _finished(job, JobState.REMOVED, now, children, reason="cancelled")


# --- what time does ----------------------------------------------------------------------------------------------


def elapse(job: Job, now: int, u: float) -> Change | None:
    """
    What the passing of time makes of a job whose due_at has come; None when it is not its time.

    The ttl goes before the promotion. Of lease and timeout, the one that ended first counts (JW-TIME-4).
    """
    if job.due_at is None or job.due_at > now:
        return None
    if job.state == JobState.ACTIVE:
        return _overdue(job, now, u)
    if job.expires_at is not None and job.expires_at <= now:
        return _finished(job, JobState.CANCELLED, now, "fail", reason="expired")
    if job.state == JobState.DELAYED:
        return _change(job, now, state=JobState.WAITING)
    return None


def _overdue(job: Job, now: int, u: float) -> Change:
    lease_end, timeout_end = job.lease_expires_at, job.timeout_at
    if (
        timeout_end is not None
        and timeout_end <= now
        and (lease_end is None or timeout_end < lease_end)
    ):
        wait = delay_ms(job, job.attempt + 1, u)
        return _failed(job, now, "timeout", TIMEOUT_MESSAGE, wait, settled_by="timeout")
    # A lost worker says nothing about the job, and its lease was wait enough: no backoff (JW-LEASE-8).
    return _failed(job, now, "lease_expired", LEASE_MESSAGE, 0, settled_by="lease_expired")


# --- the steps they share ----------------------------------------------------------------------------------------


def _failed(
    job: Job,
    now: int,
    kind: str,
    message: str,
    wait: int,
    *,
    settled_by: str,
    give_up: bool = False,
) -> Change:
    """Step 1: write the failure down. Step 2: cancelled, given up, or another try."""
    attempt = job.attempt + 1
    entry = JobError(attempt, now, kind, message, job.worker_id)
    noted: dict[str, Any] = {
        **_lease_ended(settled_by),
        "attempt": attempt,
        "last_error": message,
        "errors": (*job.errors, entry)[-ERRORS_KEPT:],
    }
    if job.cancel_requested_at is not None:
        return _finished(job, JobState.CANCELLED, now, "fail", reason="cancelled", **noted)
    if give_up or attempt >= job.max_attempts:
        reason = "poison" if kind == "lease_expired" else "failed"
        return _finished(job, dead_state(job), now, "fail", reason=reason, **noted)
    state = JobState.DELAYED if wait > 0 else JobState.WAITING
    return _change(job, now, state=state, run_at=now + wait, **noted)


def dead_state(job: Job) -> JobState:
    """Where a job goes that failed for good."""
    return JobState.REMOVED if job.remove_on_fail else JobState.DLQ


def _lease_ended(settled_by: str) -> dict[str, Any]:
    return {"lease_expires_at": None, "settled_by": settled_by}


def _finished(job: Job, state: JobState, now: int, children: Children, **fields: Any) -> Change:
    """The end of a job. Time changes it no more, and its place stays, so that moved() has nothing to work out."""
    ended = {"lease_expires_at": None, **fields}
    after = replace(
        job,
        revision=job.revision + 1,
        updated_at=max(now, job.updated_at),
        state=state,
        finished_at=now,
        due_at=None,
        **ended,
    )
    return Change(after, job.revision, children)


def _change(job: Job, now: int, **fields: Any) -> Change:
    return Change(moved(job, now, **fields), job.revision)


def _stays(job: Job, now: int, **fields: Any) -> Change:
    """
    A change of an active job that leaves it active.

    Grace for a timeout that had passed (images.graced, JW-TIME-1) stands in due_at alone, so it is carried over.
    """
    after = moved(job, now, **fields)
    timeout_end, due = job.timeout_at, job.due_at
    if timeout_end is not None and due is not None and due > timeout_end:
        after = replace(after, due_at=earlier(after.lease_expires_at, due))
    return Change(after, job.revision)


def _speaks_again(operation: str, job: Job, lease: str | None) -> bool:
    """
    True when this lease has said the same before; False when the caller may speak for the job now.

    Raises JOB_NOT_FOUND for a tombstone, LEASE_LOST for a lease that is over, INVALID_STATE without one.
    """
    ours = lease is None or lease == lease_of(job)
    if job.state == JobState.ACTIVE and ours:
        return False
    said_before = job.settled_by is not None and job.settled_by == ALREADY_SAME_LEASE.get(operation)
    if lease is not None and ours and said_before:
        return True
    if job.state == JobState.REMOVED:
        raise job_not_found(job.id)
    if lease is not None:
        raise lease_lost(job.id, job.state)
    raise _refusal(operation, job)


def _caller_again(operation: str, job: Job) -> bool:
    """True when lifecycle.yaml answers "already"; raises for a tombstone and for a forbidden move."""
    if job.state == JobState.REMOVED:
        raise job_not_found(job.id)
    rule = TRANSITIONS[operation, job.state]
    if rule.effect == "refuse":
        raise _refusal(operation, job)
    return rule.effect == "already"


def _refusal(operation: str, job: Job) -> Exception:
    allowed = [
        state.capitalize()
        for (name, state), rule in TRANSITIONS.items()
        if name == operation and rule.effect != "refuse"
    ]
    return invalid_state(job.id, job.state, " or ".join(allowed))


def not_a_dead_letter(job: Job) -> Exception:
    """The refusal of a bulk operation on dead letters that names a job in another state."""
    return invalid_state(job.id, job.state, "Dlq")
