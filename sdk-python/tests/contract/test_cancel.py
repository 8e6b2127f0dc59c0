"""Cancelling what waits and what runs, and how a worker hears of it."""

from __future__ import annotations

import queue as queues
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.contract.target import (
    PATIENCE,
    SOON,
    Target,
    push_and_take,
    refused,
    state_of,
    take,
    targets,
    until,
)

from jobwire import Client, HeartbeatBatchResult, Job, WorkerReport


@pytest.mark.parametrize("options", [{}, {"delay": 60}], ids=["waiting", "delayed"])
def test_a_job_that_has_not_begun_is_cancelled_at_once(
    client: Client, queue: str, options: dict[str, float]
) -> None:
    """JW-CANCEL-1, JW-CANCEL-5."""
    job = client.push(queue, "job", **options).id  # type: ignore[arg-type]

    first, again = client.cancel(job), client.cancel(job)

    after = client.get_job(job)
    assert (first.state, first.already) == ("cancelled", False)
    assert (again.state, again.already) == ("cancelled", True)
    assert (after.state, after.reason, after.completed_at) == ("cancelled", "cancelled", None)
    assert client.pull(queue) == []


def test_a_running_job_is_asked_to_stop(client: Client, queue: str) -> None:
    """JW-CANCEL-2, JW-CANCEL-5, JW-HB-3."""
    job = push_and_take(client, queue)

    first, again = client.cancel(job), client.cancel(job)

    after = client.get_job(job)
    assert (first.state, first.already, again.already) == ("active", False, True)
    assert (after.state, after.cancel_requested_at) == ("active", after.updated_at)
    assert client.heartbeat(job).cancelled
    assert client.heartbeat_batch([job]).results[0].cancelled


ENDINGS: dict[str, Callable[[Client, Job], Any]] = {
    "fail": lambda client, job: client.fail(job, "stopped"),
    "release": lambda client, job: client.release(job),
    "release later": lambda client, job: client.release(job, delay=60),
}


@pytest.mark.parametrize("end", ENDINGS)
def test_a_job_that_was_asked_to_stop_ends_cancelled(client: Client, queue: str, end: str) -> None:
    """JW-CANCEL-3, JW-FAIL-9."""
    job = push_and_take(client, queue)
    client.cancel(job)

    answer = ENDINGS[end](client, job)

    after = client.get_job(job)
    assert (after.state, after.reason) == ("cancelled", "cancelled")
    if end == "fail":
        assert (answer.retry, answer.next_attempt_at, after.attempt) == (False, None, 1)
    else:
        assert (answer.state, after.attempt) == ("cancelled", 0)


def test_a_job_that_was_asked_to_stop_ends_cancelled_with_its_time(
    client: Client, target: Target, queue: str
) -> None:
    """JW-CANCEL-3, JW-FAIL-8."""
    job = push_and_take(client, queue, timeout=SOON)
    client.cancel(job)
    target.elapse(SOON)

    until(lambda: state_of(client, job) == "cancelled")
    assert client.get_job(job).reason == "cancelled"


def test_an_ack_still_wins(client: Client, queue: str) -> None:
    """JW-ACK-2."""
    job = push_and_take(client, queue)
    client.cancel(job)

    client.ack(job, "done")

    after = client.get_job(job)
    assert (after.state, after.result, after.reason) == ("completed", "done", None)


@pytest.mark.parametrize("state", ["completed", "dlq"])
def test_a_job_that_has_ended_otherwise_is_not_cancelled(
    client: Client, queue: str, state: str
) -> None:
    """JW-JOB-12."""
    job = push_and_take(client, queue)
    client.ack(job) if state == "completed" else client.fail(job, "no", discard=True)

    error = refused(client.cancel, job)

    assert (error.code, error.details["state"]) == ("INVALID_STATE", state)


# --- the held-open heartbeat, on both doors ---------------------------------------------------------------------------


