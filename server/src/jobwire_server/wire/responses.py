"""
Answers to bytes, for both doors: `http_answer` and `tcp_answer`.

Both take what an operation answered (a struct of answers.py, or a JobwireError) and the command's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from jobwire_server.engine.leases import lease_of
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.errors import JobwireError
from jobwire_server.wire import answers, compat
from jobwire_server.wire.job_view import view

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire_server.model import Job

_encode = msgspec.json.Encoder(enc_hook=lambda value: error_view(value)).encode

# The place in the reference page that explains the code.
_PROBLEM_TYPE: Final = "/api/v1/docs#error-"


def http_answer(name: str, result: Any) -> tuple[int, bytes]:
    """Status and JSON body of an answer over HTTP."""
    if isinstance(result, JobwireError):
        return status_of(result), error_body(result)
    if isinstance(result, answers.Failed) and result.next_attempt_at is None:
        result.next_attempt_at = UNSET  # RustQueue leaves the key out over HTTP
    return _created(result), _encode(_shape(result))


def tcp_answer(name: str, result: Any, *, wire: int, rid: int | None) -> bytes:
    """One JSON object without the newline; `rid` is echoed as its last member."""
    if isinstance(result, JobwireError):
        shown = error_view(result, compat.code_of(name, result.code, wire))
        error = compat.error_members(shown) if wire == 1 else shown
        return with_rid(_encode({"ok": False, "error": error}), rid)
    body = _shape(result)
    if wire == 1 and isinstance(result, answers.AckedBatch):
        body = compat.partial_failure(msgspec.structs.asdict(result))
    return with_rid(_encode(body), rid)


def notice(fields: dict[str, Any]) -> bytes:
    """A line that the server sends by itself, without the newline."""
    return _encode(fields)


def status_of(error: JobwireError) -> int:
    """The HTTP status of an error."""
    return error.status or ERROR_CODES[error.code].status


def error_body(error: JobwireError) -> bytes:
    """The envelope {"ok":false,"error":{…}} of HTTP and of wire version 2."""
    return _encode({"ok": False, "error": error_view(error)})


def problem_body(error: JobwireError) -> bytes:
    """RFC 9457: the same error for a client that accepts application/problem+json."""
    body = {
        "type": _PROBLEM_TYPE + error.code,
        "title": error.code.replace("_", " ").capitalize(),
        "status": status_of(error),
        "detail": error.message,
        **error_view(error),
    }
    del body["message"]
    return _encode(body)


def error_view(error: JobwireError, code: str | None = None) -> dict[str, Any]:
    """The `error` member: code, message, details (null when there is nothing to say), retryable, retry_after_ms."""
    body: dict[str, Any] = {
        "code": code or error.code,
        "message": error.message,
        "details": error.details,
        "retryable": ERROR_CODES[error.code].retryable,
    }
    if error.retry_after_ms is not None:
        body["retry_after_ms"] = error.retry_after_ms
    return body


def with_rid(body: bytes, rid: int | None) -> bytes:
    """The object with its request's rid as the last member."""
    return body if rid is None else b'%b,"rid":%d}' % (body[:-1], rid)


def _created(result: Any) -> int:
    """201 when a push made a job, 200 otherwise."""
    match result:
        case answers.Pushed(outcome=outcome):
            return 200 if outcome == "existing" else 201
        case answers.PushedBatch(outcomes=outcomes):
            made = any(outcome in ("created", "replaced") for outcome in outcomes)
            return 201 if made else 200
    return 200


def _shape(result: Any) -> Any:
    write = _WRITERS.get(type(result))
    return result if write is None else write(result)


def _pulled(result: answers.Pulled) -> dict[str, Any]:
    jobs = [view(job, lease_of(job)) for job in result.jobs]
    if result.single:
        return {"ok": True, "job": jobs[0] if jobs else None}
    return {"ok": True, "jobs": jobs}


def _page(result: answers.JobPage) -> dict[str, Any]:
    return {"ok": True, "jobs": _views(result.jobs), "next_cursor": result.next_cursor}


def _flow(result: answers.FlowStatus) -> dict[str, Any]:
    return {
        "ok": True,
        "flow_id": result.flow_id,
        "jobs": _views(result.jobs),
        "summary": result.summary,
    }


def _views(jobs: list[Job]) -> list[Any]:
    return [view(job) for job in jobs]


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    answers.Pulled: _pulled,
    answers.OneJob: lambda result: {"ok": True, "job": view(result.job)},
    answers.JobPage: _page,
    answers.FlowStatus: _flow,
}
