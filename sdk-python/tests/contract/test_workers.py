"""The core of Worker: jobs are done, tried again, given up, stopped and given back on every server alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.target import PATIENCE, Target, refused, state_of, until

from jobwire import Client, Discard, Job, JobContext, Release, RetryIn, Worker
from jobwire._runtime import Runtime


@pytest.fixture
def client(target: Target) -> Iterator[Client]:
    """With retries, as workers have them, and without jitter, so that a reconnect is at once."""
    with Client(target.url, _runtime=Runtime(random=lambda: 0.0)) as one:
        yield one


class Gate:
    """A handler that says when it runs, and ends when the test lets it or when it is asked to stop."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.reasons: list[str | None] = []

    def __call__(self, job: Job, ctx: JobContext) -> str:
        self.entered.set()
        while not (self.leave.wait(0.02) or ctx.cancelled.is_set()):
            pass
        self.reasons.append(ctx.reason)
        ctx.check()
        return "done"

    def wait(self) -> None:
        assert self.entered.wait(PATIENCE)


def reaches(client: Client, job: str, state: str) -> Job:
    until(lambda: state_of(client, job) == state)
    return client.get_job(job)


def test_a_worker_does_jobs_and_their_values_are_the_results(
    client: Client, other: Client, queue: str
) -> None:
    """JW-SDK-7, JW-ACK-1."""
    worker = Worker(client, queue, concurrency=4)
    worker.handler("double")(lambda job: {"doubled": job.data["n"] * 2})

    with worker:
        jobs = [other.push(queue, "double", {"n": n}).id for n in range(20)]
        done = [reaches(other, job, "completed") for job in jobs]

    assert [job.result for job in done] == [{"doubled": n * 2} for n in range(20)]


def test_a_failed_job_is_tried_again_and_then_a_dead_letter(
    client: Client, other: Client, queue: str
) -> None:
    """JW-FAIL-1, JW-FAIL-2."""
    worker = Worker(client, queue)
    worker.handler("flaky")(_fail_twice)
    worker.handler("broken")(_fail_always)

    with worker:
        flaky = other.push(queue, "flaky", backoff_delay=0).id
        broken = other.push(queue, "broken", backoff_delay=0, max_attempts=2).id
        done, dead = reaches(other, flaky, "completed"), reaches(other, broken, "dlq")

    assert (done.result, done.attempt, done.delivery) == (2, 2, 3)
    assert (dead.reason, len(dead.errors)) == ("failed", 2)
    assert str(dead.last_error).startswith("LookupError: never")


def _fail_twice(job: Job) -> int:
    if job.attempt < 2:
        raise LookupError("not yet")
    return job.attempt


def _fail_always(job: Job) -> None:
    raise LookupError("never")


@pytest.mark.parametrize(
    ("outcome", "state", "attempt"),
    [
        (Discard("never"), "dlq", 1),
        (RetryIn(60, "later"), "delayed", 1),
        (Release(60), "delayed", 0),
    ],
    ids=["discard", "retry_in", "release"],
)
def test_what_a_handler_raises_decides_how_its_job_goes_on(
    client: Client, other: Client, queue: str, outcome: Exception, state: str, attempt: int
) -> None:
    """JW-FAIL-2, JW-FAIL-3, JW-LEASE-7."""
    worker = Worker(client, queue)

    @worker.handler("job")
    def handle(job: Job) -> None:
        raise outcome

    with worker:
        job = reaches(other, other.push(queue, "job").id, state)

    assert job.attempt == attempt


def test_a_cancelled_job_stops_its_handler(client: Client, other: Client, queue: str) -> None:
    """JW-CANCEL-4, JW-CANCEL-3."""
    gate = Gate()
    worker = Worker(client, queue)
    worker.handler("job")(gate)

    with worker:
        job = other.push(queue, "job").id
        gate.wait()
        assert other.cancel(job).state == "active"
        after = reaches(other, job, "cancelled")

    assert (after.reason, gate.reasons) == ("cancelled", ["cancel"])


def test_a_job_whose_lease_was_lost_has_its_result_dropped(
    client: Client, other: Client, queue: str
) -> None:
    """JW-SDK-9, JW-LEASE-3."""
    gate = Gate()
    worker = Worker(client, queue, concurrency=1)
    worker.handler("job")(gate)

    with worker:
        job = other.push(queue, "job").id
        gate.wait()
        other.release(job, delay=60)  # behind the worker's back: its lease is no longer the job's
        gate.leave.set()
        next_job = other.push(queue, "job").id
        reaches(other, next_job, "completed")

    after = other.get_job(job)
    assert (after.state, after.result, after.attempt) == ("delayed", None, 0)


def test_a_worker_that_stops_finishes_its_jobs_and_takes_no_new_ones(
    client: Client, other: Client, queue: str
) -> None:
    """JW-SDK-10."""
    gate = Gate()
    worker = Worker(client, queue, concurrency=1)
    worker.handler("job")(gate)
    worker.start()
    running = other.push(queue, "job").id
    gate.wait()
    left = other.push(queue, "job").id

    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(lambda: queue_is_quiet(other, queue))
    gate.leave.set()
    stopping.join(PATIENCE)

    assert not stopping.is_alive()
    assert (state_of(other, running), state_of(other, left)) == ("completed", "waiting")


def queue_is_quiet(client: Client, queue: str) -> Any:
    return [one for one in client.list_workers() if queue in one.queues and one.state == "quiet"]


def test_what_is_not_done_within_the_grace_is_given_back(
    client: Client, other: Client, queue: str
) -> None:
    """JW-SDK-10, JW-LEASE-7."""
    gate = Gate()
    worker = Worker(client, queue, grace=0)
    worker.handler("job")(gate)
    worker.start()
    job = other.push(queue, "job").id
    gate.wait()

    worker.stop()

    after = other.get_job(job)
    assert (after.state, after.attempt, gate.reasons) == ("waiting", 0, ["shutdown"])
    assert refused(other.ack, job).code == "INVALID_STATE"
