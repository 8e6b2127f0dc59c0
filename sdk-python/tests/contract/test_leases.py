"""What a worker says of its job under a lease: right, wrong, stale, settled, or without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.target import (
    SOON,
    Target,
    push_and_take,
    refused,
    refused_at,
    state_of,
    take,
    until,
)

from jobwire import Client, ConflictError, FailItem, Job

Speak = Callable[[Client, Any], Any]

SPEAKING: dict[str, Speak] = {
    "ack": lambda client, job: client.ack(job, 1),
    "fail": lambda client, job: client.fail(job, "no", retry_in=60),
    "release": lambda client, job: client.release(job),
    "heartbeat": lambda client, job: client.heartbeat(job),
    "progress": lambda client, job: client.progress(job, 10),
}
SETTLING = ("ack", "fail", "release")
EACH = pytest.mark.parametrize("operation", SPEAKING)


def snapshot(client: Client, job: Job | str) -> str:
    return client.get_job(job).text


# --- leases -----------------------------------------------------------------------------------------------------------


@EACH
def test_a_lease_that_another_delivery_replaced_is_lost(
    client: Client, queue: str, operation: str
) -> None:
    """JW-LEASE-3, JW-LEASE-1."""
    stale = push_and_take(client, queue)
    client.release(stale)
    live = take(client, queue)
    before = snapshot(client, live)

    error = refused(SPEAKING[operation], client, stale)

    assert isinstance(error, ConflictError)
    assert (error.code, error.details) == ("LEASE_LOST", {"id": live.id, "state": "active"})
    assert snapshot(client, live) == before
    assert client.ack(live) is False


@EACH
def test_a_lease_that_never_was_is_lost(client: Client, queue: str, operation: str) -> None:
    """JW-LEASE-3."""
    waiting = client.push(queue, "job").id
    before = snapshot(client, waiting)

    error = refused(SPEAKING[operation], client, Job(id=waiting, lease="1-0123456789ab"))

    assert error.code == "LEASE_LOST"
    assert snapshot(client, waiting) == before


@EACH
def test_without_a_lease_the_live_one_is_meant(client: Client, queue: str, operation: str) -> None:
    """JW-LEASE-4."""
    job = push_and_take(client, queue)

    SPEAKING[operation](client, job.id)

    expected = {"ack": "completed", "fail": "delayed", "release": "waiting"}
    assert state_of(client, job) == expected.get(operation, "active")


@EACH
@pytest.mark.parametrize(
    "state", ["waiting", "delayed", "blocked", "completed", "dlq", "cancelled"]
)
def test_nobody_speaks_for_a_job_that_is_not_active(
    client: Client, target: Target, queue: str, operation: str, state: str
) -> None:
    """JW-JOB-12, JW-LEASE-4."""
    job = job_in(client, target, queue, state)
    before = snapshot(client, job)

    error = refused(SPEAKING[operation], client, job)

    assert (error.code, error.details["state"]) == ("INVALID_STATE", state)
    assert snapshot(client, job) == before


def job_in(client: Client, target: Target, queue: str, state: str) -> str:
    """The id of a job that operations have brought to this state."""
    if state == "delayed":
        return client.push(queue, "job", delay=60).id
    if state == "blocked":
        parent = client.push(target.new_queue(), "job").id
        return client.push(queue, "job", depends_on=[parent]).id
    job = client.push(queue, "job").id
    if state == "cancelled":
        client.cancel(job)
    elif state != "waiting":
        active = take(client, queue)
        client.ack(active) if state == "completed" else client.fail(active, "no", discard=True)
    assert state_of(client, job) == state
    return job


@pytest.mark.parametrize("settled", SETTLING)
@EACH
def test_a_settled_lease_answers_already_to_the_same_and_is_lost_for_all_else(
    client: Client, queue: str, settled: str, operation: str
) -> None:
    """JW-LEASE-11, JW-LEASE-3, JW-LEASE-12."""
    job = push_and_take(client, queue)
    first = SPEAKING[settled](client, job)
    before = snapshot(client, job)

    if operation == settled:
        again = SPEAKING[operation](client, job)
        assert said_already(again)
        assert not said_already(first)
        if settled == "fail":
            assert (again.retry, again.next_attempt_at) == (True, first.next_attempt_at)
    else:
        assert refused(SPEAKING[operation], client, job).code == "LEASE_LOST"
    assert snapshot(client, job) == before


def said_already(answer: Any) -> bool:
    return answer if isinstance(answer, bool) else answer.already


def test_a_repeated_ack_keeps_the_first_result(client: Client, queue: str) -> None:
    """JW-LEASE-11."""
    job = push_and_take(client, queue)

    assert [client.ack(job, "first"), client.ack(job, "second")] == [False, True]
    assert client.get_job(job).result == "first"


def test_a_removed_job_remembers_its_ack(client: Client, queue: str) -> None:
    """JW-ACK-3, JW-ACK-4, JW-DEL-3."""
    job = push_and_take(client, queue, remove_on_complete=True)

    assert [client.ack(job), client.ack(job)] == [False, True]
    for call in (client.get_job, client.heartbeat, client.release, client.cancel, client.retry):
        assert refused(call, job).code == "JOB_NOT_FOUND"
    assert list(client.find(queue=queue)) == []
    assert client.stats(queue).counts.completed == 0


def test_a_lease_that_runs_out_makes_the_job_ready_and_at_last_a_dead_letter(
    client: Client, target: Target, queue: str
) -> None:
    """JW-LEASE-8, JW-LEASE-9, JW-LEASE-10, JW-LEASE-3."""
    client.push(queue, "job", max_attempts=2, backoff_delay=60)
    poison = target.new_queue()
    client.push(poison, "job", max_attempts=1)
    [lost] = client.pull(queue, lease=1, worker_id="w-1")
    [last] = client.pull(poison, lease=1)
    target.elapse(1)

    again = take(client, queue)

    [error] = again.errors
    assert (again.id, again.attempt, again.delivery) == (lost.id, 1, 2)
    assert (error.attempt, error.kind, error.worker_id) == (1, "lease_expired", "w-1")
    assert again.last_error == error.message == "lease expired (no heartbeat)"
    assert refused(client.ack, lost).code == "LEASE_LOST"
    until(lambda: state_of(client, last) == "dlq")
    assert client.get_job(last).reason == "poison"


def test_a_lease_outlives_its_connection(client: Client, other: Client, queue: str) -> None:
    """JW-LEASE-13."""
    job = push_and_take(other, queue)
    other.close()

    assert state_of(client, job) == "active"
    assert client.ack(job) is False


# --- ack --------------------------------------------------------------------------------------------------------------


def test_an_ack_completes_the_job_with_its_result(client: Client, queue: str) -> None:
    """JW-ACK-1."""
    with_result, without = (push_and_take(client, queue) for _ in range(2))
    client.ack(with_result, {"n": 1})
    client.ack(without)

    done, plain = client.get_job(with_result), client.get_job(without)
    assert (done.state, done.result, done.reason) == ("completed", {"n": 1}, None)
    assert done.completed_at is not None
    assert done.completed_at == done.updated_at
    assert done.lease_expires_at is None
    assert (plain.state, plain.raw_result) == ("completed", "null")


def test_each_item_of_a_batch_of_acks_stands_for_itself(client: Client, queue: str) -> None:
    """JW-ACK-5, JW-ACK-6."""
    good, stale = (push_and_take(client, queue) for _ in range(2))
    client.release(stale)
    take(client, queue)
    missing = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"

    results = client.ack_batch([stale, (good, 5), missing, good])

    assert [one.id for one in results] == [stale.id, good.id, missing, good.id]
    assert [one.error and one.error.code for one in results] == [
        "LEASE_LOST",
        None,
        "JOB_NOT_FOUND",
        None,
    ]
    assert [one.already for one in results] == [False, False, False, True]
    assert client.get_job(good).result == 5


def test_a_batch_of_acks_may_name_ids_alone_or_nothing(client: Client, queue: str) -> None:
    """JW-ACK-7, JW-LEASE-4."""
    job = push_and_take(client, queue)

    assert [one.ok for one in client.ack_batch([job.id])] == [True]
    assert client.ack_batch([]) == []


# --- fail -------------------------------------------------------------------------------------------------------------


def test_a_failed_try_is_written_down_and_the_job_is_tried_again(
    client: Client, queue: str
) -> None:
    """JW-FAIL-1, JW-FAIL-5, JW-FAIL-6, JW-FAIL-9."""
    client.push(queue, "job")
    [job] = client.pull(queue, worker_id="w-1")

    answer = client.fail(job, ValueError("broken"))

    after = client.get_job(job)
    [error] = after.errors
    assert (answer.retry, answer.next_attempt_at, answer.already) == (True, after.run_at, False)
    assert (after.state, after.attempt, after.last_error) == ("delayed", 1, "ValueError: broken")
    assert (error.attempt, error.kind, error.worker_id) == (1, "error", "w-1")
    assert (error.at, error.message) == (after.updated_at, "ValueError: broken")


def test_the_last_try_and_a_discard_make_a_dead_letter(client: Client, queue: str) -> None:
    """JW-FAIL-2, JW-FAIL-9."""
    last, discarded = push_and_take(client, queue, max_attempts=1), push_and_take(client, queue)

    answers = [client.fail(last, "no"), client.fail(discarded, "never", discard=True)]

    assert [(one.retry, one.next_attempt_at) for one in answers] == [(False, None)] * 2
    for job in (last, discarded):
        after = client.get_job(job)
        assert (after.state, after.reason, after.attempt) == ("dlq", "failed", 1)


def test_a_job_with_remove_on_fail_is_removed_in_place_of_a_dead_letter(
    client: Client, queue: str
) -> None:
    """JW-FAIL-7, JW-LEASE-11."""
    job = push_and_take(client, queue, remove_on_fail=True)

    assert client.fail(job, "no", discard=True).retry is False
    assert client.fail(job, "no", discard=True).already
    assert refused(client.get_job, job).code == "JOB_NOT_FOUND"
    assert client.stats(queue).counts.dlq == 0


BACKOFFS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "exponential": ({"backoff_delay": 0.5}, [0.5, 1, 2, 4]),
    "default": ({}, [1, 2, 4, 8]),
    "linear": ({"backoff": "linear", "backoff_delay": 2}, [2, 4, 6, 8]),
    "fixed": ({"backoff": "fixed", "backoff_delay": 3}, [3, 3, 3, 3]),
    "capped": ({"backoff_delay": 1, "backoff_max": 2.5}, [1, 2, 2.5, 2.5]),
    "schedule": ({"backoff_schedule": [7, 1], "backoff": "fixed"}, [7, 1, 1, 1]),
    "huge": ({"backoff_delay": 3_155_760_000}, [3600, 3600, 3600, 3600]),
}


@pytest.mark.parametrize(("options", "waits"), BACKOFFS.values(), ids=BACKOFFS)
def test_a_job_waits_as_its_backoff_says(
    client: Client, queue: str, options: dict[str, Any], waits: list[float]
) -> None:
    """JW-FAIL-3, JW-FAIL-11."""
    client.push(queue, "job", max_attempts=9, **options)

    assert [fail_once(client, queue) for _ in waits] == waits


def fail_once(client: Client, queue: str, **options: Any) -> float:
    """Seconds until the next try after a failure; the job is promoted, so that it can be taken again."""
    job = take(client, queue)
    client.fail(job, "no", **options)
    after = client.get_job(job)
    client.promote(job)
    assert after.run_at is not None
    assert after.updated_at is not None
    return (after.run_at - after.updated_at) / timedelta(seconds=1)


def test_jitter_takes_a_part_of_the_delay_away(client: Client, queue: str) -> None:
    """JW-FAIL-3."""
    client.push(queue, "job", max_attempts=99, backoff="fixed", backoff_delay=1000, jitter=0.5)

    waits = {fail_once(client, queue) for _ in range(5)}

    assert all(500 <= wait <= 1000 for wait in waits)
    assert len(waits) > 1


def test_retry_in_stands_in_place_of_the_backoff(client: Client, queue: str) -> None:
    """JW-FAIL-3, JW-FAIL-1."""
    client.push(queue, "job", backoff_delay=60)

    assert fail_once(client, queue, retry_in=0.25) == 0.25
    job = take(client, queue)
    answer = client.fail(job, "no", retry_in=0)
    assert (answer.retry, answer.next_attempt_at) == (True, None)
    assert state_of(client, job) == "waiting"


def test_the_last_twenty_errors_are_kept(client: Client, queue: str) -> None:
    """JW-FAIL-5, JW-FAIL-6."""
    client.push(queue, "job", max_attempts=100)
    for n in range(22):
        client.fail(take(client, queue), f"error {n}", retry_in=0)
    job = take(client, queue)
    client.ack(job)

    done = client.get_job(job)
    assert [error.message for error in done.errors] == [f"error {n}" for n in range(2, 22)]
    assert [error.attempt for error in done.errors] == list(range(3, 23))
    assert done.last_error == "error 21"


def test_each_item_of_a_batch_of_fails_stands_for_itself(client: Client, queue: str) -> None:
    """JW-ACK-5, JW-ACK-6, JW-FAIL-9."""
    again, dead, stale = (push_and_take(client, queue) for _ in range(3))
    client.ack(stale)

    items = [FailItem(again, "a", retry_in=60), (stale, "b"), FailItem(dead, "c", discard=True)]
    results = client.fail_batch(items)

    assert [one.ok for one in results] == [True, False, True]
    assert [one.retry for one in results] == [True, None, False]
    assert results[0].next_attempt_at == client.get_job(again).run_at
    assert results[1].error is not None
    assert results[1].error.code == "LEASE_LOST"


def test_a_job_that_takes_too_long_fails_with_its_backoff(
    client: Client, target: Target, queue: str
) -> None:
    """JW-FAIL-8, JW-TIME-4."""
    client.push(queue, "job", timeout=SOON, backoff="fixed", backoff_delay=60)
    [job] = client.pull(queue, worker_id="w-1")
    client.heartbeat(job)
    target.elapse(SOON)

    until(lambda: state_of(client, job) == "delayed")

    after = client.get_job(job)
    [error] = after.errors
    assert (error.kind, error.message, error.worker_id) == ("timeout", "job timed out", "w-1")
    assert (after.attempt, after.last_error) == (1, "job timed out")
    assert refused(client.ack, job).code == "LEASE_LOST"


# --- release, heartbeat, progress -------------------------------------------------------------------------------------


def test_a_released_job_goes_back_unburned(client: Client, queue: str) -> None:
    """JW-LEASE-6, JW-LEASE-7."""
    job = push_and_take(client, queue)

    answer = client.release(job)

    after = client.get_job(job)
    assert (answer.state, answer.already) == ("waiting", False)
    assert (after.attempt, after.errors, after.run_at) == (0, (), job.run_at)


def test_a_release_with_a_delay_makes_the_job_delayed(client: Client, queue: str) -> None:
    """JW-LEASE-6, JW-LEASE-7."""
    job = push_and_take(client, queue)

    assert client.release(job, delay=60).state == "delayed"
    after = client.get_job(job)
    assert after.updated_at is not None
    assert (after.attempt, after.run_at) == (0, after.updated_at + timedelta(seconds=60))


def test_a_heartbeat_renews_the_lease(client: Client, queue: str) -> None:
    """JW-HB-1, JW-HB-2, JW-HB-3."""
    client.push(queue, "job")
    [job] = client.pull(queue, lease=20)

    ends = [client.heartbeat(job), client.heartbeat(job, lease=60), client.heartbeat(job)]

    after = client.get_job(job)
    assert after.last_heartbeat is not None
    assert job.lease_expires_at is not None
    assert [one.cancelled for one in ends] == [False] * 3
    assert ends[0].lease_expires_at >= job.lease_expires_at
    assert ends[2].lease_expires_at >= ends[1].lease_expires_at
    assert ends[2].lease_expires_at == after.lease_expires_at
    assert after.lease_expires_at == after.last_heartbeat + timedelta(seconds=60)
    client.ack(job)
    assert client.get_job(job).last_heartbeat is None


def test_a_batch_of_heartbeats_names_what_was_lost(client: Client, queue: str) -> None:
    """JW-HB-4, JW-ACK-5."""
    live, stale, cancelled = (push_and_take(client, queue) for _ in range(3))
    client.ack(stale)
    client.cancel(cancelled)

    answer = client.heartbeat_batch([live, stale, (cancelled, 60.0)])

    assert [one.ok for one in answer.results] == [True, False, True]
    assert (answer.lost, answer.cancelled, answer.deaf) == ((stale.id,), (cancelled.id,), False)
    assert answer.results[0].lease_expires_at == client.get_job(live).lease_expires_at


def test_progress_is_kept_and_leaves_the_lease_as_it_is(client: Client, queue: str) -> None:
    """JW-PROG-1, JW-PROG-2, JW-PROG-3."""
    job = push_and_take(client, queue)

    client.progress(job, 40, "half")
    client.progress(job, 255)

    after = client.get_job(job)
    assert (after.progress, [line.message for line in after.logs]) == (100, ["half"])
    assert after.lease_expires_at == job.lease_expires_at
    assert after.logs[0].at is not None
    assert refused_at(client.progress, job, 256) == ("VALIDATION_ERROR", "/progress")
    assert refused_at(client.progress, job, -1) == ("VALIDATION_ERROR", "/progress")


def test_the_last_hundred_log_lines_are_kept(client: Client, queue: str) -> None:
    """JW-PROG-3."""
    job = push_and_take(client, queue)
    for n in range(102):
        client.progress(job, 1, f"line {n}")

    lines = [line.message for line in client.get_job(job).logs]
    assert lines == [f"line {n}" for n in range(2, 102)]


def test_progress_is_kept_when_the_job_is_tried_again(client: Client, queue: str) -> None:
    """JW-PROG-4, JW-RETRY-3."""
    job = push_and_take(client, queue)
    client.progress(job, 40, "half")
    client.fail(job, "no", discard=True)

    client.retry(job)

    again = take(client, queue)
    assert (again.progress, [line.message for line in again.logs]) == (40, ["half"])
    assert (again.last_error, len(again.errors), again.delivery) == ("no", 1, 2)
