"""The HTTP door of the fake server: routes, statuses and envelopes. It knows nothing of jobs."""

from __future__ import annotations

import hmac
import logging
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from jobwire._error_codes import ERROR_CODES
from jobwire.testing._fake_job import Refused, invalid
from jobwire.testing._fake_json import dumps, strict_loads
from jobwire.testing._fake_listener import is_connected
from jobwire.testing._fake_operations import Answer, Caller, error_view
from jobwire.testing._fake_service import Dropped, FakeService, Swallowed, Waiter

if TYPE_CHECKING:
    import socket

log = logging.getLogger("jobwire.testing")

PREFIX: Final = "/api/v1"
ROUTES: Final = {
    "POST /queues/{queue}/jobs": "push",
    "POST /queues/{queue}/jobs/batch": "push_batch",
    "POST /pull": "pull",
    "POST /queues/{queue}/pull": "pull",
    "GET /queues/{queue}/jobs": "pull",
    "POST /jobs/{id}/ack": "ack",
    "POST /jobs/ack": "ack_batch",
    "POST /jobs/{id}/fail": "fail",
    "POST /jobs/fail": "fail_batch",
    "POST /jobs/{id}/release": "release",
    "POST /jobs/{id}/heartbeat": "heartbeat",
    "POST /jobs/heartbeat": "heartbeat_batch",
    "POST /jobs/{id}/progress": "progress",
    "POST /jobs/{id}/cancel": "cancel",
    "POST /jobs/{id}/retry": "retry",
    "POST /jobs/{id}/promote": "promote",
    "GET /jobs/{id}": "get",
    "DELETE /jobs/{id}": "delete",
    "GET /jobs": "find",
    "GET /queues": "queues",
    "GET /queues/{queue}": "queue",
    "PATCH /queues/{queue}": "queue_update",
    "GET /queues/{queue}/stats": "stats",
    "POST /queues/{queue}/pause": "queue_pause",
    "POST /queues/{queue}/resume": "queue_resume",
    "GET /queues/{queue}/dlq": "dlq",
    "POST /queues/{queue}/dlq/retry": "dlq_retry",
    "POST /queues/{queue}/dlq/discard": "dlq_discard",
    "GET /flows/{flow_id}": "flow",
    "GET /workers": "workers",
    "GET /health": "health",
    "GET /health/ready": "ready",
    "GET /health/live": "live",
    "GET /capabilities": "capabilities",
}
WITHOUT_TOKEN: Final = frozenset({"health", "ready", "live", "capabilities"})
BODY_BYTES: Final = 4_194_304
NUMBERS: Final = frozenset({"count", "limit"})
LISTS: Final = frozenset({"state"})


