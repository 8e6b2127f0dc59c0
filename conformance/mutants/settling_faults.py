"""Faults in what becomes of a job that a worker has: ack, fail, release, heartbeat, progress, and the end of its time."""

from __future__ import annotations

from typing import Any

from jobwire_server.engine import decide
from jobwire_server.errors import JobwireError
from jobwire_server.model import Job, JobState
from jobwire_server.operations import holders, pulling, work
from jobwire_server.operations.settling import Wish
from jobwire_server.wire import answers, responses
from msgspec.structs import replace

from conformance.mutants.changes import with_members
from conformance.mutants.fault import around, everywhere, fault, put

# --- who may speak for a job --------------------------------------------------------------------------------------------


@fault("JW-LEASE-3")
def stale_lease_is_good() -> None:
    """A worker that has lost its lease may still ack, fail or renew the job that another one has."""

    def deaf(original: Any, operation: str, job: Job, lease: str | None) -> Any:
        return original(operation, job, None if job.state == JobState.ACTIVE else lease)

    around(decide, "_speaks_again", deaf)


@fault("MATRIX-ack-waiting", "JW-JOB-12")
def ack_of_a_waiting_job() -> None:
    """A job that nobody has pulled can be acked."""

    def lax(original: Any, operation: str, job: Job, lease: str | None) -> Any:
        if operation == "ack" and job.state == JobState.WAITING:
            return False
        return original(operation, job, lease)

    around(decide, "_speaks_again", lax)


@fault("JW-LEASE-1")
def leases_repeat() -> None:
    """The second delivery of a job has the lease of the first."""
    everywhere((decide, holders, pulling, responses), "lease_of", lambda job: f"1-{job.id[-12:]}")


@fault("JW-LEASE-11")
def repeats_are_refused() -> None:
    """An ack whose answer was lost is refused when it is repeated under its lease."""
    put(decide, "ALREADY_SAME_LEASE", {})


@fault("JW-LEASE-5")
def lease_is_never_required() -> None:
    """A server that is set to require leases takes an ack without one."""

    async def lax(original: Any, self: Any, operation: str, items: Any, wish: Any) -> Any:
        wishes = [Wish(item.id, wish(item)) for item in items]
        return await self._settler.settle(operation, wishes)

    around(work.Work, "_settle", lax)


# --- ack ----------------------------------------------------------------------------------------------------------------


@fault("JW-ACK-1")
def ack_loses_the_result() -> None:
    """The result of an ack is not kept."""
    around(decide, "ack", lambda original, *args: with_members(original(*args), result=None))


@fault("JW-ACK-3")
def completed_jobs_all_stay() -> None:
    """remove_on_complete is ignored."""

    def kept(original: Any, job: Job, *args: Any) -> Any:
        return with_members(
            original(replace(job, remove_on_complete=False), *args),
            remove_on_complete=job.remove_on_complete,
        )

    around(decide, "ack", kept)


@fault("JW-ACK-5")
def batch_stops_at_its_first_failure() -> None:
    """The items of an ack_batch behind one that is refused are refused with its error, and not carried out."""

    async def stopping(original: Any, self: Any, items: Any) -> Any:
        results: list[Any] = []
        for item in items:
            bad = next((r for r in results if isinstance(r, JobwireError)), None)
            results += [bad] if bad is not None else await original(self, [item])
        return results

    around(work.Work, "_acked", stopping)


@fault("JW-ACK-6")
def batch_results_are_reversed() -> None:
    """The results of an ack_batch stand in the wrong order."""

    async def turned(original: Any, self: Any, request: Any) -> Any:
        answer = await original(self, request)
        answer.results.reverse()
        return answer

    around(work.Work, "ack_batch", turned)


# --- fail ---------------------------------------------------------------------------------------------------------------


def _tries(more: int) -> None:
    def counted(original: Any, job: Job, *args: Any, **kwargs: Any) -> Any:
        changed = original(replace(job, max_attempts=job.max_attempts + more), *args, **kwargs)
        return with_members(changed, max_attempts=job.max_attempts)

    around(decide, "_failed", counted)


@fault("JW-FAIL-2")
def one_try_too_many() -> None:
    """A job is tried once more than max_attempts says."""
    _tries(1)


@fault("FAIL-003", "JW-FAIL-1")
def one_try_too_few() -> None:
    """A job is tried once less than max_attempts says."""
    _tries(-1)


@fault("RQ-RULE-003", "JW-FAIL-3")
def backoff_is_a_step_ahead() -> None:
    """The exponent of the backoff is one too high."""
    around(decide, "delay_ms", lambda original, job, attempt, u: original(job, attempt + 1, u))


