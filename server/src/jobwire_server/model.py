"""
The data of the domain: a job, a change of a job, the settings of a queue.

Rule 1: no behaviour beyond properties derived from the fields.
Rule 2: instants are whole milliseconds since the Unix epoch, durations whole milliseconds.
Rule 3: `data`, `result` and `metadata` are the user's JSON text, never parsed and never re-encoded here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

# How many bytes of jobs one claim or one page may have, unless the caller says (store/sizes.py has the measure).
ANSWER_BYTES: Final = 64 * 1024 * 1024


class JobState(StrEnum):
    """The states of spec/lifecycle.yaml, plus the store's own `removed`, which no answer ever shows."""

    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    ACTIVE = "active"
    COMPLETED = "completed"
    DLQ = "dlq"
    CANCELLED = "cancelled"
    REMOVED = (
        "removed"  # a tombstone: keeps id, delivery and settled_by for TOMBSTONE_MS (JW-DEL-2)
    )


TERMINAL = frozenset({JobState.COMPLETED, JobState.DLQ, JobState.CANCELLED, JobState.REMOVED})
UNFINISHED = frozenset(JobState) - TERMINAL

PauseMode = Literal["push", "pull", "both"]
OnConflict = Literal["reject", "ignore", "replace"]


class JobError(msgspec.Struct, frozen=True):
    """One entry of a job's error history (JW-FAIL-5)."""

    attempt: int
    at: int
    kind: str  # error | timeout | lease_expired
    message: str
    worker_id: str | None = None


class LogLine(msgspec.Struct, frozen=True):
    """One progress message (JW-PROG-3)."""

    at: int
    message: str


class Job(msgspec.Struct, frozen=True, gc=False):
    """
    A job as the store keeps it. The order of the fields is the order of the store's columns.

    Fields up to `depth` are set by the push and never change, except where lifecycle.yaml's retry says so.
    """

    # --- set by the push ---
    id: str
    queue: str
    name: str
    data: bytes
    created_at: int
    priority: int = 0
    max_attempts: int = 3
    backoff: str = "exponential"
    backoff_delay_ms: int = 1000
    backoff_schedule_ms: tuple[int, ...] = ()
    backoff_max_ms: int = 3_600_000
    jitter: float = 0.0
    ttl_ms: int | None = None
    timeout_ms: int | None = None
    unique_key: str | None = None
    unique_for_ms: int | None = None
    tags: tuple[str, ...] = ()
    group_id: str | None = None
    flow_id: str | None = None
    custom_id: str | None = None
    metadata: bytes | None = None
    depends_on: tuple[str, ...] = ()
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    # --- set by the store when it inserts: how deep in its dependency graph, how many parents are unfinished ---
    depth: int = 0
    pending_parents: int = 0
    # --- changed by every transition ---
    state: str = "waiting"
    revision: int = 0  # raised by one by each change; what a Change is compared with
    run_at: int = 0  # the ready time
    position: int = 0  # place among equals of one priority: run_at, or -run_at for lifo
    due_at: int | None = None  # the next instant at which time alone changes this job
    updated_at: int = 0
    reason: str | None = None
    attempt: int = 0
    last_error: str | None = None
    errors: tuple[JobError, ...] = ()
    progress: int | None = None
    logs: tuple[LogLine, ...] = ()
    result: bytes | None = None
    completed_at: int | None = None
    finished_at: int | None = None  # when it became terminal; retention counts from here
    # --- the lease ---
    delivery: int = 0
    lease_ms: int | None = None
    lease_expires_at: int | None = None
    started_at: int | None = None
    last_heartbeat: int | None = None
    worker_id: str | None = None
    cancel_requested_at: int | None = None
    settled_by: str | None = None  # how the last lease ended; None while it lives

    @property
    def expires_at(self) -> int | None:
        """When ttl_ms ends the wait of this job; None without a ttl."""
        return None if self.ttl_ms is None else self.created_at + self.ttl_ms

    @property
    def timeout_at(self) -> int | None:
        """When timeout_ms ends the running attempt; None without a timeout or before the first pull."""
        if self.timeout_ms is None or self.started_at is None:
            return None
        return self.started_at + self.timeout_ms

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL

    @property
    def unique_until(self) -> int:
        """Until when a finished job still holds its unique_key; 0 when it does not."""
        return 0 if self.unique_for_ms is None else self.created_at + self.unique_for_ms


# What the end of a parent does to the jobs that depend on it.
Children = Literal["none", "release", "fail"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """
    If the job is still at revision `expect`, make it `job` (JW-JOB-4, ADR 0002).

    `job` is the whole after-image, its revision one higher than `expect`. `children` says what the store
    does to dependents in the same transaction, through the resolver that it was opened with.
    """

    job: Job
    expect: int
    children: Children = "none"


class PushItem(msgspec.Struct, frozen=True, gc=False):
    """A job to insert and what to do when its unique key is taken."""

    job: Job
    on_conflict: OnConflict = "reject"


class QueueSettings(msgspec.Struct, frozen=True):
    """What a person set for a queue; None means the server's default."""

    name: str
    paused: PauseMode | None = None
    lease_ms: int | None = None
    max_length: int | None = None
    retention_completed_ms: int | None = None
    retention_dlq_ms: int | None = None
    retention_cancelled_ms: int | None = None


class QueueInfo(msgspec.Struct, frozen=True):
    """A queue as seen from outside: settings and the number of jobs in each state (absent = 0)."""

    settings: QueueSettings
    counts: dict[str, int]


class JobFilter(msgspec.Struct, frozen=True):
    """What find() looks for; None or empty means any. Times are inclusive below, exclusive above."""

    queue: str | None = None
    states: tuple[str, ...] = ()
    name: str | None = None
    tag: str | None = None
    group_id: str | None = None
    flow_id: str | None = None
    custom_id: str | None = None
    created_after: int | None = None
    created_before: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Jobs newest first, and the cursor of the next page (None at the end; a page may be short of its limit)."""

    jobs: list[Job]
    next_cursor: str | None


class Standing(msgspec.Struct, frozen=True):
    """Which job stands in a state, and since when: `entered_at` is run_at, or finished_at of a finished job."""

    id: str
    entered_at: int


class ClaimRequest(msgspec.Struct, frozen=True):
    """
    What a pull asks of the store; `queues` are tried in order.

    `max_bytes` bounds what the claimed jobs take in an answer, as store/sizes.py measures it.
    """

    queues: tuple[str, ...]
    count: int
    default_lease_ms: int
    lease_ms: int | None = None
    names: tuple[str, ...] = ()
    worker_id: str | None = None
    request_id: str | None = None
    max_bytes: int = ANSWER_BYTES
