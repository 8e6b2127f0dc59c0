"""Everything that a client can get back, as an aiohttp response or, where there is no request yet, as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from jobwire_server.wire import responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobwire_server.errors import JobwireError

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

# `no-store`: a GET pull, and a job's state, must come from the server every time. `nosniff`: JSON stays JSON.
COMMON_HEADERS: Final[Mapping[str, str]] = {
    "Server": "jobwire",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
# After these the rest of the connection's bytes cannot be trusted, or would not be read.
CLOSING: Final = frozenset({"BAD_REQUEST", "REQUEST_TIMEOUT", "PAYLOAD_TOO_LARGE", "OVERLOADED"})
REASONS: Final = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


def json_answer(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, headers={**COMMON_HEADERS, "Content-Type": JSON})


def error_answer(error: JobwireError, *, problem: bool = False) -> web.Response:
    """
    The one shape of an error: the envelope, or an RFC 9457 problem for a client that asked for it.

    Retry-After is in seconds, rounded up; Allow and WWW-Authenticate stand where RFC 9110 wants them.
    """
    body = responses.problem_body(error) if problem else responses.error_body(error)
    answer = web.Response(
        status=responses.status_of(error),
        body=body,
        headers={**error_headers(error), "Content-Type": PROBLEM if problem else JSON},
    )
    if error.code in CLOSING:
        answer.force_close()
        answer.headers["Connection"] = (
            "close"  # aiohttp leaves it out where it could not read a version
        )
    return answer


def error_headers(error: JobwireError) -> dict[str, str]:
    headers = dict(COMMON_HEADERS)
    if error.retry_after_ms is not None:
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    if error.code == "METHOD_NOT_ALLOWED" and error.details:
        headers["Allow"] = ", ".join(error.details["allow"])
    if error.code == "UNAUTHORIZED":
        headers["WWW-Authenticate"] = 'Bearer realm="jobwire"'
    return headers


def raw_answer(error: JobwireError, headers: Mapping[str, str]) -> bytes:
    """The same error as the bytes of a whole HTTP answer that ends its connection; `headers` are those of the door."""
    status = responses.status_of(error)
    body = responses.error_body(error)
    shown = {
        **error_headers(error),
        **headers,
        "Content-Type": JSON,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    head = [f"HTTP/1.1 {status} {REASONS[status]}", *(f"{k}: {v}" for k, v in shown.items())]
    return "\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body


def prefers_problem(accept: str | None) -> bool:
    """Whether an Accept header names application/problem+json, and does not like application/json better."""
    if accept is None or PROBLEM not in accept.lower():
        return False
    quality = _qualities(accept)
    return quality.get(PROBLEM, 0.0) > 0.0 and quality[PROBLEM] >= quality.get(JSON, 0.0)


def _qualities(accept: str) -> dict[str, float]:
    """Media types and their q; a q that is no number is 0, so that its type is not chosen."""
    found = {}
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [piece[2:] for piece in parameters if piece.startswith("q=")]
        found[media_type] = _quality(weights[0]) if weights else 1.0
    return found


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
