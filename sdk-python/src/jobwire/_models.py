"""
What the client takes and gives: jobs, results, queues. Plain immutable data, no I/O.

Rule 1: durations are float seconds, instants aware UTC datetimes, ids opaque strings.
Rule 2: a newer server's unknown fields are passed over and its unknown states stay strings; nothing here breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobwire._error_codes import TERMINAL_STATES
from jobwire._errors import JobwireError, from_response
from jobwire._instants import parse_instant, to_ms
from jobwire._strict_json import JobObject, JSONValue, dumps, raw_member

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")


class Unset(Enum):
    """The type of UNSET: an argument that was not given, where None means something."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


class JobState(str, Enum):
    """The states of spec/lifecycle.yaml."""

    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    ACTIVE = "active"
    COMPLETED = "completed"
    DLQ = "dlq"
    CANCELLED = "cancelled"

    def __str__(self) -> str:
        return self.value


_STATES: Final[Mapping[str, JobState]] = {state.value: state for state in JobState}


def parse_state(text: str) -> JobState | str:
    """The state named *text*; a state that this version does not know stays a string."""
    return _STATES.get(text, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """One entry of a job's error history. `kind` is error, timeout or lease_expired."""

    attempt: int
    at: datetime | None
    kind: str
    message: str
    worker_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One progress message."""

    at: datetime | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A job as the server answered it; a snapshot, which does not change with the job.

    `data`, `result` and `metadata` are parsed JSON; `raw_data` is the text as it was pushed. `attempt` counts failed
    tries, `delivery` counts leases. `lease` is set on pulled jobs only, and every method that speaks for a
    pulled job sends it by itself.
    """

    id: str
    queue: str = ""
    name: str = ""
    data: JSONValue = None
    state: JobState | str = JobState.WAITING
    priority: int = 0
    attempt: int = 0
    max_attempts: int = 3
    delivery: int = 0
    lease: str | None = field(default=None, repr=False)
    lease_expires_at: datetime | None = None
    run_at: datetime | None = None
    delay_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    last_heartbeat: datetime | None = None
    cancel_requested_at: datetime | None = None
    reason: str | None = None
    last_error: str | None = None
    errors: tuple[JobFailure, ...] = ()
    logs: tuple[LogLine, ...] = ()
    progress: int | None = None
    result: JSONValue = None
    metadata: JSONValue = None
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    group_id: str | None = None
    flow_id: str | None = None
    custom_id: str | None = None
    unique_key: str | None = None
    unique_for: float | None = None
    backoff: str = "exponential"
    backoff_delay: float = 1.0
    backoff_schedule: tuple[float, ...] = ()
    backoff_max: float = 3600.0
    jitter: float = 0.0
    ttl: float | None = None
    timeout: float | None = None
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    worker_id: str | None = None
    text: str = field(default="", repr=False, compare=False)  # the object as the server sent it

    def __hash__(self) -> int:
        return hash((self.id, self.delivery))

    @property
    def raw_data(self) -> str:
        """The JSON text of `data`, verbatim: number spellings and key order as they were pushed."""
        found = raw_member(self.text, "data") if self.text else None
        return dumps(self.data).decode() if found is None else found

    @property
    def raw_result(self) -> str:
        """The JSON text of `result`, verbatim; `null` when there is none."""
        found = raw_member(self.text, "result") if self.text else None
        return dumps(self.result).decode() if found is None else found

    @property
    def is_finished(self) -> bool:
        """Whether the job has ended: completed, dlq or cancelled."""
        return str(self.state) in TERMINAL_STATES

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Job:
        """The job of an answer's object."""
        values: dict[str, Any] = {}
        for name, (key, convert) in _JOB_FIELDS.items():
            value = wire.get(key)
            if value is not None:
                values[name] = value if convert is None else convert(value)
        text = wire.text if isinstance(wire, JobObject) else ""
        return cls(id=str(wire["id"]), text=text, **values)


def _seconds(ms: float) -> float:
    return ms / 1000


def _parse_failure(wire: Mapping[str, Any]) -> JobFailure:
    return JobFailure(
        attempt=int(wire.get("attempt") or 0),
        at=_instant(wire.get("at")),
        kind=str(wire.get("kind") or "error"),
        message=str(wire.get("message") or ""),
        worker_id=wire.get("worker_id"),
    )


def _parse_log(wire: Mapping[str, Any]) -> LogLine:
    return LogLine(at=_instant(wire.get("timestamp")), message=str(wire.get("message") or ""))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def _each(parse: Callable[[Any], T]) -> Callable[[Sequence[Any]], tuple[T, ...]]:
    return lambda items: tuple(parse(item) for item in items)


_Convert = Callable[[Any], Any]

# Field → (member on the wire, conversion). A member that is absent or null leaves the field's default.
_JOB_FIELDS: Final[Mapping[str, tuple[str, _Convert | None]]] = {
    **{
        name: (name, None)
        for name in (
            "queue",
            "name",
            "data",
            "priority",
            "attempt",
            "max_attempts",
            "delivery",
            "lease",
            "reason",
            "last_error",
            "progress",
            "result",
            "metadata",
            "group_id",
            "flow_id",
            "custom_id",
            "unique_key",
            "backoff",
            "jitter",
            "lifo",
            "remove_on_complete",
            "remove_on_fail",
            "worker_id",
        )
    },
    **{
        name: (name, parse_instant)
        for name in (
            "lease_expires_at",
            "run_at",
            "delay_until",
            "created_at",
            "updated_at",
            "started_at",
            "completed_at",
            "last_heartbeat",
            "cancel_requested_at",
        )
    },
    **{
        name: (f"{name}_ms", _seconds)
        for name in ("unique_for", "backoff_delay", "backoff_max", "ttl", "timeout")
    },
    "backoff_schedule": ("backoff_schedule_ms", _each(_seconds)),
    "state": ("state", parse_state),
    "tags": ("tags", tuple),
    "depends_on": ("depends_on", tuple),
    "errors": ("errors", _each(_parse_failure)),
    "logs": ("logs", _each(_parse_log)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushItem:
    """
    One job of a `push_batch`; the fields are the arguments of `push`.

    Durations are float seconds. `id` is made by the client when it is left out, so that the batch can be repeated.
    """

    name: str
    data: JSONValue = None
    id: str | None = None
    priority: int | None = None
    delay: float | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    backoff: str | None = None
    backoff_delay: float | None = None
    backoff_schedule: Sequence[float] | None = None
    backoff_max: float | None = None
    jitter: float | None = None
    ttl: float | None = None
    timeout: float | None = None
    unique_key: str | None = None
    unique_for: float | None = None
    on_conflict: str | None = None
    tags: Sequence[str] | None = None
    group_id: str | None = None
    lifo: bool | None = None
    remove_on_complete: bool | None = None
    remove_on_fail: bool | None = None
    custom_id: str | None = None
    metadata: JSONValue = None
    depends_on: Sequence[str] | None = None
    flow_id: str | None = None


@dataclass(frozen=True, slots=True)
class FailItem:
    """One failure of a `fail_batch`; the fields are the arguments of `fail`."""

    job: Job | str
    error: str | BaseException
    retry_in: float | None = None
    discard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """
    The job that a push made or found.

    `outcome` is `created`, `existing` (this id was pushed before, or the unique key is held and on_conflict is
    ignore) or `replaced`.
    """

    id: str
    outcome: str = "created"

    @property
    def created(self) -> bool:
        """Whether this push put a new job in the queue."""
        return self.outcome != "existing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """
    What became of one item of a batch: `ok`, or `error`.

    `already` is True when the same lease had settled the job the same way before. `retry` and `next_attempt_at` are
    those of a FailResult; `lease_expires_at` and `cancelled` those of a HeartbeatResult.
    """

    id: str
    ok: bool
    already: bool = False
    error: JobwireError | None = None
    outcome: str | None = None
    state: JobState | str | None = None
    retry: bool | None = None
    next_attempt_at: datetime | None = None
    lease_expires_at: datetime | None = None
    cancelled: bool = False

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> ItemResult:
        ok = wire["ok"] is True
        return cls(
            id=str(wire.get("id") or ""),
            ok=ok,
            already=wire.get("already") is True,
            error=None if ok else from_response(wire.get("error")),
            outcome=wire.get("outcome"),
            state=None if wire.get("state") is None else parse_state(str(wire["state"])),
            retry=wire.get("retry", wire.get("will_retry")),
            next_attempt_at=_instant(wire.get("next_attempt_at")),
            lease_expires_at=_instant(wire.get("lease_expires_at")),
            cancelled=wire.get("cancelled") is True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailResult:
    """What a fail led to. `next_attempt_at` is None when the job is ready at once, or will not be tried again."""

    retry: bool
    next_attempt_at: datetime | None = None
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateResult:
    """The state a job is in after release, cancel, retry or promote; `already` when the call changed nothing."""

    state: JobState | str
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatResult:
    """The lease's new end; `cancelled` when the job is asked to stop."""

    lease_expires_at: datetime | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatBatchResult:
    """
    An outcome per item, in order, and what the worker should know.

    `lost` and `cancelled` are ids of jobs; `deaf` is True when the server has work for this worker, which has free
    slots and does not ask.
    """

    results: tuple[ItemResult, ...] = ()
    lost: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    deaf: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """What a dead-letter operation did: how many, each one's outcome, and how many dead letters remain."""

    count: int
    results: tuple[ItemResult, ...] = ()
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """Jobs by state. `failed` is always 0; RustQueue's clients expect it."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    completed: int = 0
    failed: int = 0
    dlq: int = 0
    blocked: int = 0
    cancelled: int = 0

    @classmethod
    def parse(cls, wire: Mapping[str, Any] | None) -> QueueCounts:
        known = wire or {}
        return cls(**{name: int(known.get(name) or 0) for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """Counts of a queue, its pause mode (None when it runs), and the age in seconds of its oldest waiting job."""

    counts: QueueCounts
    paused: str | None = None
    oldest_waiting: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """
    A queue, and what was set for it; None means the server's default.

    `list_queues` fills `name`, `counts` and `paused` only. Durations are seconds.
    """

    name: str
    counts: QueueCounts = QueueCounts()
    paused: str | None = None
    oldest_waiting: float | None = None
    lease: float | None = None
    max_length: int | None = None
    retention_completed: float | None = None
    retention_dlq: float | None = None
    retention_cancelled: float | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> QueueInfo:
        known = {**wire, **(wire.get("settings") or {})}
        return cls(
            name=str(wire["name"]),
            counts=QueueCounts.parse(wire.get("counts")),
            paused=known.get("paused"),
            oldest_waiting=optional_seconds(known.get("oldest_waiting_ms")),
            lease=optional_seconds(known.get("lease_ms")),
            max_length=known.get("max_length"),
            retention_completed=optional_seconds(known.get("retention_completed_ms")),
            retention_dlq=optional_seconds(known.get("retention_dlq_ms")),
            retention_cancelled=optional_seconds(known.get("retention_cancelled_ms")),
        )


def optional_seconds(ms: float | None) -> float | None:
    """Milliseconds of the wire as seconds; None stays None."""
    return None if ms is None else ms / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some jobs, and where the next page starts. Fewer jobs than asked for, even none, do not mean the end."""

    jobs: tuple[Job, ...] = ()
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The jobs of a flow, oldest first, at most 1,000; `summary` counts all of them by state."""

    flow_id: str
    jobs: tuple[Job, ...] = ()
    summary: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker as the server sees it. `state` is alive, quiet, deaf or lost."""

    id: str
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    free: int | None = None
    held: int = 0
    state: str = "alive"
    client: str | None = None
    transport: str | None = None
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    last_pull_at: datetime | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> WorkerInfo:
        return cls(
            id=str(wire["id"]),
            queues=tuple(wire.get("queues") or ()),
            concurrency=wire.get("concurrency"),
            free=wire.get("free"),
            held=int(wire.get("held") or 0),
            state=str(wire.get("state") or "alive"),
            client=wire.get("client"),
            transport=wire.get("transport"),
            first_seen_at=_instant(wire.get("first_seen_at")),
            last_seen_at=_instant(wire.get("last_seen_at")),
            last_pull_at=_instant(wire.get("last_pull_at")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """
    What a worker tells of itself with its heartbeats.

    `state` is running or quiet, `free` the slots that wait for a job, `last_pull` the seconds since it last asked.
    """

    id: str
    queues: Sequence[str] = ()
    concurrency: int | None = None
    free: int | None = None
    state: str = "running"
    last_pull: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """The object of spec/wire.yaml; what is None is left out."""
        wire = {
            "id": self.id,
            "queues": list(self.queues),
            "concurrency": self.concurrency,
            "free": self.free,
            "state": self.state,
            "last_pull_ms": None if self.last_pull is None else to_ms(self.last_pull, "last_pull"),
        }
        return {key: value for key, value in wire.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    The server's state. `status` is healthy, degraded or draining; `durability` what an acknowledged push survives:
    `fsync` (a power cut), `os-crash-loss` (a killed process), `memory` (nothing). `uptime` is in seconds.
    """

    status: str
    version: str = ""
    uptime: float = 0.0
    durability: str = ""
    storage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the server can do: its name and version, wire versions, capabilities, limits and defaults (in wire units)."""

    name: str = ""
    version: str = ""
    wire: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
