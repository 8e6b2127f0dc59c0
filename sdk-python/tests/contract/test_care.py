"""Retrying, promoting, deleting, finding; dead letters and flows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.target import (
    Target,
    dead_letter,
    push_and_take,
    refused,
    refused_at,
    state_of,
    take,
)

from jobwire import Client, Job, Page

# --- retry, promote ---------------------------------------------------------------------------------------------------


def test_a_retry_starts_a_dead_letter_anew(client: Client, queue: str) -> None:
    """JW-RETRY-1, JW-RETRY-3."""
    dead = dead_letter(client, queue, max_attempts=1)

    assert client.retry(dead).state == "waiting"

    after = client.get_job(dead)
    assert (after.state, after.attempt, after.reason, after.completed_at) == (
        "waiting",
        0,
        None,
        None,
    )
    assert after.run_at == after.updated_at
    assert (after.last_error, len(after.errors), after.delivery) == ("no", 1, 1)
    assert client.fail(take(client, queue), "no").retry is False


def test_a_retry_starts_a_cancelled_job_anew(client: Client, queue: str) -> None:
    """JW-RETRY-1, JW-RETRY-6."""
    job = push_and_take(client, queue, ttl=60)
    client.cancel(job)
    client.release(job)

    client.retry(job)

    after = client.get_job(job)
    assert (after.state, after.cancel_requested_at, after.ttl) == ("waiting", None, None)
    assert client.heartbeat(take(client, queue)).cancelled is False


def test_a_promoted_job_is_ready_now(client: Client, queue: str) -> None:
    """JW-RETRY-4."""
    job = client.push(queue, "job", delay=60).id

    first, again = client.promote(job), client.promote(job)

    after = client.get_job(job)
    assert [(one.state, one.already) for one in (first, again)] == [
        ("waiting", False),
        ("waiting", True),
    ]
    assert (after.run_at, after.delay_until) == (after.updated_at, None)
    assert take(client, queue).id == job


NOT_ALLOWED: dict[str, tuple[Callable[[Client, Job | str], Any], set[str]]] = {
    "retry": (lambda client, job: client.retry(job), {"waiting", "active", "completed"}),
    "promote": (
        lambda client, job: client.promote(job),
        {"active", "completed", "dlq", "cancelled"},
    ),
    "delete": (lambda client, job: client.delete_job(job), {"active"}),
}
CELLS = [(operation, state) for operation, row in NOT_ALLOWED.items() for state in sorted(row[1])]


@pytest.mark.parametrize(("operation", "state"), CELLS)
def test_a_state_that_does_not_allow_it_refuses(
    client: Client, queue: str, operation: str, state: str
) -> None:
    """JW-JOB-12, JW-ERR-8."""
    job = push_and_take(client, queue)
    {
        "waiting": lambda: client.release(job),
        "active": lambda: None,
        "completed": lambda: client.ack(job),
        "dlq": lambda: client.fail(job, "no", discard=True),
        "cancelled": lambda: (client.release(job), client.cancel(job)),
    }[state]()
    before = client.get_job(job).text

    error = refused(NOT_ALLOWED[operation][0], client, job.id)

    assert (error.code, error.details["state"]) == ("INVALID_STATE", state)
    assert client.get_job(job).text == before


# --- delete -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["waiting", "delayed", "completed", "dlq", "cancelled"])
def test_a_deleted_job_is_gone_from_everywhere(client: Client, queue: str, end: str) -> None:
    """JW-DEL-1, JW-DEL-3, JW-QUEUE-8."""
    job = push_and_take(client, queue, flow_id=queue)
    if end == "completed":
        client.ack(job)
    elif end == "dlq":
        client.fail(job, "no", discard=True)
    else:
        client.release(job, delay=60 if end == "delayed" else 0)
        if end == "cancelled":
            client.cancel(job)

    client.delete_job(job.id)

    for call in (client.get_job, client.delete_job, client.retry, client.cancel, client.promote):
        assert refused(call, job.id).code == "JOB_NOT_FOUND"
    assert list(client.find(queue=queue)) == []
    assert client.get_flow(queue).jobs == ()
    assert client.pull(queue) == []
    counts = client.stats(queue).counts
    assert [getattr(counts, state) for state in (end, "waiting", "active")] == [0, 0, 0]


# --- find -------------------------------------------------------------------------------------------------------------


def test_find_answers_what_matches_all_filters(client: Client, target: Target, queue: str) -> None:
    """JW-FIND-1."""
    marks = {"tags": [queue, "x"], "group_id": "g", "flow_id": queue, "custom_id": "c"}
    client.push(queue, "a", **marks)  # type: ignore[arg-type]
    client.push(queue, "b", delay=60, **marks)  # type: ignore[arg-type]
    client.push(target.new_queue(), "c", tags=[queue])

    def found(**filters: Any) -> list[str]:
        return [job.name for job in client.find(**filters)]

    assert found(tag=queue) == ["c", "b", "a"]
    assert found(queue=queue) == found(queue=queue, group_id="g") == ["b", "a"]
    assert found(flow_id=queue, custom_id="c", state=["waiting", "dlq"]) == ["a"]
    assert found(queue=queue, state="delayed") == ["b"]
    assert found(queue=queue, name="a") == ["a"]
    assert found(queue=queue, tag="y") == found(queue=queue, name="a", state="delayed") == []


def test_created_after_includes_its_instant_and_before_excludes_it(
    client: Client, target: Target, queue: str
) -> None:
    """JW-FIND-5."""
    created = []
    for _ in range(3):
        created.append(client.get_job(client.push(queue, "job").id).created_at)
        target.elapse(0.002)
    first, second, third = created
    assert first is not None
    assert third is not None

    def found(**filters: Any) -> list[Any]:
        return [job.created_at for job in client.find(queue=queue, **filters)]

    assert found(created_after=second) == [third, second]
    assert found(created_before=second) == [first]
    assert found(created_after=first, created_before=third) == [second, first]
    assert found(created_after=third + timedelta(milliseconds=1)) == []


def test_pages_show_each_job_once_whatever_happens_between(client: Client, queue: str) -> None:
    """JW-FIND-2, JW-FIND-1."""
    ids = [client.push(queue, "job").id for _ in range(7)][::-1]

    def page(cursor: str | None) -> Page:
        return client.find_page(queue=queue, state="waiting", limit=2, cursor=cursor)

    first = page(None)
    client.cancel(first.jobs[-1])  # the one that the cursor stands on
    client.push(queue, "later")
    seen, cursor = [job.id for job in first.jobs], first.next_cursor
    while cursor is not None:
        following = page(cursor)
        seen, cursor = [*seen, *(job.id for job in following.jobs)], following.next_cursor

    assert seen == ids


def test_a_cursor_of_someone_else_is_refused(client: Client, queue: str) -> None:
    """JW-FIND-4."""
    assert refused_at(client.find_page, cursor="nonsense") == ("VALIDATION_ERROR", "/cursor")
    assert refused_at(client.dlq, queue, cursor="nonsense") == ("VALIDATION_ERROR", "/cursor")


def test_find_refuses_states_that_there_are_not(client: Client) -> None:
    """JW-ERR-6."""
    code, pointer = refused_at(client.find_page, state=["waiting", "asleep"])

    assert code == "VALIDATION_ERROR"
    assert str(pointer).startswith("/state")


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_dead_letters_are_listed_with_the_newest_dead_letter_first(
    client: Client, target: Target, queue: str
) -> None:
    """JW-DLQ-1."""
    first, second, third = (push_and_take(client, queue) for _ in range(3))
    for job in (second, third, first):  # not in the order in which they were pushed
        client.fail(job, "no", discard=True)
        target.elapse(0.002)

    page = client.dlq(queue, limit=2)
    rest = client.dlq(queue, cursor=page.next_cursor)

    assert [job.id for job in page.jobs] == [first.id, third.id]
    assert [job.id for job in rest.jobs] == [second.id]
    assert rest.next_cursor is None


def test_dead_letters_are_retried_by_their_ids(client: Client, target: Target, queue: str) -> None:
    """JW-DLQ-2, JW-DLQ-4, JW-DLQ-5."""
    dead, kept = dead_letter(client, queue), dead_letter(client, queue)
    elsewhere = dead_letter(client, target.new_queue())
    waiting = client.push(target.new_queue(), "job").id
    own_waiting = client.push(queue, "job", delay=60).id
    missing = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"

    answer = client.retry_dlq(queue, ids=[waiting, dead, elsewhere, own_waiting, missing])

    assert (answer.count, answer.remaining) == (1, 1)
    assert [one.error.code if one.error else one.state for one in answer.results] == [
        "JOB_NOT_FOUND",
        "waiting",
        "JOB_NOT_FOUND",
        "INVALID_STATE",
        "JOB_NOT_FOUND",
    ]
    states = [state_of(client, job) for job in (dead, kept, elsewhere, waiting, own_waiting)]
    assert states == ["waiting", "dlq", "dlq", "waiting", "delayed"]


@pytest.mark.parametrize("operation", ["retry", "discard"])
def test_without_ids_the_oldest_dead_letters_are_taken(
    client: Client, target: Target, queue: str, operation: str
) -> None:
    """JW-DLQ-3, JW-DLQ-5, JW-DLQ-6."""
    dead = []
    for _ in range(3):
        dead.append(dead_letter(client, queue).id)
        target.elapse(0.002)
    bulk = client.retry_dlq if operation == "retry" else client.discard_dlq

    first, rest = bulk(queue, limit=2), bulk(queue)

    assert [one.id for one in (*first.results, *rest.results)] == dead
    assert [(one.count, one.remaining) for one in (first, rest)] == [(2, 1), (1, 0)]
    assert client.stats(queue).counts.waiting == (3 if operation == "retry" else 0)
    if operation == "discard":
        assert refused(client.get_job, dead[0]).code == "JOB_NOT_FOUND"


def test_a_queue_without_dead_letters_has_none_to_give(client: Client, queue: str) -> None:
    """JW-DLQ-3, JW-DLQ-5."""
    assert client.dlq(queue).jobs == ()
    for bulk in (client.retry_dlq, client.discard_dlq):
        answer = bulk(queue)
        assert (answer.count, answer.results, answer.remaining) == (0, (), 0)


# --- flows ------------------------------------------------------------------------------------------------------------


def test_a_flow_has_its_jobs_and_counts_of_them(client: Client, target: Target, queue: str) -> None:
    """JW-WORKER-1."""
    flow = f"{queue}/ä"
    done = push_and_take(client, queue, flow_id=flow)
    client.ack(done)
    waiting = client.push(target.new_queue(), "job", flow_id=flow).id
    blocked = client.push(queue, "job", flow_id=flow, depends_on=[waiting]).id

    found = client.get_flow(flow)

    assert found.flow_id == flow
    assert [job.id for job in found.jobs] == [done.id, waiting, blocked]
    assert {state: n for state, n in found.summary.items() if n} == {
        "total": 3,
        "completed": 1,
        "waiting": 1,
        "blocked": 1,
    }
    assert set(found.summary) == {
        *("total", "waiting", "active", "delayed", "blocked", "completed"),
        *("failed", "dlq", "cancelled"),
    }


def test_a_flow_that_was_never_used_is_empty(client: Client, queue: str) -> None:
    """JW-WORKER-1."""
    assert client.get_flow(queue).jobs == ()
    assert client.get_flow(queue).summary["total"] == 0