class HeldHeartbeat:
    """A batch of heartbeats that has reached the server and waits there, in a thread of its own."""

    def __init__(self, client: Client, other: Client, worker: str, mark: int) -> None:
        self._answer: list[HeartbeatBatchResult] = []
        self._report = WorkerReport(id=worker, concurrency=mark)
        self._thread = threading.Thread(target=self._beat, args=(client,))
        self._thread.start()
        until(lambda: mark in {one.concurrency for one in other.list_workers() if one.id == worker})

    def _beat(self, client: Client) -> None:
        self._answer.append(client.heartbeat_batch([], worker=self._report, wait=PATIENCE))

    def answer(self) -> HeartbeatBatchResult:
        """What it was told, well before its wait is over."""
        self._thread.join(PATIENCE * 0.8)
        assert not self._thread.is_alive()
        return self._answer[0]


def test_a_held_heartbeat_is_answered_by_a_cancel(
    client: Client, other: Client, queue: str
) -> None:
    """JW-HB-5, JW-CANCEL-4."""
    client.push(queue, "job")
    [job] = client.pull(queue, worker_id=queue)
    held = HeldHeartbeat(client, other, queue, 7)

    other.cancel(job)

    answer = held.answer()
    assert (answer.cancelled, answer.lost) == ((job.id,), ())


def test_a_held_heartbeat_is_answered_by_a_lost_lease(
    client: Client, other: Client, target: Target, queue: str
) -> None:
    """JW-HB-5."""
    client.push(queue, "job", timeout=SOON)
    [job] = client.pull(queue, worker_id=queue)
    held = HeldHeartbeat(client, other, queue, 7)

    target.elapse(SOON)

    answer = held.answer()
    assert (answer.cancelled, answer.lost) == ((), (job.id,))


def test_a_held_heartbeat_tells_at_once_what_its_items_show(client: Client, queue: str) -> None:
    """JW-HB-5, JW-HB-4."""
    client.push(queue, "job")
    [job] = client.pull(queue, worker_id=queue)
    client.cancel(job)

    answer = client.heartbeat_batch([job], worker=WorkerReport(id=queue), wait=PATIENCE)

    assert answer.cancelled == (job.id,)


def test_a_held_heartbeat_ends_in_its_time(client: Client, queue: str) -> None:
    """JW-HB-5."""
    answer = client.heartbeat_batch([], worker=WorkerReport(id=queue), wait=0.05)

    assert (answer.results, answer.cancelled, answer.lost) == ((), (), ())


# --- notices, over TCP ------------------------------------------------------------------------------------------------

Notice = tuple[str, Mapping[str, Any]]


@pytest.fixture
def notices(client: Client, target: Target) -> queues.Queue[Notice]:
    """What the connection of `client` is told unasked."""
    if target.door == "http":
        pytest.fail("notices are for TCP: parametrize the target")
    heard: queues.Queue[Notice] = queues.Queue()
    client._notices(lambda name, fields: heard.put((name, fields)))
    return heard


OVER_TCP = pytest.mark.parametrize("target", targets("tcp"), indirect=True)


@OVER_TCP
def test_a_cancel_is_told_to_the_connection_that_pulled(
    client: Client, other: Client, queue: str, notices: queues.Queue[Notice]
) -> None:
    """JW-TCP-31, JW-CANCEL-4."""
    job = push_and_take(client, queue)

    other.cancel(job)

    name, fields = notices.get(timeout=PATIENCE)
    assert name == "job.cancel"
    assert (fields["id"], fields["lease"]) == (job.id, job.lease)


@OVER_TCP
def test_the_end_of_a_lease_is_told_to_the_connection_that_pulled(
    client: Client, target: Target, queue: str, notices: queues.Queue[Notice]
) -> None:
    """JW-TCP-31."""
    job = push_and_take(client, queue, timeout=0.1)
    target.elapse(0.1)

    name, fields = notices.get(timeout=PATIENCE)
    assert name == "lease.lost"
    assert (fields["id"], fields["lease"]) == (job.id, job.lease)


@OVER_TCP
def test_only_the_connection_that_holds_the_job_is_told(
    client: Client, other: Client, queue: str, notices: queues.Queue[Notice]
) -> None:
    """JW-TCP-31."""
    client.release(push_and_take(client, queue))
    theirs = take(other, queue)
    mine = push_and_take(client, queue)

    other.cancel(theirs)
    other.cancel(mine)

    assert notices.get(timeout=PATIENCE)[1]["id"] == mine.id
