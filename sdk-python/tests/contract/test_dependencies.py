"""Jobs that wait for other jobs: what the end of one does to those behind it."""

from __future__ import annotations

import uuid

import pytest
from tests.contract.target import Target, push_and_take, refused_at, state_of, take

from jobwire import Client, PushItem


@pytest.fixture
def parents(target: Target) -> str:
    """A queue for the jobs that others wait for."""
    return target.new_queue()


def test_a_child_is_ready_when_its_last_parent_is_done(
    client: Client, queue: str, parents: str
) -> None:
    """JW-DEP-1."""
    first, second = (push_and_take(client, parents) for _ in range(2))
    child = client.push(queue, "job", depends_on=[first.id, second.id, first.id]).id

    client.ack(first)
    assert state_of(client, child) == "blocked"
    client.ack(second)

    job = take(client, queue)
    assert (job.id, job.depends_on) == (child, (first.id, second.id))


def test_a_child_of_finished_parents_never_waits(client: Client, queue: str, parents: str) -> None:
    """JW-DEP-1, JW-PUSH-1."""
    parent = push_and_take(client, parents)
    client.ack(parent)

    assert state_of(client, client.push(queue, "job", depends_on=[parent.id]).id) == "waiting"


def test_a_blocked_job_keeps_its_ready_time(client: Client, queue: str, parents: str) -> None:
    """JW-DEP-8, JW-DEP-1."""
    parent = push_and_take(client, parents)
    child = client.push(queue, "job", delay=60, depends_on=[parent.id]).id
    before = client.get_job(child)

    client.ack(parent)

    after = client.get_job(child)
    assert (before.state, after.state) == ("blocked", "delayed")
    assert after.run_at == before.run_at


def test_a_parent_must_be_there_and_not_have_failed(
    client: Client, queue: str, parents: str
) -> None:
    """JW-DEP-2."""
    dead = push_and_take(client, parents)
    client.fail(dead, "no", discard=True)
    cancelled = client.push(parents, "job").id
    client.cancel(cancelled)
    good = client.push(parents, "job").id

    for bad in (str(uuid.uuid4()), dead.id, cancelled):
        code, pointer = refused_at(client.push, queue, "job", depends_on=[good, bad])
        assert code == "VALIDATION_ERROR"
        assert str(pointer).endswith("/depends_on/1")


def test_a_circle_is_refused(client: Client, queue: str) -> None:
    """JW-DEP-3, JW-PUSH-6."""
    a, b = str(uuid.uuid4()), str(uuid.uuid4())
    items = [
        PushItem(name="first"),
        PushItem(name="a", id=a, depends_on=[b]),
        PushItem(name="b", id=b, depends_on=[a]),
    ]

    assert refused_at(client.push_batch, queue, items) == (
        "VALIDATION_ERROR",
        "/jobs/1/depends_on",
    )
    assert client.stats(queue).counts.waiting == 0


def family(client: Client, queue: str, parent: str) -> list[str]:
    """A child and a grandchild of this job."""
    child = client.push(queue, "child", depends_on=[parent]).id
    return [child, client.push(queue, "grandchild", depends_on=[child]).id]


def test_a_dead_parent_makes_dead_letters_of_its_family(
    client: Client, queue: str, parents: str
) -> None:
    """JW-DEP-5, JW-DEP-4."""
    parent = push_and_take(client, parents)
    child, grandchild = family(client, queue, parent.id)

    client.fail(parent, "no", discard=True)

    jobs = [client.get_job(id_) for id_ in (child, grandchild)]
    assert [(job.state, job.reason) for job in jobs] == [("dlq", "parent_failed")] * 2
    assert [job.last_error for job in jobs] == [
        f"parent job '{id_}' moved to DLQ" for id_ in (parent.id, child)
    ]
    assert client.stats(queue).counts.dlq == 2


@pytest.mark.parametrize("end", ["cancel", "delete", "cancel of an active one"])
def test_a_parent_that_is_stopped_cancels_its_family(
    client: Client, queue: str, parents: str, end: str
) -> None:
    """JW-DEP-6, JW-DEP-4."""
    parent = client.push(parents, "job").id
    jobs = family(client, queue, parent)

    if end == "delete":
        client.delete_job(parent)
    elif end == "cancel":
        client.cancel(parent)
    else:
        active = take(client, parents)
        client.cancel(parent)
        assert state_of(client, jobs[0]) == "blocked"
        client.release(active)

    ended = [client.get_job(id_) for id_ in jobs]
    assert [(job.state, job.reason) for job in ended] == [("cancelled", "parent_failed")] * 2


def test_deleting_a_finished_parent_leaves_its_children_alone(
    client: Client, queue: str, parents: str
) -> None:
    """JW-DEP-6."""
    done, other = push_and_take(client, parents), push_and_take(client, parents)
    child = client.push(queue, "job", depends_on=[done.id, other.id]).id
    client.ack(done)
    client.delete_job(done)

    assert state_of(client, child) == "blocked"
    client.ack(other)
    assert state_of(client, child) == "waiting"


def test_a_parent_that_was_removed_on_completion_counts_as_completed(
    client: Client, queue: str, parents: str
) -> None:
    """JW-DEP-9."""
    parent = push_and_take(client, parents, remove_on_complete=True)
    child = client.push(queue, "job", depends_on=[parent.id]).id

    client.ack(parent)

    assert state_of(client, child) == "waiting"


def test_a_chain_may_be_so_long_and_no_longer(client: Client, queue: str) -> None:
    """JW-DEP-7."""
    depth = client.capabilities().limits["dag_depth"]
    ids = [str(uuid.uuid4()) for _ in range(depth + 2)]
    items = [
        PushItem(name="job", id=id_, depends_on=[ids[n - 1]] if n else None)
        for n, id_ in enumerate(ids)
    ]

    client.push_batch(queue, items[: depth + 1])
    code, pointer = refused_at(client.push_batch, queue, items[depth + 1 :])

    assert (code, pointer) == ("VALIDATION_ERROR", "/jobs/0/depends_on")
    assert client.stats(queue).counts.blocked == depth


def test_a_retried_job_waits_for_its_parents_again(
    client: Client, queue: str, parents: str
) -> None:
    """JW-RETRY-2."""
    parent = push_and_take(client, parents)
    child = client.push(queue, "job", depends_on=[parent.id]).id
    client.cancel(child)

    assert client.retry(child).state == "blocked"
    client.ack(parent)
    assert state_of(client, child) == "waiting"


def test_a_job_that_its_parent_took_down_runs_when_it_is_retried(
    client: Client, queue: str, parents: str
) -> None:
    """JW-RETRY-2."""
    parent = client.push(parents, "job").id
    child = client.push(queue, "job", depends_on=[parent]).id
    client.cancel(parent)

    assert client.retry(child).state == "waiting"
    assert take(client, queue).id == child
