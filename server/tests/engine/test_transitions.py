"""Every operation on a job in every state, with every kind of lease, as spec/lifecycle.yaml says (JW-JOB-12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.engine.jobs import NOW, PARENT_ID, a_job, lease_before
from tests.vectors import by_id, spec, vectors

from jobwire_server.engine import decide, transitions
from jobwire_server.engine.decide import ALREADY
from jobwire_server.engine.flows import resolve_child
from jobwire_server.engine.leases import lease_of
from jobwire_server.errors import JobwireError
from jobwire_server.model import Change, Job

Call = Callable[[Job, str | None], Any]

ACKED = a_job("completed", id=PARENT_ID)
DEAD = a_job("dlq", id=PARENT_ID)
STOPPED = a_job("cancelled", id=PARENT_ID)
ASKED = {"cancel_requested_at": NOW - 1}


def elapsed(job: Job, _: str | None) -> Any:
    return decide.elapse(job, NOW, 0.0)


def failed(job: Job, lease: str | None) -> Any:
    return decide.fail(job, lease, "boom", NOW, 0.0)


# By operation: the ways to do it, each as what is special about the job and the call. Together they reach every
# state that the table allows.
WAYS: dict[str, list[tuple[dict[str, Any], Call]]] = {
    "ack": [({}, lambda job, lease: decide.ack(job, lease, b"1", NOW))],
    "fail": [
        ({}, failed),
        ({}, lambda job, lease: decide.fail(job, lease, "boom", NOW, 0.0, retry_in_ms=0)),
        ({"max_attempts": 1}, failed),
        (ASKED, failed),
    ],
    "release": [
        ({}, lambda job, lease: decide.release(job, lease, 0, NOW)),
        ({}, lambda job, lease: decide.release(job, lease, 7, NOW)),
        (ASKED, lambda job, lease: decide.release(job, lease, 0, NOW)),
    ],
    "heartbeat": [({}, lambda job, lease: decide.heartbeat(job, lease, None, NOW))],
    "progress": [({}, lambda job, lease: decide.progress(job, lease, 5, None, NOW))],
    "cancel": [({}, lambda job, _: decide.cancel(job, NOW))],
    "retry": [
        ({}, lambda job, _: decide.retry(job, NOW)),
        ({"pending_parents": 1}, lambda job, _: decide.retry(job, NOW)),
    ],
    "promote": [({}, lambda job, _: decide.promote(job, NOW))],
    "delete": [({}, lambda job, _: decide.delete(job, NOW))],
    "due": [({"run_at": NOW}, elapsed)],
    "ttl": [({"ttl_ms": 100_000}, elapsed)],
    "lease_expired": [
        ({"lease_expires_at": NOW}, elapsed),
        ({"lease_expires_at": NOW, "max_attempts": 1}, elapsed),
        ({"lease_expires_at": NOW, **ASKED}, elapsed),
    ],
    "timeout": [
        ({"timeout_ms": 10_000}, elapsed),
        ({"timeout_ms": 10_000, "backoff_delay_ms": 0}, elapsed),
        ({"timeout_ms": 10_000, "max_attempts": 1}, elapsed),
        ({"timeout_ms": 10_000, **ASKED}, elapsed),
    ],
    "parents_completed": [
        ({}, lambda job, _: resolve_child(job, ACKED, NOW)),
        ({"run_at": NOW + 9}, lambda job, _: resolve_child(job, ACKED, NOW)),
    ],
    "parent_failed": [
        ({}, lambda job, _: resolve_child(job, DEAD, NOW)),
        ({}, lambda job, _: resolve_child(job, STOPPED, NOW)),
    ],
}
# The lease of an operation is given by the store's own claim; tests/operations runs these rows on every store.
BY_ENGINE = [row for row in vectors("transitions") if row["operation"] != "pull"]


def arrange(row: dict[str, Any], special: dict[str, Any]) -> Job:
    if row["state"] != "active":
        special = {key: value for key, value in special.items() if key != "lease_expires_at"}
    if row["state"] != "delayed" and row["operation"] == "due":
        special = {}
    settled = {} if row["settled_by"] is None else {"settled_by": row["settled_by"], "delivery": 2}
    if row["lease"] == "stale":
        settled.setdefault("delivery", 2)
    return a_job(row["state"], **{**special, **settled})


def shown_lease(row: dict[str, Any], job: Job) -> str | None:
    return {"none": lambda _: None, "current": lease_of, "stale": lease_before}[row["lease"]](job)


@pytest.mark.parametrize("row", BY_ENGINE, ids=by_id)
def test_an_operation_does_what_the_table_says(row: dict[str, Any]) -> None:
    reached = set()
    for special, call in WAYS[row["operation"]]:
        job = arrange(row, special)
        lease = shown_lease(row, job)
        if row["effect"] == "refuse":
            with pytest.raises(JobwireError) as caught:
                call(job, lease)
            assert caught.value.code == row["error"]
            continue
        decision = call(job, lease)
        if row["effect"] == "already":
            assert decision is ALREADY
        elif row["effect"] == "skip":
            assert decision is None or decision.job.state == job.state
        else:
            assert isinstance(decision, Change)
            assert decision.expect == job.revision
            assert decision.job.revision == job.revision + 1
            reached.add(str(decision.job.state))
    expected = {"move": row["to"], "stay": [row["state"]]}.get(row["effect"], [])
    assert sorted(reached) == sorted(expected)


def test_the_vectors_have_every_cell_of_the_table() -> None:
    cells = {(row["operation"], row["state"]) for row in vectors("transitions")}

    assert cells == {
        (name, state)
        for name, operation in spec("lifecycle")["operations"].items()
        for state in operation["on"]
    }
    assert cells == set(transitions.TRANSITIONS)


def test_the_vectors_show_each_leased_operation_every_end_of_a_lease() -> None:
    shown = {
        (row["operation"], row["settled_by"])
        for row in vectors("transitions")
        if row["lease"] == "current"
    }

    assert shown >= {
        (operation, end) for operation in transitions.LEASED for end in transitions.SETTLED_BY
    }


@pytest.mark.parametrize(
    "operation",
    sorted(
        set(WAYS)
        - {"due", "ttl", "lease_expired", "timeout"}
        - {"parents_completed", "parent_failed"}
    ),
)
def test_a_removed_job_is_not_found(operation: str) -> None:
    job = a_job("removed", delivery=2)
    for _, call in WAYS[operation]:
        for lease in (None, lease_before(job)):
            with pytest.raises(JobwireError) as caught:
                call(job, lease)
            assert caught.value.code == "JOB_NOT_FOUND"


@pytest.mark.parametrize("operation", sorted(transitions.ALREADY_SAME_LEASE))
def test_a_repeat_under_the_lease_that_removed_the_job_is_answered_already(operation: str) -> None:
    job = a_job("removed", delivery=2, settled_by=operation)
    [(_, call), *_] = WAYS[operation]

    assert call(job, lease_of(job)) is ALREADY


@pytest.mark.parametrize("operation", sorted(transitions.LEASED))
def test_an_active_job_obeys_only_its_live_lease(operation: str) -> None:
    job = a_job("active")
    [(_, call), *_] = WAYS[operation]

    for wrong in (lease_before(job), "", "nonsense", lease_of(a_job("active", id=PARENT_ID))):
        with pytest.raises(JobwireError) as caught:
            call(job, wrong)
        assert caught.value.code == "LEASE_LOST"
        assert caught.value.details == {"id": job.id, "state": "active"}


def test_a_refusal_names_the_states_that_would_do() -> None:
    with pytest.raises(JobwireError) as caught:
        decide.cancel(a_job("completed"), NOW)

    assert caught.value.details == {
        "id": a_job().id,
        "state": "completed",
        "expected": "Waiting or Delayed or Blocked or Active or Cancelled",
    }
    assert "'Completed'" in caught.value.message
