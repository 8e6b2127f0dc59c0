"""What each operation writes into the job."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict, replace
from tests.engine.jobs import NOW, PUSHED, a_job

from jobwire_server.engine import decide
from jobwire_server.engine.leases import lease_of
from jobwire_server.errors import JobwireError
from jobwire_server.model import Change, Job, JobError, JobState, LogLine
from jobwire_server.wire import limits

BOOKKEEPING = {"revision", "updated_at", "due_at", "position"}


def changed(decision: Any) -> Change:
    assert isinstance(decision, Change)
    return decision


def difference(before: Job, decision: Any) -> dict[str, Any]:
    """What the decision changes, bookkeeping apart."""
    after = asdict(changed(decision).job)
    return {
        key: after[key]
        for key, value in asdict(before).items()
        if after[key] != value and key not in BOOKKEEPING
    }


def test_an_ack_completes_the_job_with_its_result() -> None:
    job = a_job("active")

    assert difference(job, decide.ack(job, None, b"[1]", NOW)) == {
        "state": JobState.COMPLETED,
        "result": b"[1]",
        "completed_at": NOW,
        "finished_at": NOW,
        "lease_expires_at": None,
        "settled_by": "ack",
    }
    assert changed(decide.ack(job, None, None, NOW)).children == "release"


def test_an_ack_of_a_job_that_was_asked_to_stop_completes_it() -> None:
    job = a_job("active", cancel_requested_at=NOW - 1)

    assert changed(decide.ack(job, None, None, NOW)).job.state == JobState.COMPLETED


def test_an_ack_of_a_job_with_remove_on_complete_removes_it_and_counts_as_completed() -> None:
    after = changed(decide.ack(a_job("active", remove_on_complete=True), None, None, NOW)).job

    assert (after.state, after.completed_at, after.settled_by) == (JobState.REMOVED, NOW, "ack")


def test_a_fail_writes_the_try_down_and_waits_for_its_backoff() -> None:
    job = a_job("active", backoff_delay_ms=500)

    assert difference(job, decide.fail(job, None, "boom", NOW, 0.0)) == {
        "state": JobState.DELAYED,
        "run_at": NOW + 500,
        "attempt": 1,
        "last_error": "boom",
        "errors": (JobError(1, NOW, "error", "boom", "w"),),
        "lease_expires_at": None,
        "settled_by": "fail",
    }


def test_retry_in_goes_before_the_backoff() -> None:
    after = changed(decide.fail(a_job("active"), None, "x", NOW, 0.0, retry_in_ms=9)).job

    assert (after.state, after.run_at) == (JobState.DELAYED, NOW + 9)


def test_the_last_try_makes_a_dead_letter() -> None:
    job = a_job("active", attempt=2)

    change = changed(decide.fail(job, None, "boom", NOW, 0.0))

    assert (change.job.state, change.job.reason, change.children) == ("dlq", "failed", "fail")
    assert (change.job.attempt, change.job.finished_at, change.job.due_at) == (3, NOW, None)


@pytest.mark.parametrize("max_attempts", [0, 1])
def test_max_attempts_of_zero_means_one(max_attempts: int) -> None:
    job = a_job("active", max_attempts=max_attempts)

    assert changed(decide.fail(job, None, "x", NOW, 0.0)).job.state == JobState.DLQ


def test_discard_makes_a_dead_letter_at_once() -> None:
    change = changed(decide.fail(a_job("active"), None, "x", NOW, 0.0, discard=True))

    assert (change.job.state, change.job.reason) == (JobState.DLQ, "failed")


def test_remove_on_fail_removes_in_place_of_a_dead_letter() -> None:
    job = a_job("active", remove_on_fail=True, max_attempts=1)

    change = changed(decide.fail(job, None, "x", NOW, 0.0))

    assert (change.job.state, change.children) == (JobState.REMOVED, "fail")


def test_a_fail_after_a_cancel_ends_the_job_even_with_tries_left() -> None:
    job = a_job("active", cancel_requested_at=NOW - 5)

    change = changed(decide.fail(job, None, "stopped", NOW, 0.0))

    assert (change.job.state, change.job.reason, change.job.attempt) == (
        "cancelled",
        "cancelled",
        1,
    )
    assert change.children == "fail"


def test_only_the_last_errors_are_kept() -> None:
    errors = tuple(JobError(n, n, "error", str(n)) for n in range(limits.ERRORS))

    after = changed(decide.fail(a_job("active", errors=errors), None, "new", NOW, 0.0)).job

    assert len(after.errors) == limits.ERRORS
    assert after.errors[:-1] == errors[1:]
    assert after.errors[-1].message == "new"


def test_the_engine_keeps_as_much_history_as_the_wire_announces() -> None:
    assert (decide.ERRORS_KEPT, decide.LOGS_KEPT) == (limits.ERRORS, limits.LOGS)


def test_a_release_burns_no_attempt_and_keeps_the_place_in_the_queue() -> None:
    job = a_job("active", attempt=1, position=PUSHED)

    assert difference(job, decide.release(job, None, 0, NOW)) == {
        "state": JobState.WAITING,
        "lease_expires_at": None,
        "settled_by": "release",
    }
    assert changed(decide.release(job, None, 0, NOW)).job.position == PUSHED


def test_a_release_with_a_delay_is_ready_when_it_is_over() -> None:
    job = a_job("active", attempt=1)

    after = changed(decide.release(job, None, 700, NOW)).job

    assert (after.state, after.run_at, after.due_at, after.attempt) == (
        "delayed",
        NOW + 700,
        NOW + 700,
        1,
    )


def test_a_heartbeat_renews_the_lease_for_its_length() -> None:
    job = a_job("active")

    assert difference(job, decide.heartbeat(job, None, None, NOW)) == {
        "lease_expires_at": NOW + 30_000,
        "last_heartbeat": NOW,
    }


def test_a_heartbeat_can_change_the_length_of_the_lease() -> None:
    after = changed(decide.heartbeat(a_job("active"), None, 5_000, NOW)).job

    assert (after.lease_ms, after.lease_expires_at, after.due_at) == (
        5_000,
        NOW + 5_000,
        NOW + 5_000,
    )
    assert changed(decide.heartbeat(after, None, None, NOW + 1)).job.lease_expires_at == NOW + 5_001


def test_a_heartbeat_does_not_move_the_timeout() -> None:
    job = a_job("active", timeout_ms=12_000)

    assert changed(decide.heartbeat(job, None, None, NOW)).job.due_at == NOW + 2_000


@pytest.mark.parametrize(("said", "kept"), [(0, 0), (100, 100), (101, 100), (255, 100)])
def test_progress_is_kept_up_to_100(said: int, kept: int) -> None:
    job = a_job("active")

    assert difference(job, decide.progress(job, None, said, None, NOW)) == {"progress": kept}


def test_only_the_last_log_lines_are_kept() -> None:
    job = a_job("active", logs=tuple(LogLine(n, str(n)) for n in range(limits.LOGS)))

    after = changed(decide.progress(job, None, 1, "new", NOW)).job

    assert after.logs == (*job.logs[1:], LogLine(NOW, "new"))


@pytest.mark.parametrize("state", ["waiting", "delayed", "blocked"])
def test_a_cancel_ends_a_job_that_has_not_begun(state: str) -> None:
    change = changed(decide.cancel(a_job(state), NOW))

    assert (change.job.state, change.job.reason, change.job.finished_at) == (
        "cancelled",
        "cancelled",
        NOW,
    )
    assert (change.children, change.job.due_at) == ("fail", None)


def test_a_cancel_asks_an_active_job_to_stop_once() -> None:
    job = a_job("active")

    change = changed(decide.cancel(job, NOW))

    assert difference(job, change) == {"cancel_requested_at": NOW}
    assert decide.cancel(change.job, NOW + 1) is decide.ALREADY


def test_a_retry_starts_again_without_ttl_and_keeps_the_history() -> None:
    job = a_job(
        "dlq",
        ttl_ms=1,
        last_error="x",
        errors=(JobError(1, 1, "error", "x"),),
        progress=40,
        logs=(LogLine(1, "y"),),
        cancel_requested_at=5,
    )

    change = changed(decide.retry(job, NOW))

    assert difference(job, change) == {
        "state": JobState.WAITING,
        "run_at": NOW,
        "attempt": 0,
        "reason": None,
        "ttl_ms": None,
        "finished_at": None,
        "cancel_requested_at": None,
        "settled_by": None,
    }
    assert change.job.due_at is None


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"pending_parents": 2}, "blocked"),
        ({"pending_parents": 0}, "waiting"),
        ({"pending_parents": 2, "reason": "parent_failed"}, "waiting"),
    ],
)
def test_a_retry_waits_for_unfinished_parents_unless_one_of_them_took_it_down(
    fields: dict[str, Any], state: str
) -> None:
    assert changed(decide.retry(a_job("cancelled", **fields), NOW)).job.state == state


def test_a_promoted_job_is_ready_now() -> None:
    job = a_job("delayed")

    assert difference(job, decide.promote(job, NOW)) == {"state": JobState.WAITING, "run_at": NOW}


@pytest.mark.parametrize(
    ("state", "children"),
    [
        ("waiting", "fail"),
        ("delayed", "fail"),
        ("blocked", "fail"),
        ("completed", "none"),
        ("dlq", "none"),
        ("cancelled", "none"),
    ],
)
def test_a_delete_takes_down_those_that_wait_for_an_unfinished_job(
    state: str, children: str
) -> None:
    change = changed(decide.delete(a_job(state), NOW))

    assert (change.job.state, change.children) == (JobState.REMOVED, children)


def test_updated_at_never_goes_back_with_the_clock() -> None:
    job = a_job("active", updated_at=NOW + 500)

    assert changed(decide.heartbeat(job, None, None, NOW)).job.updated_at == NOW + 500


def test_every_change_is_one_revision_on() -> None:
    job = replace(a_job("active"), revision=41)

    change = changed(decide.progress(job, lease_of(job), 1, None, NOW))

    assert (change.expect, change.job.revision) == (41, 42)


def test_only_a_dead_letter_is_one() -> None:
    error = decide.not_a_dead_letter(a_job("active"))

    assert isinstance(error, JobwireError)
    assert (error.code, error.details) == (
        "INVALID_STATE",
        {"id": a_job().id, "state": "active", "expected": "Dlq"},
    )


@pytest.mark.parametrize("operation", ["ack", "fail", "release", "heartbeat", "progress"])
@pytest.mark.parametrize("state", ["waiting", "delayed", "blocked"])
def test_the_lease_from_before_a_retry_is_over(operation: str, state: str) -> None:
    job = a_job(state, delivery=2, settled_by=None)
    call = {
        "ack": lambda lease: decide.ack(job, lease, None, NOW),
        "fail": lambda lease: decide.fail(job, lease, "x", NOW, 0.0),
        "release": lambda lease: decide.release(job, lease, 0, NOW),
        "heartbeat": lambda lease: decide.heartbeat(job, lease, None, NOW),
        "progress": lambda lease: decide.progress(job, lease, 1, None, NOW),
    }[operation]

    with pytest.raises(JobwireError) as caught:
        call(lease_of(job))

    assert caught.value.code == "LEASE_LOST"
