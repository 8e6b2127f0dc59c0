"""Which job a pull takes, and how it waits for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.contract.target import (
    PATIENCE,
    SOON,
    Target,
    push_and_take,
    refused,
    refused_at,
    state_of,
    take,
    until,
)

from jobwire import Client, Job


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


# --- order ------------------------------------------------------------------------------------------------------------


def test_jobs_come_by_priority_and_then_in_their_order(client: Client, queue: str) -> None:
    """JW-PULL-3, JW-PULL-1."""
    for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", -3), ("e", 5), ("f", 2**31 - 1)]:
        client.push(queue, name, priority=priority)

    assert names(client.pull(queue, count=4)) == ["f", "b", "e", "a"]
    assert names(client.pull(queue, count=4)) == ["c", "d"]
    assert client.pull(queue, count=4) == []


def test_a_batch_is_taken_in_the_order_of_its_jobs(client: Client, queue: str) -> None:
    """JW-PULL-3."""
    client.push_batch(queue, [{"name": f"j{n}"} for n in range(20)])

    assert names(client.pull(queue, count=20)) == [f"j{n}" for n in range(20)]


def test_a_delayed_job_stands_where_its_ready_time_puts_it(
    client: Client, target: Target, queue: str
) -> None:
    """JW-PULL-3, JW-TIME-5."""
    client.push(queue, "delayed", delay=SOON)
    client.push(queue, "first")
    assert names(client.pull(queue, count=2)) == ["first"]

    target.elapse(SOON)
    until(lambda: client.stats(queue).counts.delayed == 0)
    client.push(queue, "last")

    assert names(client.pull(queue, count=3)) == ["delayed", "last"]


def test_lifo_goes_ahead_and_the_newest_first(client: Client, target: Target, queue: str) -> None:
    """JW-PULL-4."""
    for name, options in {
        "first": {},
        "old": {"lifo": True},
        "new": {"lifo": True},
        "last": {},
        "urgent": {"priority": 1},
    }.items():
        client.push(queue, name, **options)  # type: ignore[arg-type]
        target.elapse(0.002)  # two lifo jobs of one millisecond have no order

    assert names(client.pull(queue, count=9)) == ["urgent", "new", "old", "first", "last"]


def test_a_retried_job_goes_behind_and_a_released_one_back_to_its_place(
    client: Client, target: Target, queue: str
) -> None:
    """JW-LEASE-6, JW-PULL-3."""
    for name in ("failed", "released", "next"):
        client.push(queue, name)
        target.elapse(0.002)
    failed, released = client.pull(queue, count=2)

    client.fail(failed, "no", retry_in=0)
    client.release(released)

    assert names(client.pull(queue, count=9)) == ["released", "next", "failed"]


def test_queues_are_tried_in_their_order(client: Client, target: Target, queue: str) -> None:
    """JW-PULL-2."""
    second = target.new_queue()
    client.push(second, "urgent", priority=9)
    for name in ("a", "b"):
        client.push(queue, name)

    assert names(client.pull([queue, second], count=3)) == ["a", "b", "urgent"]


def test_weights_draw_the_order_of_the_queues(client: Client, target: Target, queue: str) -> None:
    """JW-PULL-5."""
    rare = target.new_queue()
    for name in (queue, rare):
        client.push_batch(name, [{"name": "job"}] * 10)

    often = [client.pull([rare, queue], weights=[1, 1_000_000])[0].queue for _ in range(10)]
    rest = client.pull([rare, queue], weights=[1, 1_000_000], count=20)

    assert often == [queue] * 10
    assert {job.queue for job in rest} == {rare}
    assert client.pull([queue], weights=[1]) == []


def test_weights_must_be_one_a_queue(client: Client, queue: str) -> None:
    """JW-PULL-15."""
    pull = client.pull

    assert refused_at(pull, [queue, "other"], weights=[1]) == ("VALIDATION_ERROR", "/weights")
    assert refused_at(pull, [queue], weights=[0])[0] == "VALIDATION_ERROR"


def test_only_jobs_with_one_of_the_names_are_taken(client: Client, queue: str) -> None:
    """JW-PULL-6."""
    client.push_batch(queue, [{"name": name} for name in ("a", "b", "c", "a")])

    assert names(client.pull(queue, count=9, names=["c", "a"])) == ["a", "c", "a"]
    assert client.pull(queue, names=["c"]) == []
    assert names(client.pull(queue)) == ["b"]


def test_a_paused_queue_delivers_nothing_and_others_do(
    client: Client, target: Target, queue: str
) -> None:
    """JW-PULL-7, JW-QUEUE-2."""
    other = target.new_queue()
    client.pause_queue(queue)
    for name in (queue, other):
        assert client.push(name, "job").created

    [job] = client.pull([queue, other], count=9)

    assert job.queue == other


def test_a_queue_that_was_never_used_is_empty(client: Client, queue: str) -> None:
    """JW-PULL-14, JW-QUEUE-1, JW-PULL-13."""
    assert client.pull(queue) == []
    assert client.pull(queue, count=2) == []
    assert client.pull("no such queue") == []


def test_a_pull_gives_leases_of_their_own(client: Client, queue: str) -> None:
    """JW-PULL-1, JW-PULL-17, JW-LEASE-1, JW-LEASE-2."""
    client.push_batch(queue, [{"name": "job"}] * 2)

    jobs = client.pull(queue, count=2, lease=60, worker_id="w-1")

    assert len({job.lease for job in jobs}) == 2
    for job in jobs:
        assert (job.state, job.delivery, job.worker_id) == ("active", 1, "w-1")
        assert job.started_at is not None
        assert job.lease_expires_at is not None
        assert (job.lease_expires_at - job.started_at).total_seconds() == 60
        assert job.last_heartbeat is None
        assert client.get_job(job).lease is None


def test_each_delivery_starts_without_a_heartbeat_or_a_worker(client: Client, queue: str) -> None:
    """JW-PULL-17."""
    client.push(queue, "job")
    [first] = client.pull(queue, worker_id="w-1")
    client.heartbeat(first)
    client.release(first)

    second = take(client, queue)

    assert (second.delivery, second.last_heartbeat, second.worker_id) == (2, None, None)


def test_the_length_of_a_lease_comes_from_the_pull_the_queue_or_the_server(
    client: Client, queue: str
) -> None:
    """JW-LEASE-2."""
    client.push_batch(queue, [{"name": "job"}] * 3)

    lengths = [length(client.pull(queue))]
    client.update_queue(queue, lease=77)
    lengths += [length(client.pull(queue)), length(client.pull(queue, lease=5))]

    assert lengths == [client.capabilities().defaults["lease_ms"] / 1000, 77, 5]


def length(jobs: list[Job]) -> float:
    [job] = jobs
    assert job.lease_expires_at is not None
    assert job.started_at is not None
    return (job.lease_expires_at - job.started_at).total_seconds()


# --- request_id -------------------------------------------------------------------------------------------------------


def test_a_repeated_pull_gets_the_same_jobs_while_their_leases_live(
    client: Client, other: Client, queue: str
) -> None:
    """JW-PULL-11."""
    client.push_batch(queue, [{"name": f"j{n}"} for n in range(4)])

    first = client.pull(queue, count=2, request_id=queue)
    again = other.pull(queue, count=2, request_id=queue)
    client.ack(first[0])
    rest = client.pull(queue, count=2, request_id=queue)
    client.ack(first[1])
    new = client.pull(queue, count=2, request_id=queue)

    assert [(job.id, job.lease) for job in again] == [(job.id, job.lease) for job in first]
    assert [job.id for job in rest] == [first[1].id]
    assert names(new) == ["j2", "j3"]


def test_a_job_that_was_taken_anew_is_not_answered_to_the_old_request(
    client: Client, queue: str
) -> None:
    """JW-PULL-11, JW-LEASE-1."""
    client.push(queue, "job")
    [job] = client.pull(queue, request_id=queue)
    client.release(job)
    [newer] = client.pull(queue)

    assert client.pull(queue, request_id=queue) == []
    assert (newer.delivery, newer.lease == job.lease) == (2, False)


# --- waiting ----------------------------------------------------------------------------------------------------------


class WaitingPull:
    """A pull that has reached the server and waits there, in a thread of its own."""

    def __init__(self, client: Client, other: Client, queues: list[str], **options: Any) -> None:
        self.jobs: list[Job] = []
        worker = f"{queues[0]}-waiting-{id(self)}"
        options = {"wait": PATIENCE, "worker_id": worker, **options}
        self._thread = threading.Thread(target=self._pull, args=(client, queues, options))
        self._thread.start()
        until(lambda: worker in {one.id for one in other.list_workers()})

    def _pull(self, client: Client, queues: list[str], options: dict[str, Any]) -> None:
        self.jobs = client.with_options(timeout=PATIENCE).pull(queues, **options)

    def answer(self) -> list[Job]:
        """What it got, well before its wait is over."""
        self._thread.join(PATIENCE * 0.8)
        assert not self._thread.is_alive()
        return self.jobs

    def end(self) -> None:
        self._thread.join()


Waiting = Callable[..., WaitingPull]


@pytest.fixture
def waiting(client: Client, other: Client) -> Iterator[Waiting]:
    """Starts pulls that wait; they end before the clients close."""
    pulls: list[WaitingPull] = []

    def start(*queues: str, **options: Any) -> WaitingPull:
        pulls.append(WaitingPull(client, other, list(queues), **options))
        return pulls[-1]

    yield start
    for pull in pulls:
        pull.end()


@pytest.mark.parametrize(
    "cause",
    ["push", "batch", "release", "fail", "retry", "promote", "resume", "parent", "dlq"],
)
def test_a_waiting_pull_is_woken_by_whatever_makes_a_job_ready(
    other: Client, target: Target, queue: str, waiting: Waiting, cause: str
) -> None:
    """JW-PULL-9, JW-QUEUE-6."""
    make_ready = CAUSES[cause](other, target, queue)
    pull = waiting(queue)

    make_ready()

    [job] = pull.answer()
    assert (job.queue, job.state) == (queue, "active")


def _push(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    return lambda: client.push(queue, "job")


def _batch(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    return lambda: client.push_batch(queue, [{"name": "job"}])


def _release(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    job = push_and_take(client, queue)
    return lambda: client.release(job)


def _fail(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    job = push_and_take(client, queue)
    return lambda: client.fail(job, "no", retry_in=0)


def _retry(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    job = client.push(queue, "job").id
    client.cancel(job)
    return lambda: client.retry(job)


def _promote(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    job = client.push(queue, "job", delay=60).id
    return lambda: client.promote(job)


def _resume(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    client.pause_queue(queue)
    client.push(queue, "job")
    return lambda: client.resume_queue(queue)


def _parent(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    parent = push_and_take(client, target.new_queue())
    client.push(queue, "job", depends_on=[parent.id])
    return lambda: client.ack(parent)


def _dlq(client: Client, target: Target, queue: str) -> Callable[[], Any]:
    job = push_and_take(client, queue)
    client.fail(job, "no", discard=True)
    return lambda: client.retry_dlq(queue)


CAUSES: dict[str, Callable[[Client, Target, str], Callable[[], Any]]] = {
    "push": _push,
    "batch": _batch,
    "release": _release,
    "fail": _fail,
    "retry": _retry,
    "promote": _promote,
    "resume": _resume,
    "parent": _parent,
    "dlq": _dlq,
}


def test_a_waiting_pull_is_woken_by_the_ready_time_of_a_job(
    client: Client, target: Target, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-9, JW-TIME-5."""
    client.push(queue, "job", delay=0.1)
    pull = waiting(queue)

    target.elapse(0.1)

    [job] = pull.answer()
    assert job.started_at is not None
    assert job.run_at is not None
    assert job.started_at >= job.run_at


