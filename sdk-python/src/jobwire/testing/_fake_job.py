"""
The data of the fake server: one job, and what the wire shows of it.

Rule 1: no behaviour beyond what follows from the fields.
Rule 2: instants are whole milliseconds since the Unix epoch, durations whole milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from jobwire import _instants

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
FINISHED: Final = frozenset({"completed", "dlq", "cancelled", "removed"})

# What the wire calls a time is kept as milliseconds and shown as RFC 3339 text.
_INSTANTS: Final = (
    "run_at",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "last_heartbeat",
    "lease_expires_at",
    "cancel_requested_at",
)
_SHOWN: Final = (
    "id",
    "custom_id",
    "name",
    "queue",
    "data",
    "result",
    "state",
    "reason",
    "progress",
    "priority",
    "max_attempts",
    "attempt",
    "delivery",
    "backoff",
    "backoff_delay_ms",
    "backoff_schedule_ms",
    "backoff_max_ms",
    "jitter",
    "last_error",
    "ttl_ms",
    "timeout_ms",
    "unique_key",
    "unique_for_ms",
    "tags",
    "group_id",
    "flow_id",
    "depends_on",
    "lifo",
    "remove_on_complete",
    "remove_on_fail",
    "worker_id",
)


class Refused(Exception):  # noqa: N818 - an answer, told as an error by the doors
    """An error with a code of spec/errors.yaml; `status` only where it is not the first one of the code."""

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        status: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        self.retry_after_ms = retry_after_ms


@dataclass(slots=True)
class FakeJob:
    """A job as the fake keeps it; every field of the wire's Job, and what the queue needs besides."""

    # --- set by the push ---
    id: str
    queue: str
    name: str
    created_at: int
    data: Any
    sequence: int
    priority: int = 0
    max_attempts: int = 3
    backoff: str = "exponential"
    backoff_delay_ms: int = 1000
    backoff_schedule_ms: list[int] = field(default_factory=list)
    backoff_max_ms: int = 3_600_000
    jitter: float = 0.0
    ttl_ms: int | None = None
    timeout_ms: int | None = None
    unique_key: str | None = None
    unique_for_ms: int | None = None
    tags: list[str] = field(default_factory=list)
    group_id: str | None = None
    flow_id: str | None = None
    custom_id: str | None = None
    metadata: Any = None
    depends_on: list[str] = field(default_factory=list)
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    # --- changed by transitions ---
    state: str = "waiting"
    run_at: int = 0
    updated_at: int = 0
    reason: str | None = None
    attempt: int = 0
    last_error: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    progress: int | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)
    result: Any = None
    completed_at: int | None = None
    finished_at: int | None = None
    depth: int = 0
    pending_parents: int = 0
    # --- the lease ---
    delivery: int = 0
    lease_ms: int = 0
    lease_expires_at: int | None = None
    started_at: int | None = None
    last_heartbeat: int | None = None
    worker_id: str | None = None
    cancel_requested_at: int | None = None
    settled_by: str | None = None
    owner: Any = None  # the TCP session that pulled it and hears its notices; None over HTTP

    @property
    def lease(self) -> str:
        """What the worker of the last delivery shows; opaque to everyone else."""
        return f"{self.delivery:x}-{self.id[-12:]}"

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def is_held_back(self) -> bool:
        """Whether its ready time is still to come (JW-JOB-7)."""
        delayed = self.state == "blocked" and self.run_at > self.created_at
        return self.state == "delayed" or delayed

    @property
    def order(self) -> tuple[int, int, int]:
        """The place in its queue: priority, then ready time (lifo ahead, newest first), then acceptance."""
        return (-self.priority, -self.run_at if self.lifo else self.run_at, self.sequence)

    @property
    def timeout_at(self) -> int | None:
        if self.timeout_ms is None or self.started_at is None:
            return None
        return self.started_at + self.timeout_ms

    @property
    def expires_at(self) -> int | None:
        return None if self.ttl_ms is None else self.created_at + self.ttl_ms

    @property
    def due_at(self) -> int | None:
        """The next instant at which time alone changes this job."""
        candidates: dict[str, tuple[int | None, ...]] = {
            "waiting": (self.expires_at,),
            "delayed": (self.run_at, self.expires_at),
            "active": (self.lease_expires_at, self.timeout_at),
        }
        instants = [at for at in candidates.get(self.state, ()) if at is not None]
        return min(instants, default=None)


def instant_text(at: int | None) -> str | None:
    """RFC 3339 in UTC with milliseconds; None stays None."""
    if at is None:
        return None
    return (EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_instant(text: str) -> int:
    """The milliseconds of an RFC 3339 text; ValueError where it is none or has no offset."""
    return (_instants.parse_instant(text) - EPOCH) // timedelta(milliseconds=1)


def job_view(job: FakeJob, *, lease: bool = False) -> dict[str, Any]:
    """The Job object of the wire; `lease` only in the answer of a pull."""
    view: dict[str, Any] = {name: getattr(job, name) for name in _SHOWN}
    view.update({name: instant_text(getattr(job, name)) for name in _INSTANTS})
    if job.state != "active":
        view["last_heartbeat"] = None
    view["delay_until"] = instant_text(job.run_at) if job.is_held_back else None
    view["logs"] = [{"timestamp": instant_text(x["at"]), "message": x["message"]} for x in job.logs]
    view["errors"] = [{**entry, "at": instant_text(entry["at"])} for entry in job.errors]
    if job.metadata is not None:
        view["metadata"] = job.metadata
    if lease:
        view["lease"] = job.lease
    return view


def job_not_found(job_id: str) -> Refused:
    return Refused("JOB_NOT_FOUND", f"Job '{job_id}' not found", {"id": job_id})


def lease_lost(job: FakeJob) -> Refused:
    message = f"The lease on job '{job.id}' is over (the job is {job.state}); drop the result"
    return Refused("LEASE_LOST", message, {"id": job.id, "state": job.state})


def invalid_state(job: FakeJob, expected: str) -> Refused:
    state = job.state.capitalize()
    message = f"Job is in invalid state '{state}' for operation (expected: {expected})"
    return Refused(
        "INVALID_STATE", message, {"id": job.id, "state": job.state, "expected": expected}
    )


def invalid(pointer: str, message: str, *, status: int = 400, **details: Any) -> Refused:
    """A value that breaks a rule (400), or a field of the wrong shape (422)."""
    text = f"Validation error: {message}"
    return Refused("VALIDATION_ERROR", text, {"pointer": pointer, **details}, status=status)
