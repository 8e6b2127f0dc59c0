"""Faults in what time does to a job that a worker has."""

from __future__ import annotations

from typing import Any

from jobwire_server.engine import decide
from jobwire_server.model import Job
from jobwire_server.store import images
from msgspec.structs import replace

from conformance.mutants.changes import with_members
from conformance.mutants.fault import around, fault, put

# --- time ---------------------------------------------------------------------------------------------------------------


@fault("JW-LEASE-8")
def lost_lease_costs_no_attempt() -> None:
    """A job whose lease has run out is tried as often as if that had not happened."""

    def free(original: Any, job: Job, *args: Any) -> Any:
        return with_members(original(job, *args), attempt=job.attempt)

    around(decide, "_overdue", free)


@fault("JW-LEASE-9")
def poison_is_not_named() -> None:
    """A job that took all its workers down is a dead letter as any other."""

    def plain(original: Any, *args: Any, reason: str | None = None, **fields: Any) -> Any:
        return original(*args, reason="failed" if reason == "poison" else reason, **fields)

    around(decide, "_finished", plain)


@fault("LEASETIME-003", "JW-LEASE-2")
def lease_has_the_default_length() -> None:
    """lease_ms of a pull is ignored."""
    put(
        images,
        "lease_length",
        lambda request, settings: settings.lease_ms or request.default_lease_ms,
    )


@fault("LEASETIME-002", "JW-LEASE-2", "JW-QUEUE-7")
def lease_of_the_queue_is_ignored() -> None:
    """The lease length that is set for a queue has no effect."""
    put(
        images,
        "lease_length",
        lambda request, settings: request.lease_ms or request.default_lease_ms,
    )


@fault("JW-FAIL-8")
def timeout_never_comes() -> None:
    """timeout_ms is ignored."""

    def patient(original: Any, job: Job, worker_id: Any, lease_ms: int, now: int) -> Any:
        return replace(original(job, worker_id, lease_ms, now), due_at=now + lease_ms)

    put(Job, "timeout_at", property(lambda job: None))
    around(images, "leased", patient)