def test_a_waiting_pull_hears_of_each_of_its_queues(
    other: Client, target: Target, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-9, JW-PULL-2."""
    second = target.new_queue()
    pull = waiting(queue, second)

    other.push(second, "job")

    assert [job.queue for job in pull.answer()] == [second]


def test_a_waiting_pull_sleeps_on_when_it_may_not_take_the_job(
    other: Client, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-9, JW-PULL-6."""
    pull = waiting(queue, names=["mine"])

    other.push(queue, "theirs")
    mine = other.push(queue, "mine").id

    assert [job.id for job in pull.answer()] == [mine]
    assert other.stats(queue).counts.waiting == 1


def test_a_waiting_pull_ends_with_nothing_in_its_time(client: Client, queue: str) -> None:
    """JW-PULL-9."""
    assert client.pull(queue, wait=0.05) == []
    assert client.pull(queue, wait=0.05, count=5) == []


def test_of_several_waiting_pulls_each_gets_one_job(
    other: Client, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-10, JW-JOB-4."""
    pulls = [waiting(queue) for _ in range(3)]

    pushed = [other.push(queue, "job").id for _ in range(3)]

    assert sorted(job.id for pull in pulls for job in pull.answer()) == sorted(pushed)


@pytest.mark.parametrize("count", [1, 2])
def test_a_waiting_pull_is_left_by_its_repeat_and_takes_nothing(
    client: Client, other: Client, queue: str, waiting: Waiting, count: int
) -> None:
    """JW-PULL-11."""
    left = waiting(queue, count=count, request_id=queue)

    assert other.pull(queue, count=count, request_id=queue) == []

    assert left.answer() == []
    pushed = other.push(queue, "job").id
    assert [(job.id, job.delivery) for job in client.pull(queue)] == [(pushed, 1)]


def test_a_repeat_waits_in_place_of_the_pull_that_it_repeats(
    other: Client, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-11, JW-PULL-9."""
    left = waiting(queue, request_id=queue)
    again = waiting(queue, request_id=queue)
    assert left.answer() == []

    pushed = other.push(queue, "job").id

    assert [(job.id, job.delivery) for job in again.answer()] == [(pushed, 1)]


def test_only_the_pull_that_is_repeated_is_left(
    client: Client, other: Client, queue: str, waiting: Waiting
) -> None:
    """JW-PULL-11, JW-PULL-9."""
    pulls = [waiting(queue), waiting(queue, request_id=f"{queue}-other")]

    assert client.pull(queue) == []
    assert client.pull(queue, request_id=queue) == []
    refused(client.pull, queue, count=1001, request_id=f"{queue}-other")

    pushed = {other.push(queue, "job").id for _ in pulls}
    assert {job.id for pull in pulls for job in pull.answer()} == pushed


def test_a_job_whose_ttl_has_passed_is_not_taken(
    client: Client, target: Target, queue: str
) -> None:
    """JW-PULL-8, JW-TIME-6, JW-TIME-4."""
    late = client.push(queue, "late", ttl=0.1).id
    delayed = client.push(queue, "delayed", ttl=0.1, delay=0.1).id
    kept = client.push(queue, "kept", ttl=60).id

    target.elapse(0.1)

    assert take(client, queue, count=9).id == kept
    for job in (late, delayed):
        until(lambda job=job: state_of(client, job) == "cancelled")  # type: ignore[misc]
        assert client.get_job(job).reason == "expired"


def test_a_lease_must_be_long_enough(client: Client, queue: str) -> None:
    """JW-LIMIT-1."""
    assert refused_at(client.pull, queue, lease=0.9) == ("VALIDATION_ERROR", "/lease_ms")
    assert refused(client.pull, queue, count=1001).code == "VALIDATION_ERROR"
