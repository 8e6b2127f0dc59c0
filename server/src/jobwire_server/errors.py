"""
The one exception tree of the server.

`JobwireError` carries what an answer needs: a code of spec/errors.yaml, a message that says what to do, and details. Doors map
it to bytes in one place each; nobody catches it to decide something, except operations that try again after a race.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobwireError(Exception):
    """
    An error with a code of the catalogue.

    `status` is given only where it differs from the catalogue's first one (422 for a wrong shape).
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
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

    def __repr__(self) -> str:
        return f"JobwireError({self.code}: {self.message})"


def invalid(pointer: str, message: str, **details: Any) -> JobwireError:
    """A value that breaks a rule (400)."""
    return JobwireError(
        "VALIDATION_ERROR", f"Validation error: {message}", {"pointer": pointer, **details}
    )


def misshapen(pointer: str, message: str, **details: Any) -> JobwireError:
    """A field that is missing, unknown or of the wrong type (422)."""
    return JobwireError(
        "VALIDATION_ERROR",
        f"Validation error: {message}",
        {"pointer": pointer, **details},
        status=422,
    )


def job_not_found(job_id: str) -> JobwireError:
    return JobwireError("JOB_NOT_FOUND", f"Job '{job_id}' not found", {"id": job_id})


def invalid_state(job_id: str, state: str, expected: str) -> JobwireError:
    return JobwireError(
        "INVALID_STATE",
        f"Job is in invalid state '{state.capitalize()}' for operation (expected: {expected})",
        {"id": job_id, "state": state, "expected": expected},
    )


def lease_lost(job_id: str, state: str) -> JobwireError:
    return JobwireError(
        "LEASE_LOST",
        f"The lease on job '{job_id}' is over (the job is {state}); drop the result",
        {"id": job_id, "state": state},
    )


class StoreFailed(Exception):
    """
    The store can no longer be trusted to keep what it accepts (an fsync failed, the file is damaged).

    Final: the process answers STORAGE_UNAVAILABLE to what is in flight and stops (JW-JOB-9, guarantees C10).
    """


class StoreFull(Exception):
    """The disk is full. Nothing of the request was kept; reads and acks go on, and pushes work again when there is space."""


class StoreInUse(Exception):
    """Another process owns the store's file; `jobwire serve` exits 3 with this line."""


class StoreUnusable(Exception):
    """The file cannot be opened: not a Jobwire store, of a newer version, or damaged. The message says which and what to do."""
