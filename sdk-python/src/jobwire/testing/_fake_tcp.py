"""The TCP door of the fake server: lines of JSON, wire versions 1 and 2, notices. It knows nothing of jobs."""

from __future__ import annotations

import hmac
import threading
from typing import TYPE_CHECKING, Any, Final

from jobwire.testing._fake_fields import FIELDS, integer
from jobwire.testing._fake_fields import check as check_fields
from jobwire.testing._fake_job import Refused, invalid
from jobwire.testing._fake_json import dumps, strict_loads
from jobwire.testing._fake_listener import cut_connection, is_connected
from jobwire.testing._fake_operations import Answer, Caller, error_view
from jobwire.testing._fake_service import Dropped, FakeService, Swallowed, Waiter

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

LINE_BYTES: Final = 4_194_304
READ_BYTES: Final = 65_536
# Commands that only a session of version 2 has.
VERSION_2: Final = frozenset(
    {
        "fail_batch",
        "release",
        "heartbeat_batch",
        "retry",
        "promote",
        "delete",
        "find",
        "queues",
        "queue",
        "queue_update",
        "dlq",
        "dlq_retry",
        "dlq_discard",
        "flow",
        "workers",
        "health",
        "capabilities",
        "abort",
    }
)
HTTP_ONLY: Final = frozenset({"ready", "live"})
WITHOUT_TOKEN: Final = frozenset({"health", "capabilities", "hello", "auth", "ping", "bye"})


