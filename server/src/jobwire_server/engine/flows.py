"""
Dependencies: what the end of a parent does to a job that waits for it, and the order in which a batch can be inserted.

The store calls `resolve_child` inside the parent's own transaction (JW-DEP-4), so it sees the child as it is at that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from jobwire_server.engine.decide import dead_state
from jobwire_server.engine.timing import moved
from jobwire_server.model import Change, Job, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence


def resolve_child(child: Job, parent: Job, now: int) -> Change | None:
    """What `child` becomes now that `parent` (its after-image) is finished; None when it stays as it is."""
    if parent.settled_by == "ack":
        return _one_parent_less(child, now)
    if child.state != JobState.BLOCKED:
        return None
    return _taken_down(child, parent, now)


def _one_parent_less(child: Job, now: int) -> Change:
    """Counted off in any state, so that a child that is retried later knows whom it still waits for."""
    left = max(child.pending_parents - 1, 0)
    if child.state != JobState.BLOCKED or left > 0:
        return Change(moved(child, now, pending_parents=left), child.revision)
    state = JobState.DELAYED if child.run_at > now else JobState.WAITING
    ready = max(child.run_at, now)
    return Change(moved(child, now, pending_parents=0, state=state, run_at=ready), child.revision)


def _taken_down(child: Job, parent: Job, now: int) -> Change:
    """A dead parent makes dead letters of its children (JW-DEP-5), a cancelled one cancels them (JW-DEP-6)."""
    died = _died(parent)
    after = moved(
        child,
        now,
        state=dead_state(child) if died else JobState.CANCELLED,
        reason="parent_failed",
        last_error=f"parent job '{parent.id}' " + ("moved to DLQ" if died else "was cancelled"),
        finished_at=now,
    )
    return Change(after, child.revision, "fail")


def _died(parent: Job) -> bool:
    """Whether it failed for good, rather than being stopped; one with remove_on_fail is removed instead of a dead letter."""
    if parent.state == JobState.REMOVED:
        return parent.reason != "cancelled"
    return parent.state == JobState.DLQ


def insertion_order(jobs: Sequence[Job]) -> list[int]:
    """
    The indexes of a batch so that parents come before their children, otherwise in the order given.

    Jobs of the batch that wait for each other in a circle (JW-DEP-3), or for such jobs, are left out.
    """
    if not any(job.depends_on for job in jobs):
        return list(range(len(jobs)))
    place = {job.id: index for index, job in enumerate(jobs)}
    waits = [{place[p] for p in job.depends_on if p in place} for job in jobs]
    order: list[int] = []
    done: set[int] = set()
    while len(order) < len(jobs):
        ready = [i for i in range(len(jobs)) if i not in done and waits[i] <= done]
        if not ready:
            break
        order += ready
        done.update(ready)
    return order


def recount(child: Job, parents: Sequence[Job | None], now: int) -> Change | None:
    """
    What a blocked job becomes when its parents are counted anew; None when it rightly waits.

    A parent that is gone was finished: an unfinished one cannot be removed without resolving its children.
    """
    living = [parent for parent in parents if parent is not None]
    for parent in living:
        if parent.state in (JobState.DLQ, JobState.CANCELLED):
            return _taken_down(child, parent, now)
    waiting_for = sum(not parent.is_finished for parent in living)
    if waiting_for == child.pending_parents:
        return None
    last = replace(child, pending_parents=waiting_for + 1)
    return _one_parent_less(last, now)
