"""
The seam to storage. A store makes changes durable and finds jobs; it never decides what should happen to one.

Rule 1: every verb is atomic and complete. There is no get-modify-put.
Rule 2: a verb returns only after its effect is as durable as the store's `durability` says.
Rule 3: what the store cannot know (a race lost, a key taken) comes back as data; exceptions are for storage that fails:
        StoreFull (pushes answer 507, nothing was kept) and StoreFailed (final).

The docstrings here are the contract that server/tests/store/contract.py checks for every backend.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from jobwire_server.model import (
    ANSWER_BYTES,
    Change,
    ClaimRequest,
    Job,
    JobFilter,
    Page,
    PushItem,
    QueueInfo,
    QueueSettings,
    Standing,
)

# --- what can become of a pushed job ---------------------------------------------------------------------------


class Inserted(msgspec.Struct, frozen=True, gc=False):
    """
    The job is in the store; `job` has its depth, pending_parents and state as stored.

    `replaced` was cancelled for it, and `children` are the after-images of the dependents of `replaced` that went along.
    """

    job: Job
    replaced: Job | None = None
    children: tuple[Job, ...] = ()


class Existing(msgspec.Struct, frozen=True):
    """Nothing was inserted: a job with this id and payload, or with this unique key and on_conflict ignore, is there."""

    job: Job


class IdTaken(msgspec.Struct, frozen=True):
    """A job with this id has another queue, name or data."""

    job: Job


class KeyTaken(msgspec.Struct, frozen=True):
    """The unique key is held by the job `existing_id`."""

    existing_id: str


class QueueIsFull(msgspec.Struct, frozen=True):
    limit: int


class QueueIsPaused(msgspec.Struct, frozen=True):
    mode: str


class ParentMissing(msgspec.Struct, frozen=True):
    """depends_on[index] names no job of the store or of the batch."""

    index: int
    parent_id: str


class ParentEnded(msgspec.Struct, frozen=True):
    """depends_on[index] is dlq or cancelled, so it can never complete."""

    index: int
    parent_id: str
    state: str


class TooDeep(msgspec.Struct, frozen=True):
    limit: int


Refusal = IdTaken | KeyTaken | QueueIsFull | QueueIsPaused | ParentMissing | ParentEnded | TooDeep
InsertOutcome = Inserted | Existing | Refusal

# --- what can become of a change -------------------------------------------------------------------------------


class Applied(msgspec.Struct, frozen=True):
    """
    The job is now `job`.

    `children` are the after-images of the dependents that changed with it, in the order in which they were changed.
    """

    job: Job
    children: tuple[Job, ...] = ()


class Stale(msgspec.Struct, frozen=True):
    """Someone was first: the job is not at the expected revision. `current` is what it is now, None when there is none."""

    current: Job | None


ApplyOutcome = Applied | Stale | KeyTaken

# Given a dependent and the after-image of the parent that finished: what the dependent becomes.
# Pure; app.py passes engine.flows.resolve_child. The dependent may be in any state; the answer may leave it there.
ChildResolver = Callable[[Job, Job, int], Change | None]


class Store(Protocol):
    """About twenty verbs. `now` is always the caller's clock, in ms."""

    # --- lifecycle ---

    async def open(self, now: int) -> None:
        """
        Make ready: take ownership, migrate, check, load counts and settings.

        Raises StoreInUse or StoreUnusable. Does not touch leases: the caller then calls grace().
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything. Idempotent."""
        ...

    async def check(self) -> None:
        """Prove that the store can write (readiness). Raises StoreFull or StoreFailed."""
        ...

    @property
    def durability(self) -> str:
        """fsync | os-crash-loss | memory, as verified at open, not as configured."""
        ...

    @property
    def is_full(self) -> bool:
        """True while the disk is full and pushes are refused."""
        ...

    # --- jobs ---

    async def insert(
        self, items: Sequence[PushItem], *, atomic: bool, now: int
    ) -> list[InsertOutcome]:
        """
        Insert jobs, in order, in one transaction; one outcome an item, in order.

        A parent in the same call must come before its children. Checks, first hit wins: same id → Existing (same queue,
        name and data; a tombstone counts as the same) or IdTaken; queue paused for pushes; unique key; queue length;
        parents. Sets depth (1 + the deepest parent, 0 without), pending_parents (parents not completed), and, where
        that is above 0, state blocked and due_at None.
        on_conflict replace cancels the holder of the key when it is waiting, delayed or blocked (reason replaced, its
        dependents resolved) and inserts; otherwise it is KeyTaken.
        A repeat of an id within the call answers like a repeat of an earlier call.
        With `atomic`, one Refusal means that nothing at all is inserted; the items that were not refused then answer with
        what they would have been, and the caller must look for refusals first.
        """
        ...

    def claim(self, request: ClaimRequest, now: int) -> Awaitable[list[Job]]:
        """
        Take up to `count` waiting jobs and start a lease on each, in one transaction.

        Queues in the order given; within one: priority descending, position ascending, order of acceptance. Skips queues paused
        for pulls, jobs past their ttl, and names not in `names` when given. Each job gets: state active, delivery + 1,
        started_at = updated_at = now, lease_ms (the request's, else the queue's, else the default), lease_expires_at,
        worker_id, last_heartbeat None, settled_by None, progress kept, due_at = the earlier of lease_expires_at and timeout_at.
        Stops before the first job with which all of them would take more than `max_bytes` (sizes.answer_bytes); that one is left as it was,
        and so is what stands behind it, also in other queues. The first job is taken however large it is. Memory: no more than these bytes and
        a part of the queue's front.
        With request_id: if an earlier claim with the same one took jobs that are still active at that delivery, exactly those are
        answered again and nothing is claimed. Remembered until five minutes after the last of those leases could have ended.
        A backend with group commit submits the claim when it is called, before the answer is awaited: together with an insert that is submitted
        next, it can take what that inserts.
        """
        ...

    async def apply(self, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        """
        Make each change whose job is still at `expect`, all in one transaction; one outcome a change, in order.

        Changes are independent of each other: one that is stale does not hold up the rest. A change to a finished state frees the
        unique key unless unique_until is later; a change from a finished to an unfinished state takes it again, and is
        KeyTaken, with no effect, when another job has it. `children` of the change: release or fail → every dependent goes
        through the resolver, recursively, in the same transaction; a parent that completes is counted off at its dependents
        whatever their state. A change to state removed drops data, result, metadata, errors and logs.
        """
        ...

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        """The jobs with these ids, in order, tombstones (state removed) included; None where there is none."""
        ...

    async def find(
        self,
        wanted: JobFilter,
        *,
        limit: int,
        cursor: str | None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Page:
        """
        Jobs that match, newest first by order of acceptance (dead letters of one queue alone: by finished_at, newest first).

        Examines a bounded number of rows a call, so a page may be short, even empty, and still have a cursor. Ends before the first job with
        which the page would take more than `max_bytes` (sizes.answer_bytes), and then begins the next page with it; a page that found a job has
        at least one. Never shows tombstones.
        An unknown cursor raises ValueError.
        """
        ...

    async def oldest(self, queue: str, state: str, limit: int) -> list[Standing]:
        """
        Which jobs of a queue entered a state first, oldest first: by finished_at when finished, else by run_at. Reads no payloads.
        """
        ...

    # --- time ---

    async def due(self, now: int, limit: int) -> list[Job]:
        """Up to `limit` jobs with due_at <= now, earliest first."""
        ...

    async def next_due(self) -> int | None:
        """The earliest due_at of all jobs; None when there is none."""
        ...

    async def grace(self, now: int, shift: int = 0) -> int:
        """
        Give every active job time to be heard of: lease_expires_at at least now + lease_ms, due_at at least that. With `shift`
        (a clock that was set), move lease_expires_at, started_at and due_at of active jobs by it instead. Returns how many.
        """
        ...

    async def prune(self, queue: str, state: str, before: int, limit: int) -> int:
        """Delete up to `limit` jobs of this finished state with finished_at < before; how many."""
        ...

    async def sweep(self, now: int, tombstone_ms: int, limit: int) -> int:
        """Forget old tombstones, unique keys whose window is over, and claims whose leases are over; how many rows."""
        ...

    # --- queues ---

    def queues(self) -> Mapping[str, QueueInfo]:
        """Every queue that holds a job or has settings, as last committed. From memory, no waiting."""
        ...

    def queue(self, name: str) -> QueueInfo:
        """One queue, as last committed; an unknown one has defaults and no counts."""
        ...

    async def set_queue(self, name: str, fields: Mapping[str, Any]) -> QueueSettings:
        """
        Set the named fields of a queue's settings (None: back to the default) and leave the others; the settings after it.

        Atomic: two calls that set different fields both last. Settings that are all default need no row.
        """
        ...

    def backlog(self, queue: str) -> int:
        """How many jobs of this queue wait, as last committed; 0 when it is paused for pulls. From memory."""
        ...