@fault("JW-FAIL-11", "JW-FAIL-3")
def backoff_has_no_cap() -> None:
    """backoff_max_ms is ignored."""

    def uncapped(original: Any, job: Job, attempt: int, u: float) -> Any:
        return original(replace(job, backoff_max_ms=2**40), min(attempt, 20), u)

    around(decide, "delay_ms", uncapped)


@fault("BACKOFF-005", "JW-FAIL-3")
def schedule_is_ignored() -> None:
    """backoff_schedule_ms is kept and shown, but not followed."""
    around(
        decide,
        "delay_ms",
        lambda original, job, attempt, u: original(
            replace(job, backoff_schedule_ms=()), attempt, u
        ),
    )


@fault("JW-FAIL-3")
def retry_in_is_ignored() -> None:
    """A fail with retry_in_ms waits for the backoff of the job."""

    def deaf(original: Any, *args: Any, retry_in_ms: int | None = None, **kwargs: Any) -> Any:
        return original(*args, retry_in_ms=None, **kwargs)

    around(decide, "fail", deaf)


@fault("FAIL-005", "JW-FAIL-2")
def discard_is_ignored() -> None:
    """A fail with discard is tried again."""

    def deaf(original: Any, *args: Any, discard: bool = False, **kwargs: Any) -> Any:
        return original(*args, discard=False, **kwargs)

    around(decide, "fail", deaf)


@fault("FAIL-003", "JW-FAIL-6")
def dead_letter_forgets_why() -> None:
    """A job that becomes a dead letter loses its last_error."""

    def mute(original: Any, job: Job, state: Any, *args: Any, **fields: Any) -> Any:
        if state == JobState.DLQ:
            fields["last_error"] = None
        return original(job, state, *args, **fields)

    around(decide, "_finished", mute)


@fault("FAIL-003", "JW-FAIL-5")
def only_the_newest_error_is_kept() -> None:
    """The history of errors has one entry."""
    put(decide, "ERRORS_KEPT", 1)


@fault("FAIL-006", "JW-FAIL-7")
def failed_jobs_all_stay() -> None:
    """remove_on_fail is ignored."""
    put(decide, "dead_state", lambda job: JobState.DLQ)


@fault("JW-FAIL-9")
def will_retry_is_always_true() -> None:
    """The answer of a last fail says that the job will be tried again."""

    def hopeful(original: Any, settled: Any) -> Any:
        answer: answers.Failed = original(settled)
        answer.retry = answer.will_retry = True
        return answer

    around(work, "_failed_answer", hopeful)


# --- release, heartbeat, progress ---------------------------------------------------------------------------------------


@fault("JW-LEASE-7")
def release_burns_an_attempt() -> None:
    """A job that is given back has one try less."""

    def burning(original: Any, job: Job, *args: Any) -> Any:
        return with_members(original(job, *args), attempt=job.attempt + 1)

    around(decide, "release", burning)


@fault("LEASE-008", "JW-LEASE-6")
def release_has_no_delay() -> None:
    """delay_ms of a release is ignored."""
    around(decide, "release", lambda original, job, lease, delay, now: original(job, lease, 0, now))


@fault("LEASETIME-007", "JW-HB-1")
def heartbeat_renews_nothing() -> None:
    """A heartbeat is noted, and the lease ends when it would have ended without."""

    def idle(original: Any, job: Job, *args: Any) -> Any:
        return with_members(
            original(job, *args), lease_expires_at=job.lease_expires_at, due_at=job.due_at
        )

    around(decide, "heartbeat", idle)


@fault("JW-HB-2")
def heartbeat_keeps_its_length() -> None:
    """lease_ms of a heartbeat is ignored."""
    around(
        decide, "heartbeat", lambda original, job, lease, _, now: original(job, lease, None, now)
    )


@fault("JW-PROG-1")
def progress_has_no_end() -> None:
    """A progress above 100 is kept as it is."""

    def far(original: Any, job: Job, lease: Any, percent: int, *args: Any) -> Any:
        return with_members(original(job, lease, percent, *args), progress=percent)

    around(decide, "progress", far)


@fault("JW-PROG-2")
def progress_renews_the_lease() -> None:
    """A progress counts as a heartbeat."""

    def lively(original: Any, job: Job, lease: Any, percent: int, message: Any, now: int) -> Any:
        after = original(job, lease, percent, message, now)
        return with_members(after, lease_expires_at=now + (job.lease_ms or 0))

    around(decide, "progress", lively)
