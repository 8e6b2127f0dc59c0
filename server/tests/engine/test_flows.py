"""Dependencies: what the end of a parent does, the order of a batch, and the recount."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.jobs import NOW, PARENT_ID, PUSHED, a_job

from jobwire_server.engine import decide
from jobwire_server.engine.flows import insertion_order, recount, resolve_child
from jobwire_server.model import Change, Job, JobState

ACKED = a_job("completed", id=PARENT_ID)


def resolved(child: Job, parent: Job) -> Change:
    change = resolve_child(child, parent, NOW)
    assert change is not None
    return change


def ended(job: Job, operation: str) -> Job:
    """The after-image of a parent that ended by this operation."""
    decision = {
        "delete": lambda: decide.delete(job, NOW),
        "cancel": lambda: decide.cancel(job, NOW),
        "fail": lambda: decide.fail(job, None, "x", NOW, 0.0, discard=True),
        "ack": lambda: decide.ack(job, None, None, NOW),
    }[operation]()
    assert isinstance(decision, Change)
    return decision.job


def test_the_last_parent_makes_its_child_ready() -> None:
    change = resolved(a_job("blocked"), ACKED)

    assert (change.job.state, change.job.pending_parents) == (JobState.WAITING, 0)
    assert (change.job.run_at, change.children) == (NOW, "none")


def test_a_child_with_more_parents_waits_on() -> None:
    change = resolved(a_job("blocked", pending_parents=2), ACKED)

    assert (change.job.state, change.job.pending_parents) == (JobState.BLOCKED, 1)


def test_a_child_keeps_a_ready_time_that_is_yet_to_come() -> None:
    change = resolved(a_job("blocked", run_at=NOW + 50), ACKED)

    assert (change.job.state, change.job.run_at, change.job.due_at) == (
        "delayed",
        NOW + 50,
        NOW + 50,
    )


def test_a_parent_that_was_removed_on_completion_counts_as_completed() -> None:
    parent = ended(a_job("active", id=PARENT_ID, remove_on_complete=True), "ack")

    assert resolved(a_job("blocked"), parent).job.state == JobState.WAITING


@pytest.mark.parametrize("state", ["cancelled", "waiting", "active"])
def test_a_parent_is_counted_off_at_a_child_in_any_state(state: str) -> None:
    change = resolved(a_job(state, pending_parents=1), ACKED)

    assert (change.job.state, change.job.pending_parents) == (state, 0)


def test_a_dead_parent_makes_a_dead_letter_of_its_child() -> None:
    change = resolved(a_job("blocked"), ended(a_job("active", id=PARENT_ID), "fail"))

    assert (change.job.state, change.job.reason) == (JobState.DLQ, "parent_failed")
    assert change.job.last_error == f"parent job '{PARENT_ID}' moved to DLQ"
    assert (change.job.finished_at, change.children) == (NOW, "fail")


@pytest.mark.parametrize("operation", ["cancel", "delete"])
def test_a_parent_that_was_stopped_cancels_its_child(operation: str) -> None:
    change = resolved(a_job("blocked"), ended(a_job("waiting", id=PARENT_ID), operation))

    assert (change.job.state, change.job.reason) == (JobState.CANCELLED, "parent_failed")
    assert change.children == "fail"


def test_a_dead_parent_that_was_removed_makes_a_dead_letter_of_its_child() -> None:
    parent = ended(a_job("active", id=PARENT_ID, remove_on_fail=True), "fail")

    assert parent.state == JobState.REMOVED
    assert resolved(a_job("blocked"), parent).job.state == JobState.DLQ


def test_death_goes_on_below_a_child_that_is_removed_on_failure() -> None:
    child = resolved(a_job("blocked", remove_on_fail=True), a_job("dlq", id=PARENT_ID)).job

    assert child.state == JobState.REMOVED
    assert resolved(a_job("blocked"), child).job.state == JobState.DLQ


@pytest.mark.parametrize(
    "state", ["waiting", "delayed", "active", "completed", "dlq", "cancelled", "removed"]
)
def test_a_failed_parent_leaves_a_child_alone_that_does_not_wait_for_it(state: str) -> None:
    assert resolve_child(a_job(state), a_job("dlq", id=PARENT_ID), NOW) is None


# --- the order of a batch ---


def named(index: int, *parents: int) -> Job:
    return a_job(id=f"job-{index}", depends_on=tuple(f"job-{parent}" for parent in parents))


def test_a_batch_without_dependencies_keeps_its_order() -> None:
    assert insertion_order([named(0), named(1), named(2, 77)]) == [0, 1, 2]


def test_parents_come_before_their_children() -> None:
    assert insertion_order([named(0, 1), named(1, 2), named(2)]) == [2, 1, 0]


@pytest.mark.parametrize(
    "jobs",
    [[named(0, 0)], [named(0, 1), named(1, 0)], [named(0), named(1, 2), named(2, 3), named(3, 1)]],
    ids=["itself", "two", "three"],
)
def test_a_circle_has_no_order(jobs: list[Job]) -> None:
    assert insertion_order(jobs) == ([] if len(jobs) < 3 else [0])


def test_what_waits_for_a_circle_has_no_order_either() -> None:
    assert insertion_order([named(0, 1), named(1, 2), named(2, 1), named(3)]) == [3]


@given(st.lists(st.lists(st.integers(0, 20), max_size=3), max_size=20), st.randoms())
def test_any_batch_without_a_circle_is_ordered(edges: list[list[int]], random: object) -> None:
    jobs = [named(i, *(p for p in parents if p < i)) for i, parents in enumerate(edges)]
    random.shuffle(jobs)  # type: ignore[attr-defined]

    order = insertion_order(jobs)

    assert sorted(order) == list(range(len(jobs)))
    seen: set[str] = set()
    here = {job.id for job in jobs}
    for index in order:
        assert {parent for parent in jobs[index].depends_on if parent in here} <= seen
        seen.add(jobs[index].id)


# --- the recount ---


def test_a_child_that_rightly_waits_is_left_alone() -> None:
    assert recount(a_job("blocked"), [a_job("active", id=PARENT_ID)], NOW) is None


@pytest.mark.parametrize("parent", [ACKED, None, a_job("removed", id=PARENT_ID)])
def test_a_child_whose_parents_are_done_is_freed(parent: Job | None) -> None:
    change = recount(a_job("blocked", run_at=PUSHED), [parent], NOW)

    assert change is not None
    assert (change.job.state, change.job.pending_parents, change.expect) == ("waiting", 0, 0)


def test_a_child_that_counts_too_many_parents_is_put_right() -> None:
    change = recount(a_job("blocked", pending_parents=5), [a_job("active"), None], NOW)

    assert change is not None
    assert (change.job.state, change.job.pending_parents) == (JobState.BLOCKED, 1)


@pytest.mark.parametrize(("state", "expected"), [("dlq", "dlq"), ("cancelled", "cancelled")])
def test_a_child_of_a_parent_that_can_never_complete_goes_down(state: str, expected: str) -> None:
    change = recount(a_job("blocked"), [a_job(state, id=PARENT_ID)], NOW)

    assert change is not None
    assert (change.job.state, change.children) == (expected, "fail")
