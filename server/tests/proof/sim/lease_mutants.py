"""Faults of leases, and of how a change is made and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace
from tests.proof.sim.faults import FaultyStore
from tests.proof.sim.mutant import Mutants, Patch
from tests.proof.sim.setting import Setting

from jobwire_server.engine import decide
from jobwire_server.maintenance import Maintenance
from jobwire_server.model import Change, ClaimRequest, Job
from jobwire_server.store import images
from jobwire_server.store.base import Applied, ApplyOutcome
from jobwire_server.store.memory import MemoryStore

LATE_S = 0.05

# Runs in which little else happens than what the fault is about.
KILLED: Final = Setting(faults=("kill", "kill", "kill"))
STOPPED: Final = Setting(faults=("stall", "stall"))

LEASE_MUTANTS = Mutants()
caught_by = LEASE_MUTANTS.caught_by


# ── Leases ──


@caught_by("R5", "JW-LEASE-3")
def the_lease_is_not_compared(patch: Patch) -> None:
    speaks = decide._speaks_again
    patch.setattr(decide, "_speaks_again", lambda op, job, lease: speaks(op, job, None))


@caught_by("R4", "R5")
def a_claim_does_not_count_the_delivery(patch: Patch) -> None:
    leased = images.leased

    def same_delivery(job: Job, *more: Any) -> Job:
        return replace(leased(job, *more), delivery=max(job.delivery, 1))

    patch.setattr(images, "leased", same_delivery)


@caught_by("R16")
def an_expired_lease_is_not_taken_back(patch: Patch) -> None:
    patch.setattr(decide, "_overdue", lambda job, now, u: None)


@caught_by("R4", "JW-TIME-1")
def a_lease_ends_after_half_its_length(patch: Patch) -> None:
    leased = images.leased

    def half(job: Job, worker_id: str | None, lease_ms: int, now: int) -> Job:
        whole = leased(job, worker_id, lease_ms, now)
        ends = now + lease_ms // 2
        return replace(whole, lease_expires_at=ends, due_at=ends)

    patch.setattr(images, "leased", half)


@caught_by("R4", "JW-TIME-2")
def a_heartbeat_does_not_extend_the_lease(patch: Patch) -> None:
    heartbeat = decide.heartbeat

    def idle(job: Job, lease: str | None, lease_ms: int | None, now: int) -> decide.Decision:
        change = heartbeat(job, lease, lease_ms, now)
        assert isinstance(change, Change)
        kept = {"lease_expires_at": job.lease_expires_at, "due_at": job.due_at}
        return Change(replace(change.job, **kept), change.expect, change.children)

    patch.setattr(decide, "heartbeat", idle)


@caught_by("JW-TIME-1", setting=KILLED)
def no_grace_at_the_start(patch: Patch) -> None:
    async def start(self: Maintenance) -> None:
        """As though no time had passed."""

    patch.setattr(Maintenance, "start", start)


@caught_by("JW-TIME-1", setting=STOPPED)
def no_grace_after_a_stop(patch: Patch) -> None:
    patch.setattr(Maintenance, "_was_stopped", lambda self, last_run: False)


# ── Changes and their durability ──


@caught_by("R3", "R6", "R7")
def an_ack_is_answered_before_it_is_kept(patch: Patch) -> None:
    """The change is made a moment later, by the process that may be gone by then."""
    writing: set[asyncio.Task[Any]] = set()

    async def answered(self: Any, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        jobs = await self.get([change.job.id for change in changes])
        acks = all(change.children == "release" for change in changes)
        stale = any(j is None or j.revision != c.expect for j, c in zip(jobs, changes, strict=True))
        if stale or not acks:
            return await kept(self, changes, now)
        task = asyncio.ensure_future(_kept_late(self, changes, now))
        writing.add(task)
        task.add_done_callback(writing.discard)
        return [Applied(change.job) for change in changes]

    async def _kept_late(self: Any, changes: Sequence[Change], now: int) -> None:
        await asyncio.sleep(LATE_S)
        await kept(self, changes, now)

    async def kept(self: Any, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        outcomes: list[ApplyOutcome] = await self._carry_out("apply", (changes, now), {})
        return outcomes

    patch.setattr(FaultyStore, "apply", answered, raising=False)


@caught_by("R4", "R6", "R7", "R3", "R5")
def a_change_is_made_whatever_the_job_is_by_now(patch: Patch) -> None:
    """The comparison of compare-and-set is gone."""
    change = MemoryStore._change

    def forced(self: MemoryStore, wanted: Change, now: int) -> ApplyOutcome:
        known = self._jobs.get(wanted.job.id)
        expect = wanted.expect if known is None else known.revision
        return change(self, Change(wanted.job, expect, wanted.children), now)

    patch.setattr(MemoryStore, "_change", forced)


@caught_by("R4")
def a_claim_does_not_look_again_before_it_takes(patch: Patch) -> None:
    """Two claims at once choose the same jobs, and both take them."""
    claim = MemoryStore.claim

    async def racing(self: MemoryStore, request: ClaimRequest, now: int) -> list[Job]:
        before = {job.id: job for job in self._jobs.values() if job.state == "waiting"}
        jobs = await claim(self, request, now)
        for job in jobs:
            self._put(before.get(job.id, job))
        await asyncio.sleep(0.001)
        for job in jobs:
            self._put(job)
        return jobs

    patch.setattr(MemoryStore, "claim", racing)
