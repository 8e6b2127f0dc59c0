"""What the passing of time does to a job, to the millisecond."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.jobs import NOW, PUSHED, a_job

from jobwire_server.engine import decide, timing
from jobwire_server.model import Job, JobState


def elapsed(job: Job, now: int = NOW) -> Job:
    change = decide.elapse(job, now, 0.0)
    assert change is not None
    return change.job


def test_a_delayed_job_is_ready_at_its_run_at_and_not_before() -> None:
    job = a_job("delayed", run_at=NOW)

    assert decide.elapse(job, NOW - 1, 0.0) is None
    assert (elapsed(job).state, elapsed(job).run_at) == (JobState.WAITING, NOW)


def test_the_ttl_goes_before_the_promotion() -> None:
    job = a_job("delayed", run_at=NOW - 10, ttl_ms=NOW - PUSHED)

    assert (elapsed(job).state, elapsed(job).reason) == (JobState.CANCELLED, "expired")


@pytest.mark.parametrize("state", ["waiting", "delayed"])
def test_the_ttl_ends_the_wait_at_its_instant_and_not_before(state: str) -> None:
    job = a_job(state, ttl_ms=NOW - PUSHED)

    assert decide.elapse(job, NOW - 1, 0.0) is None
    change = decide.elapse(job, NOW, 0.0)
    assert change is not None
    assert (change.job.state, change.children) == (JobState.CANCELLED, "fail")


def test_a_delayed_job_is_promoted_while_its_ttl_lasts() -> None:
    job = a_job("delayed", run_at=NOW, ttl_ms=NOW - PUSHED + 1)

    assert elapsed(job).state == JobState.WAITING
    assert elapsed(job).due_at == NOW + 1


def test_a_lease_ends_at_its_instant_without_a_backoff() -> None:
    job = a_job("active", lease_expires_at=NOW)

    assert decide.elapse(job, NOW - 1, 0.0) is None
    after = elapsed(job)
    assert (after.state, after.run_at, after.attempt) == (JobState.WAITING, NOW, 1)
    assert (after.errors[0].kind, after.last_error) == (
        "lease_expired",
        "lease expired (no heartbeat)",
    )
    assert (after.settled_by, after.lease_expires_at) == ("lease_expired", None)


def test_the_last_lost_lease_is_poison() -> None:
    after = elapsed(a_job("active", lease_expires_at=NOW, attempt=2))

    assert (after.state, after.reason, after.attempt) == (JobState.DLQ, "poison", 3)


def test_the_last_timeout_is_a_failure() -> None:
    after = elapsed(a_job("active", timeout_ms=10_000, attempt=2))

    assert (after.state, after.reason) == (JobState.DLQ, "failed")


def test_a_timeout_waits_for_its_backoff() -> None:
    job = a_job("active", timeout_ms=10_000, backoff_delay_ms=500)

    assert decide.elapse(job, NOW - 1, 0.0) is None
    after = elapsed(job)
    assert (after.state, after.run_at, after.settled_by) == (JobState.DELAYED, NOW + 500, "timeout")
    assert (after.errors[0].kind, after.last_error) == ("timeout", "job timed out")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"lease_expires_at": NOW - 2, "timeout_ms": 10_000 - 1}, "lease_expired"),
        ({"lease_expires_at": NOW - 1, "timeout_ms": 10_000 - 2}, "timeout"),
        ({"lease_expires_at": NOW - 1, "timeout_ms": 10_000 - 1}, "lease_expired"),
        ({"lease_expires_at": NOW - 1, "timeout_ms": 10_000 + 1}, "lease_expired"),
        ({"lease_expires_at": NOW + 1, "timeout_ms": 10_000 - 1}, "timeout"),
        ({"lease_expires_at": None, "timeout_ms": 10_000}, "timeout"),
    ],
)
def test_of_lease_and_timeout_the_one_that_ended_first_counts(
    fields: dict[str, Any], kind: str
) -> None:
    after = elapsed(a_job("active", **fields))

    assert after.errors[0].kind == kind


def test_time_changes_nothing_about_a_job_without_a_due_instant() -> None:
    for state in ("waiting", "blocked", "completed", "dlq", "cancelled", "removed"):
        assert decide.elapse(a_job(state), NOW * 2, 0.0) is None


def test_a_due_instant_that_no_rule_explains_changes_nothing() -> None:
    from msgspec.structs import replace

    assert decide.elapse(replace(a_job("waiting"), due_at=NOW), NOW, 0.0) is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(None, None, None), (1, None, 1), (None, 2, 2), (1, 2, 1), (2, 1, 1), (3, 3, 3)],
)
def test_the_earlier_of_two_instants(
    first: int | None, second: int | None, expected: int | None
) -> None:
    assert timing.earlier(first, second) == expected


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("waiting", {}, None),
        ("waiting", {"ttl_ms": 5}, PUSHED + 5),
        ("delayed", {"run_at": NOW}, NOW),
        ("delayed", {"run_at": NOW, "ttl_ms": 5}, PUSHED + 5),
        ("blocked", {"ttl_ms": 5}, None),
        ("active", {"lease_expires_at": NOW}, NOW),
        ("active", {"lease_expires_at": NOW, "started_at": NOW - 9, "timeout_ms": 4}, NOW - 5),
        ("active", {"lease_expires_at": NOW, "started_at": None, "timeout_ms": 4}, NOW),
        ("completed", {"ttl_ms": 5}, None),
    ],
)
def test_when_time_changes_a_job_next(
    state: str, fields: dict[str, Any], expected: int | None
) -> None:
    assert timing.due_at(a_job(state, **fields)) == expected


def test_lifo_stands_before_all_equals_newest_first() -> None:
    fifo = [timing.position(a_job(run_at=at)) for at in (1, 2)]
    lifo = [timing.position(a_job(run_at=at, lifo=True)) for at in (1, 2)]

    assert sorted(fifo + lifo) == [lifo[1], lifo[0], fifo[0], fifo[1]]