class TcpSession:
    """One connection. `serve` reads until the end; notices may be sent by any thread."""

    def __init__(self, connection: socket.socket, service: FakeService) -> None:
        self._connection = connection
        self._service = service
        self._send_lock = threading.Lock()
        self._waiters: dict[int, Waiter] = {}
        self._threads: list[threading.Thread] = []
        self._version = 1
        self._is_greeted = False
        self._client: str | None = None
        self._authenticated = service.token is None
        self._is_over = False

    def serve(self) -> None:
        try:
            self._read_lines()
        finally:
            self._is_over = True
            self._end_waits()

    def notify(self, notice: dict[str, Any]) -> None:
        """Send a line that nobody asked for; only a session of version 2 gets any."""
        if self._version == 2:
            try:
                self._send(notice)
            except OSError:
                self._is_over = True  # its reader sees the end as well

    def _read_lines(self) -> None:
        buffer = b""
        while not self._is_over and (chunk := self._connection.recv(READ_BYTES)):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                if not self._is_over:  # what stands behind a bye is not carried out (JW-TCP-29)
                    self._take(line)
            if len(buffer) > LINE_BYTES:
                self._send_error(Refused("PAYLOAD_TOO_LARGE", "the line is over its limit"), {})
                return
        if buffer and not self._is_over:
            self._take(buffer)  # a last line needs no end (JW-TCP-5)

    def _take(self, line: bytes) -> None:
        """One request. A waiting one with a rid gets a thread, so that the next line is read meanwhile."""
        try:
            request = _parse(line)
            rid = request.pop("rid", None)
            if rid is not None:
                _check_rid(rid, "/rid")
        except Refused as refusal:
            self._send_error(refusal, {})
            return
        echo = {} if rid is None else {"rid": rid}
        if self._version == 2 and rid is not None and request.get("wait_ms"):
            self._waiters[rid] = Waiter(self._is_alive)
            thread = threading.Thread(target=self._answer, args=(request, echo), daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            self._answer(request, echo)

    def _answer(self, request: dict[str, Any], echo: dict[str, Any]) -> None:
        try:
            answer = self._run(request, echo.get("rid"))
            self._send({"ok": True, **answer, **echo})
        except Refused as refusal:
            self._send_error(refusal, echo)
        except Dropped:
            self._is_over = True
            cut_connection(self._connection)
        except Swallowed:
            pass  # the fault is that no answer ever comes
        except OSError:
            self._is_over = True
        finally:
            self._waiters.pop(echo.get("rid", -1), None)

    def _run(self, request: dict[str, Any], rid: int | None) -> Answer:
        command = request.pop("cmd", None)
        if not isinstance(command, str):
            raise invalid("/cmd", "Missing or invalid 'cmd' field", status=422)
        unknown = command not in FIELDS or command in HTTP_ONLY
        if unknown or (self._version == 1 and command in VERSION_2):
            raise Refused("UNKNOWN_COMMAND", f"Unknown command: {command}", {"cmd": command})
        own: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "hello": self._hello,
            "auth": self._auth,
            "abort": self._abort,
            "bye": self._bye,
        }
        if command in own:
            return own[command](request)
        if not self._authenticated and command not in WITHOUT_TOKEN:
            raise Refused("UNAUTHORIZED", "Authenticate first, with hello or auth")
        waiter = self._waiters.get(rid or -1) or Waiter(self._is_alive)
        caller = Caller("tcp", self._version, self, self._client)
        answer = self._service.handle(command, request, caller, waiter)
        return _as_version_1(command, answer) if self._version == 1 else answer

    def _hello(self, fields: dict[str, Any]) -> Answer:
        if self._is_greeted:
            raise invalid("/cmd", "hello was said before; a connection keeps its version")
        if fields.get("token") is not None:
            self._check_token(fields["token"])
        client = check_fields("hello", fields).get("client")
        name = client and "/".join(filter(None, (client.get("name"), client.get("version"))))
        with self._service.changed:
            answer = self._service.operations.hello(fields, Caller("tcp", client=name))
        self._version, self._client, self._is_greeted = answer["v"], name, True
        return answer

    def _auth(self, fields: dict[str, Any]) -> Answer:
        if not self._authenticated:
            self._check_token(check_fields("auth", fields)["token"])
        return {}

    def _check_token(self, token: object) -> None:
        expected = self._service.token
        if expected is None:
            return
        if not hmac.compare_digest(str(token).encode(), expected.encode()):
            raise Refused("UNAUTHORIZED", "Invalid authentication token")
        self._authenticated = True

    def _abort(self, fields: dict[str, Any]) -> Answer:
        target = check_fields("abort", fields)["target"]
        with self._service.changed:
            waiter = self._waiters.get(target)
            if waiter is not None:
                waiter.ended = True
            self._service.changed.notify_all()
        return {"aborted": waiter is not None}

    def _bye(self, fields: dict[str, Any]) -> Answer:
        check_fields("bye", fields)
        self._end_waits()
        for thread in self._threads:
            thread.join(5.0)
        self._is_over = True
        return {}

    def _end_waits(self) -> None:
        with self._service.changed:
            for waiter in list(self._waiters.values()):  # the threads that wait take theirs out
                waiter.ended = True
            self._service.changed.notify_all()

    def _is_alive(self) -> bool:
        return not self._is_over and is_connected(self._connection)

    def _send_error(self, refusal: Refused, echo: dict[str, Any]) -> None:
        error = error_view(refusal)
        if self._version == 1:
            del error["retryable"]
        try:
            self._send({"ok": False, "error": error, **echo})
        except OSError:
            self._is_over = True

    def _send(self, line: dict[str, Any]) -> None:
        data = dumps(line) + b"\n"
        with self._send_lock:
            self._connection.sendall(data)


_check_rid: Final = integer(0, 2**53 - 1)


def _parse(line: bytes) -> dict[str, Any]:
    request = strict_loads(line)
    if not isinstance(request, dict):
        raise invalid("", "a line must be an object", status=422)
    return request


def _as_version_1(command: str, answer: Answer) -> Answer:
    """Version 1 says in `ok` whether every item of an ack_batch was taken."""
    if command != "ack_batch" or not answer["failed"]:
        return answer
    message = f"{answer['failed']} items failed"
    error = {"code": "PARTIAL_FAILURE", "message": message, "details": {"failed": answer["failed"]}}
    return {**answer, "ok": False, "error": error}
