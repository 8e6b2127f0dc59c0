"""
A Request as HTTP bytes, and an HTTP response as a Reply; both HTTP transports share this, and neither knows JSON.

Redirects are refused: following one would carry the token, or repeat the work, where nobody asked for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jobwire import _errors as errors
from jobwire._http11 import Response, encode_request
from jobwire._operations import Reply, Request
from jobwire._strict_json import loads_answer
from jobwire._version import VERSION

if TYPE_CHECKING:
    from jobwire._endpoint import Endpoint

_API: Final = "/api/v1"
_PASSING: Final = frozenset({408, 425, 429})  # 4xx of a proxy that may go away by themselves


def encode(endpoint: Endpoint, request: Request[Any]) -> bytes:
    """The bytes of *request*; ValidationError when it cannot be written as JSON."""
    body = request.http_body()
    headers = {
        "Host": endpoint.authority,
        "User-Agent": f"{endpoint.client_name}/{VERSION}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    if endpoint.token is not None:
        headers["Authorization"] = f"Bearer {endpoint.token}"
    return encode_request(request.method, endpoint.prefix + _API + request.target, headers, body)


def reply_of(response: Response) -> Reply:
    """
    The Reply in *response*.

    Raises:
        ProtocolError: A redirect, or a success without a Jobwire body.
        UnavailableError: HTTP_ERROR, an error without one.
    """
    body = _json_object(response)
    request_id = response.headers.get("x-request-id")
    retry_after = _retry_after(response.headers.get("retry-after"))
    if body is not None and isinstance(body.get("ok"), bool) and _agrees(body, response.status):
        return Reply(body, response.status, request_id, retry_after)
    if response.status >= 400:
        raise _http_error(response.status, request_id, retry_after)
    raise errors.ProtocolError(
        "PROTOCOL_ERROR",
        f"the peer redirects (HTTP {response.status}), which is not followed; use its final URL"
        if 300 <= response.status < 400
        else f"HTTP {response.status} without a Jobwire answer; is this a Jobwire server?",
        request_id=request_id,
        status=response.status,
    )


def _json_object(response: Response) -> dict[str, Any] | None:
    try:
        body = loads_answer(response.body.decode("utf-8"))
    except ValueError:  # UnicodeDecodeError is one
        return None
    return body if isinstance(body, dict) else None


def _agrees(body: dict[str, Any], status: int) -> bool:
    """Whether body and status tell the same story; ok false with 200 is a batch of which a part failed."""
    return 200 <= status < 300 if body["ok"] else not 300 <= status < 400


def _http_error(
    status: int, request_id: str | None, retry_after: float | None
) -> errors.JobwireError:
    return errors.error_for(
        "HTTP_ERROR",
        f"HTTP {status} without a Jobwire error in its body",
        request_id=request_id,
        retryable=status >= 500 or status in _PASSING,
        retry_after=retry_after,
        status=status,
    )


def _retry_after(text: str | None) -> float | None:
    """Whole seconds; the date form is not used by Jobwire servers and counts as absent."""
    return float(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None
