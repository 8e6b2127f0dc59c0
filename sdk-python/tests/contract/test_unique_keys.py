"""One unfinished job a key, and what a push does when it is taken."""

from __future__ import annotations

import threading

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

from jobwire import Client, ConflictError, PushResult


def test_a_taken_key_is_refused_with_its_holder(client: Client, target: Target, queue: str) -> None:
    """JW-UNIQ-1, JW-UNIQ-2."""
    holder = client.push(queue, "job", unique_key="k").id

    for mode in (None, "reject"):
        error = refused(client.push, queue, "job", unique_key="k", on_conflict=mode)
        assert isinstance(error, ConflictError)
        assert (error.code, error.details) == (
            "DUPLICATE_KEY",
            {"existing_id": holder, "pointer": "/unique_key"},
        )
    assert client.push(target.new_queue(), "job", unique_key="k").created
    assert client.push(queue, "job", unique_key="K").created


def test_ignore_answers_the_holder(client: Client, queue: str) -> None:
    """JW-UNIQ-3."""
    holder = client.push(queue, "job", {"n": 1}, unique_key="k").id

    again = client.push(queue, "other", {"n": 2}, unique_key="k", on_conflict="ignore")

    assert again == PushResult(id=holder, outcome="existing")
    assert client.get_job(holder).data == {"n": 1}


@pytest.mark.parametrize("state", ["waiting", "delayed", "blocked"])
def test_replace_cancels_a_holder_that_has_not_begun(
    client: Client, target: Target, queue: str, state: str
) -> None:
    """JW-UNIQ-4."""
    parent = client.push(target.new_queue(), "job").id
    options = {"waiting": {}, "delayed": {"delay": 60}, "blocked": {"depends_on": [parent]}}
    old = client.push(queue, "job", unique_key="k", **options[state]).id  # type: ignore[arg-type]
    assert state_of(client, old) == state

    new = client.push(queue, "job", unique_key="k", on_conflict="replace")

    assert new.outcome == "replaced"
    assert (client.get_job(old).state, client.get_job(old).reason) == ("cancelled", "replaced")
    assert take(client, queue).id == new.id


def test_replace_needs_no_room_in_a_full_queue(client: Client, queue: str) -> None:
    """JW-UNIQ-4, JW-PUSH-13."""
    client.update_queue(queue, max_length=1)
    client.push(queue, "job", unique_key="k")

    assert refused_at(client.push, queue, "job")[0] == "QUEUE_FULL"
    assert client.push(queue, "job", unique_key="k", on_conflict="replace").outcome == "replaced"
    assert client.stats(queue).counts.waiting == 1


def test_replace_never_takes_the_place_of_an_active_or_finished_holder(
    client: Client, queue: str
) -> None:
    """JW-UNIQ-5."""
    job = push_and_take(client, queue, unique_key="k", unique_for=60)

    for _ in range(2):
        error = refused(client.push, queue, "job", unique_key="k", on_conflict="replace")
        assert (error.code, error.details["existing_id"]) == ("DUPLICATE_KEY", job.id)
        client.ack(job)


@pytest.mark.parametrize("end", ["ack", "dlq", "cancel", "delete", "removed"])
def test_a_key_is_free_when_its_job_has_ended(client: Client, queue: str, end: str) -> None:
    """JW-UNIQ-6."""
    job = push_and_take(client, queue, unique_key="k", remove_on_complete=end == "removed")
    if end in ("ack", "removed"):
        client.ack(job)
    elif end == "dlq":
        client.fail(job, "no", discard=True)
    else:
        client.release(job)
        (client.cancel if end == "cancel" else client.delete_job)(job)

    assert client.push(queue, "job", unique_key="k").outcome == "created"


@pytest.mark.parametrize("end", ["ack", "removed", "delete"])
def test_a_window_keeps_the_key_after_the_end(client: Client, queue: str, end: str) -> None:
    """JW-UNIQ-6."""
    job = push_and_take(
        client, queue, unique_key="k", unique_for=60, remove_on_complete=end == "removed"
    )
    if end == "delete":
        client.release(job)
        client.delete_job(job)
    else:
        client.ack(job)

    error = refused(client.push, queue, "job", unique_key="k")
    ignored = client.push(queue, "job", unique_key="k", on_conflict="ignore")

    assert error.details["existing_id"] == job.id
    assert ignored == PushResult(id=job.id, outcome="existing")


def test_a_window_is_over_in_its_time(client: Client, target: Target, queue: str) -> None:
    """JW-UNIQ-6."""
    job = push_and_take(client, queue, unique_key="k", unique_for=SOON)
    client.ack(job)
    assert refused(client.push, queue, "job", unique_key="k").code == "DUPLICATE_KEY"

    target.elapse(SOON)

    assert until(lambda: _pushed(client, queue)) == "created"


def _pushed(client: Client, queue: str) -> str | None:
    result = client.push(queue, "job", unique_key="k", on_conflict="ignore")
    return result.outcome if result.created else None


def test_of_many_pushes_at_once_one_gets_the_key(client: Client, queue: str) -> None:
    """JW-UNIQ-1, JW-JOB-4."""
    start, results = threading.Barrier(8), []

    def push() -> None:
        start.wait()
        results.append(client.push(queue, "job", unique_key="k", on_conflict="ignore"))

    threads = [threading.Thread(target=push) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.outcome for one in results) == ["created"] + ["existing"] * 7
    assert len({one.id for one in results}) == 1


def test_a_retry_takes_the_key_again_or_is_refused(client: Client, queue: str) -> None:
    """JW-RETRY-5."""
    old = client.push(queue, "job", unique_key="k").id
    client.cancel(old)
    new = client.push(queue, "job", unique_key="k").id

    error = refused(client.retry, old)
    client.cancel(new)
    client.retry(old)

    assert (error.code, error.details["existing_id"]) == ("DUPLICATE_KEY", new)
    assert refused_at(client.push, queue, "job", unique_key="k")[0] == "DUPLICATE_KEY"
