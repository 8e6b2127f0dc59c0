"""The Job object as clients see it: the only encoder of a job. The order of the fields is RustQueue's, then ours."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from jobwire_server.model import Job, JobState
from jobwire_server.wire.spelling import rfc3339


class LogView(Struct, gc=False):
    timestamp: str
    message: str


class ErrorView(Struct, gc=False):
    attempt: int
    at: str
    kind: str
    message: str
    worker_id: str | None


class JobView(Struct, gc=False):
    """`metadata` is left out when it was not set, `lease` everywhere but in a pull's answer."""

    id: str
    custom_id: str | None
    name: str
    queue: str
    data: Raw
    result: Raw | None
    state: str
    progress: int | None
    logs: list[LogView]
    priority: int
    delay_until: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    max_attempts: int
    attempt: int
    backoff: str
    backoff_delay_ms: int
    last_error: str | None
    ttl_ms: int | None
    timeout_ms: int | None
    unique_key: str | None
    tags: tuple[str, ...]
    group_id: str | None
    metadata: Raw | UnsetType
    depends_on: tuple[str, ...]
    flow_id: str | None
    lifo: bool
    remove_on_complete: bool
    remove_on_fail: bool
    worker_id: str | None
    last_heartbeat: str | None
    # --- beyond RustQueue ---
    run_at: str
    delivery: int
    lease_expires_at: str | None
    errors: list[ErrorView]
    reason: str | None
    cancel_requested_at: str | None
    backoff_schedule_ms: tuple[int, ...]
    backoff_max_ms: int
    jitter: float
    unique_for_ms: int | None
    lease: str | UnsetType = UNSET


_NULL = Raw(b"null")


def view(job: Job, lease: str | UnsetType = UNSET) -> JobView:
    """The job as it is sent; `lease` for a pull."""
    held_back = job.state == JobState.DELAYED or (
        job.state == JobState.BLOCKED and job.run_at > job.created_at
    )
    return JobView(
        job.id,
        job.custom_id,
        job.name,
        job.queue,
        Raw(job.data),
        _NULL if job.result is None else Raw(job.result),
        job.state,
        job.progress,
        [LogView(rfc3339(line.at), line.message) for line in job.logs] if job.logs else [],
        job.priority,
        rfc3339(job.run_at) if held_back else None,
        rfc3339(job.created_at),
        rfc3339(job.updated_at),
        _instant(job.started_at),
        _instant(job.completed_at),
        job.max_attempts,
        job.attempt,
        job.backoff,
        job.backoff_delay_ms,
        job.last_error,
        job.ttl_ms,
        job.timeout_ms,
        job.unique_key,
        job.tags,
        job.group_id,
        UNSET if job.metadata is None else Raw(job.metadata),
        job.depends_on,
        job.flow_id,
        job.lifo,
        job.remove_on_complete,
        job.remove_on_fail,
        job.worker_id,
        _instant(job.last_heartbeat if job.state == JobState.ACTIVE else None),
        rfc3339(job.run_at),
        job.delivery,
        _instant(job.lease_expires_at),
        [ErrorView(e.attempt, rfc3339(e.at), e.kind, e.message, e.worker_id) for e in job.errors]
        if job.errors
        else [],
        job.reason,
        _instant(job.cancel_requested_at),
        job.backoff_schedule_ms,
        job.backoff_max_ms,
        job.jitter,
        job.unique_for_ms,
        lease,
    )


def _instant(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)