class Route(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    operation: str


def _compiled() -> list[Route]:
    """The table as patterns, fixed paths before those with fields, so that /jobs/ack is no job's id."""
    routes = []
    for line, operation in sorted(ROUTES.items(), key=lambda entry: "{" in entry[0]):
        method, path = line.split(" ")
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", PREFIX + path)
        routes.append(Route(method, re.compile(pattern), operation))
    return routes


_ROUTES: Final = _compiled()


class HttpSession(BaseHTTPRequestHandler):
    """One connection, kept alive between requests."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece, at the flush
    server_version = "jobwire-fake"

    def __init__(self, connection: socket.socket, service: FakeService) -> None:
        self._service = service
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]  # it has no server

    def do_GET(self) -> None:
        self._dispatch()

    do_POST = do_GET  # noqa: N815 - the base class looks these names up
    do_PATCH = do_GET  # noqa: N815
    do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _dispatch(self) -> None:
        try:
            status, answer = self._run()
        except Refused as refusal:
            self._refuse(refusal)
        except Dropped:
            self.close_connection = True
        except Swallowed:
            self.connection.recv(1)  # until the client gives up; the fault is that no answer comes
            self.close_connection = True
        else:
            self._send(status, {"ok": True, **answer})

    def _run(self) -> tuple[int, Answer]:
        content = self._content()  # first, so that the next request starts where this one ends
        url = urlsplit(self.path)
        operation, path_fields = self._admitted(url.path)
        body = self._parsed(content)
        if operation == "push" and isinstance(body, list):
            operation, body = "push_batch", {"jobs": body}
        if not isinstance(body, dict):
            raise invalid("", "the body must be an object", status=422)
        fields = {**body, **_query(url.query), **path_fields}
        if operation == "fail" and fields.get("error") is None:
            raise invalid("/error", "missing field 'error'", status=422)
        waiter = Waiter(lambda: is_connected(self.connection))
        caller = Caller("http", client=self.headers.get("User-Agent"))
        answer = self._service.handle(operation, fields, caller, waiter)
        return _status(operation, answer), _as_http(operation, answer)

    def _admitted(self, path: str) -> tuple[str, dict[str, str]]:
        """The token is looked at before anything else, also where there is no route (JW-AUTH-5)."""
        try:
            operation, fields = self._route(path)
        except Refused:
            self._check_token("")
            raise
        self._check_token(operation)
        return operation, fields

    def _route(self, path: str) -> tuple[str, dict[str, str]]:
        found = [
            (route, m) for route in _ROUTES if (m := route.pattern.fullmatch(path)) is not None
        ]
        if not found:
            raise Refused("ROUTE_NOT_FOUND", f"No operation has the path {path}", {"path": path})
        for route, match in found:
            if route.method == self.command:
                return route.operation, _path_fields(match.groupdict())
        allowed = ", ".join(sorted({route.method for route, _ in found}))
        raise Refused("METHOD_NOT_ALLOWED", f"Use {allowed}", {"allow": allowed})

    def _check_token(self, operation: str) -> None:
        expected = self._service.token
        if expected is None or operation in WITHOUT_TOKEN:
            return
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {expected}".encode()):
            raise Refused("UNAUTHORIZED", "Invalid bearer token")

    def _content(self) -> bytes | None:
        """The body, read to its end; None for one that is over its limit, so that the client reads the answer all the same."""
        left = length = int(self.headers.get("Content-Length", "0"))
        if length <= BODY_BYTES:
            return self.rfile.read(length) if length else b""
        while left > 0 and (piece := self.rfile.read(min(left, BODY_BYTES))):
            left -= len(piece)
        return None

    def _parsed(self, content: bytes | None) -> Any:
        if content is None:
            raise Refused("PAYLOAD_TOO_LARGE", "the body is over its limit", {"limit": BODY_BYTES})
        if not content:
            return {}
        if self.headers.get_content_type() != "application/json":
            raise Refused("UNSUPPORTED_MEDIA_TYPE", "Send Content-Type: application/json.")
        return strict_loads(content) if content.strip(b" \t\r\n") else {}

    def _refuse(self, refusal: Refused) -> None:
        status = refusal.status or ERROR_CODES[refusal.code].status or 500
        self._send(status, {"ok": False, "error": error_view(refusal)})

    def _send(self, status: int, answer: Answer) -> None:
        content = dumps(answer)
        self.send_response(status)
        error = answer.get("error", {})
        if "retry_after_ms" in error:
            self.send_header("Retry-After", str(-(-error["retry_after_ms"] // 1000)))
        if error.get("code") == "METHOD_NOT_ALLOWED":
            self.send_header("Allow", error["details"]["allow"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


def _path_fields(given: dict[str, str]) -> dict[str, str]:
    fields = {}
    for name, text in given.items():
        try:
            fields[name] = unquote(text, errors="strict")
        except UnicodeDecodeError:
            raise invalid(f"/{name}", f"{name} is not UTF-8") from None
    return fields


def _query(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in NUMBERS:
            if not value.isascii() or not value.isdigit():
                raise invalid(f"/{name}", f"{name} must be a whole number")
            fields[name] = int(value)
        else:
            fields[name] = value.split(",") if name in LISTS else value
    return fields


def _status(operation: str, answer: Answer) -> int:
    outcomes = [answer.get("outcome")] if operation == "push" else answer.get("outcomes", [])
    return 201 if {"created", "replaced"} & set(outcomes) else 200


def _as_http(operation: str, answer: Answer) -> Answer:
    """Over HTTP an instant that is not there is left out of fail's answer."""
    if operation == "fail" and answer["next_attempt_at"] is None:
        return {name: value for name, value in answer.items() if name != "next_attempt_at"}
    return answer
