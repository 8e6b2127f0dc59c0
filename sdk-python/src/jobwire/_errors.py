"""
Everything that this package raises, and the three ways in which a handler ends a job other than by returning.

    Exception
    ├── JobwireError(code, message, details, request_id, retryable, retry_after, status)
    │   ├── ValidationError     fix the request; retrying cannot help
    │   ├── NotFoundError       the thing is not there
    │   ├── ConflictError       someone else was first, or the state forbids it
    │   ├── AuthError           fix the token or the origin
    │   ├── RateLimitedError    wait for retry_after and try again
    │   ├── UnavailableError    try again with backoff, with the same id
    │   ├── ProtocolError       the peer does not speak this protocol
    │   ├── TransportError      the connection failed; try again with the same id
    │   └── RequestTimeout      no answer in time; the request may have been carried out
    └── HandlerOutcome          raised by a handler: Discard, RetryIn, Release

Rule 1: the class says what a caller does next, `code` says what happened; codes are API, messages are not.
Rule 2: no error ever shows a token, a payload or a URL with credentials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from jobwire._error_codes import ERROR_CODES

# Codes after which the server has provably not carried the request out.
_NOTHING_DONE: Final = frozenset(
    {
        "CONNECTION_FAILED",
        "OVERLOADED",
        "QUEUE_FULL",
        "QUEUE_PAUSED",
        "RATE_LIMITED",
        "REQUEST_TIMEOUT",  # the request had not arrived in full
        "SHUTTING_DOWN",
        "STORAGE_FULL",
    }
)


class JobwireError(Exception):
    """
    A request failed. `code` is one of spec/errors.yaml, or a newer server's.

    Attributes:
        code: What happened, stable.
        message: The same for people; its wording may change.
        details: What the server adds, such as `pointer` or `existing_id`; empty when it adds nothing.
        request_id: The server's name for the request, for its log; None over TCP.
        retryable: Whether the same request may succeed later without a change.
        retry_after: Seconds that the server asks to wait first; None when it does not say.
        status: The HTTP status; None over TCP and for errors of the client itself.
    """

    code: str
    message: str
    details: Mapping[str, Any]
    request_id: str | None
    retryable: bool
    retry_after: float | None
    status: int | None

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(code, message)
        known = ERROR_CODES.get(code)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.request_id = request_id
        self.retryable = (known is not None and known.retryable) if retryable is None else retryable
        self.retry_after = retry_after
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r})"


class ValidationError(JobwireError):
    """The request breaks a rule; retrying cannot help. `details["pointer"]` names the field when it is known."""


class NotFoundError(JobwireError):
    """The job or the route is not there."""


class ConflictError(JobwireError):
    """Someone else was first, or the job's state forbids it. LEASE_LOST: stop working on the job."""


class AuthError(JobwireError):
    """The server wants a token, and this client sent none or a wrong one."""


class RateLimitedError(JobwireError):
    """Too many, for now; wait for `retry_after` seconds."""


class UnavailableError(JobwireError):
    """The server cannot do it now; try again with backoff, with the same id."""


class ProtocolError(JobwireError):
    """The peer's bytes are not of this protocol; check the address and the versions."""


class TransportError(JobwireError):
    """The connection could not be made (CONNECTION_FAILED), was lost (CONNECTION_LOST), or is closed (CLIENT_CLOSED)."""


class RequestTimeout(JobwireError):  # noqa: N818 - the name that the three SDKs share
    """No answer in time. The request may have been carried out; try again with the same id."""


_CLASSES: Final[Mapping[str, type[JobwireError]]] = {
    "validation": ValidationError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "auth": AuthError,
    "rate_limited": RateLimitedError,
    "unavailable": UnavailableError,
    "protocol": ProtocolError,
    "transport": TransportError,
    "timeout": RequestTimeout,
}

# For codes of a newer server, which the catalogue of this version lacks.
_BY_STATUS: Final[Mapping[int, type[JobwireError]]] = {
    400: ValidationError,
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    405: ValidationError,
    408: UnavailableError,
    409: ConflictError,
    410: NotFoundError,
    413: ValidationError,
    415: ValidationError,
    422: ValidationError,
    429: RateLimitedError,
}


def error_for(
    code: str,
    message: str = "",
    *,
    details: Mapping[str, Any] | None = None,
    request_id: str | None = None,
    retryable: bool | None = None,
    retry_after: float | None = None,
    status: int | None = None,
) -> JobwireError:
    """The exception of the class that the catalogue gives *code*; an unknown code goes by its status."""
    return _class_of(code, status, retryable)(
        code,
        message,
        details=details,
        request_id=request_id,
        retryable=retryable,
        retry_after=retry_after,
        status=status,
    )


def _class_of(code: str, status: int | None, retryable: bool | None) -> type[JobwireError]:
    known = ERROR_CODES.get(code)
    if known is not None:
        return _CLASSES[known.category]
    if status is None:
        return UnavailableError if retryable else JobwireError
    return _BY_STATUS.get(status, UnavailableError if status >= 500 else JobwireError)


def from_response(
    error: object,
    *,
    status: int | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> JobwireError:
    """
    The exception for the `error` member of an answer.

    Args:
        error: `{"code", "message", "details", "retryable", "retry_after_ms"}`; only `code` is needed.
        status: The HTTP status, None over TCP.
        request_id: The X-Request-Id header.
        retry_after: Seconds of the Retry-After header; `retry_after_ms` is finer and wins.
    """
    if not isinstance(error, Mapping) or not isinstance(error.get("code"), str):
        return ProtocolError(
            "PROTOCOL_ERROR", "the peer sent an error without a code", status=status
        )
    details, retryable = error.get("details"), error.get("retryable")
    wait = _seconds(error.get("retry_after_ms"))
    return error_for(
        error["code"],
        str(error.get("message") or ""),
        details=details if isinstance(details, Mapping) else None,
        request_id=request_id,
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after=retry_after if wait is None else wait,
        status=status,
    )


def _seconds(ms: object) -> float | None:
    if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not math.isfinite(ms) or ms < 0:
        return None
    return ms / 1000


def safe_to_retry(error: BaseException) -> bool:
    """
    Whether the request that raised *error* was provably not carried out, and a repeat may help.

    True for a connection that could not be made and for refusals such as OVERLOADED or QUEUE_PAUSED; False after a
    timeout or a lost connection, where the server may have done the work.
    """
    return isinstance(error, JobwireError) and error.retryable and error.code in _NOTHING_DONE


class HandlerOutcome(Exception):  # noqa: N818 - not an error: a handler's other ways to end
    """Base of what a handler raises to end its job otherwise than by returning or failing."""


class Discard(HandlerOutcome):
    """
    Raised by a handler: never try this job again.

    The job goes to the dead letters with reason `failed` and *reason* as its error.
    """

    reason: str

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryIn(HandlerOutcome):
    """
    Raised by a handler: fail this attempt, and try again in *seconds* in place of the job's backoff.

    It counts as a failed attempt; after the last one the job goes to the dead letters.
    """

    seconds: float
    reason: str

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(seconds, reason)
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"seconds must be 0 or more, got {seconds!r}")
        self.seconds = seconds
        self.reason = reason


class Release(HandlerOutcome):
    """Raised by a handler: give the job back without burning an attempt, to be taken again after *delay* seconds."""

    delay: float

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        if not math.isfinite(delay) or delay < 0:
            raise ValueError(f"delay must be 0 or more, got {delay!r}")
        self.delay = delay
