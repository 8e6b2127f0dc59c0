"""Faults of what happens to jobs: failing, cancelling, pushing and pulling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace
from tests.proof.sim.mutant import Mutants, Patch
from tests.proof.sim.setting import LONELY, Setting

from jobwire_server.engine import decide, flows
from jobwire_server.model import Change, Job, PushItem
from jobwire_server.operations import pulling, waiters
from jobwire_server.store import images
from jobwire_server.store.base import Applied, ApplyOutcome, InsertOutcome
from jobwire_server.store.memory import MemoryStore

# Runs in which little else happens than what the fault is about.
REMOVING: Final = Setting(features=frozenset({"again", "remove"}), pushes=(12, 12))
FAMILIES: Final = Setting(features=frozenset({"children", "cancel"}), pushes=(12, 12))
REPEATING: Final = Setting(features=frozenset({"again", "impatient"}))
PAUSING: Final = Setting(features=frozenset({"pause"}), pushes=(12, 12))

JOB_MUTANTS = Mutants()
caught_by = JOB_MUTANTS.caught_by


# ── Failing ──


@caught_by("JW-FAIL-1")
def a_fail_counts_no_attempt(patch: Patch) -> None:
    failed = decide._failed

    def uncounted(job: Job, *more: Any, **named: Any) -> Change:
        change = failed(job, *more, **named)
        return Change(replace(change.job, attempt=job.attempt), change.expect, change.children)

    patch.setattr(decide, "_failed", uncounted)


@caught_by("R10")
def the_backoff_is_ignored(patch: Patch) -> None:
    patch.setattr(decide, "delay_ms", lambda job, attempt, u: 0)


@caught_by("R10")
def a_job_is_tried_once_too_often(patch: Patch) -> None:
    failed = decide._failed

    def once_more(job: Job, *more: Any, **named: Any) -> Change:
        change = failed(replace(job, max_attempts=job.max_attempts + 1), *more, **named)
        after = replace(change.job, max_attempts=job.max_attempts)
        return Change(after, change.expect, change.children)

    patch.setattr(decide, "_failed", once_more)


@caught_by("R19", "R10")
def a_retry_keeps_the_attempts(patch: Patch) -> None:
    retry = decide.retry

    def kept(job: Job, now: int) -> decide.Decision:
        change = retry(job, now)
        assert isinstance(change, Change)
        return Change(replace(change.job, attempt=job.attempt), change.expect)

    patch.setattr(decide, "retry", kept)


# ── Cancelling ──


@caught_by("R17")
def the_cancel_of_an_active_job_is_forgotten(patch: Patch) -> None:
    failed, release = decide._failed, decide.release

    def forgot(job: Job) -> Job:
        return replace(job, cancel_requested_at=None)

    patch.setattr(
        decide, "_failed", lambda job, *more, **named: failed(forgot(job), *more, **named)
    )
    patch.setattr(decide, "release", lambda job, *more: release(forgot(job), *more))


# ── Pushing ──


@caught_by("R3", "R4", "R5", "R6", "R7", "R8", setting=REMOVING)
def a_removed_job_leaves_no_tombstone(patch: Patch) -> None:
    change = MemoryStore._change

    def gone(self: MemoryStore, wanted: Change, now: int) -> ApplyOutcome:
        outcome = change(self, wanted, now)
        if isinstance(outcome, Applied) and outcome.job.state == "removed":
            self._drop(outcome.job)
        return outcome

    patch.setattr(MemoryStore, "_change", gone)


@caught_by("R11")
def a_unique_key_is_not_looked_at(patch: Patch) -> None:
    patch.setattr(MemoryStore, "_holder", lambda self, job, now: None)


@caught_by("JW-UNIQ-6")
def a_unique_key_is_never_freed(patch: Patch) -> None:
    patch.setattr(MemoryStore, "_free_key", lambda self, job, now: None)


@caught_by("R2", "R21")
def a_batch_is_not_atomic(patch: Patch) -> None:
    insert = MemoryStore.insert

    async def one_by_one(
        self: MemoryStore, items: Sequence[PushItem], *, atomic: bool, now: int
    ) -> list[InsertOutcome]:
        return await insert(self, items, atomic=False, now=now)

    patch.setattr(MemoryStore, "insert", one_by_one)


@caught_by("R13", setting=FAMILIES)
def a_child_is_released_by_its_first_parent(patch: Patch) -> None:
    one_less = flows._one_parent_less
    patch.setattr(
        flows,
        "_one_parent_less",
        lambda child, now: one_less(replace(child, pending_parents=1), now),
    )


@caught_by("R16", setting=FAMILIES)
def children_of_the_dead_stay_blocked(patch: Patch) -> None:
    patch.setattr(flows, "_taken_down", lambda child, parent, now: None)


# ── Pulling ──


@caught_by("R9")
def a_pull_ignores_the_priority(patch: Patch) -> None:
    patch.setattr(
        MemoryStore,
        "_turn",
        lambda self, job: (0, job.position, self._seq[job.id], job.id),
    )


@caught_by("R9")
def a_pull_takes_the_newest_first(patch: Patch) -> None:
    patch.setattr(
        MemoryStore,
        "_turn",
        lambda self, job: (-job.priority, -job.position, -self._seq[job.id], job.id),
    )


@caught_by("R20", setting=PAUSING)
def a_paused_queue_still_delivers(patch: Patch) -> None:
    patch.setattr(images, "PAUSED_FOR_PULL", frozenset())


@caught_by("JW-PULL-11", setting=REPEATING)
def a_repeated_pull_is_a_new_one(patch: Patch) -> None:
    patch.setattr(MemoryStore, "_claimed_before", lambda self, request: [])


@caught_by("JW-PULL-9", setting=LONELY)
def a_waiting_pull_is_never_told(patch: Patch) -> None:
    patch.setattr(waiters.Waiters, "wake", lambda self, name, count: None)


@caught_by("JW-PULL-9", setting=LONELY)
def a_word_that_comes_while_a_pull_looks_is_lost(patch: Patch) -> None:
    """The classic: look first, take a place among the waiters second."""
    wait = pulling.Waiter.wait

    async def deaf(self: pulling.Waiter, seconds: float) -> bool:
        self.told = False
        return await wait(self, seconds)

    patch.setattr(pulling.Waiter, "wait", deaf)
