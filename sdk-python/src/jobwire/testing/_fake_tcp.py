"""The TCP door of the fake server: lines of JSON, wire versions 1 and 2, notices. It knows nothing of jobs."""

from __future__ import annotations

import contextlib
import hmac
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobwire.testing._fake_fields import FIELDS, SERVER_LIMITS, integer
from jobwire.testing._fake_fields import check as check_fields
from jobwire.testing._fake_job import Refused, invalid
from jobwire.testing._fake_json import dumps, strict_loads
from jobwire.testing._fake_listener import cut_connection, is_connected
from jobwire.testing._fake_operations import Answer, Caller, error_view
from jobwire.testing._fake_service import Dropped, FakeService, Swallowed, Waiter
from jobwire.testing._fake_tcp_stream import Line, LineStream

if TYPE_CHECKING:
    from collections.abc import Callable

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
WHILE_DRAINING: Final = frozenset({"ping", "abort", "bye"})
# What the session answers itself; goaway does not count it.
OWN: Final = frozenset({"hello", "auth", "abort", "bye", "ping"})
UNAUTHENTICATED: Final = "Authenticate first, with hello or auth"


class Held(NamedTuple):
    """A request that is being carried out, and through which its wait can be ended."""

    rid: int | None
    waiter: Waiter


class TcpSession:
    """
    One connection.

    In version 1 its lines are carried out one after another; in version 2 those with a rid side by side, and the others in
    their order among themselves. One thread reads, one takes the lines, and what waits has one of its own; notices may be
    sent by any thread.
    """

    def __init__(self, connection: socket.socket, service: FakeService) -> None:
        self._connection = connection
        self._service = service
        self._send_lock = threading.Lock()
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._held: list[Held] = []
        self._threads: list[threading.Thread] = []
        self._lane: threading.Thread | None = None  # the last request of version 2 without a rid
        self._last_rid: int | None = None
        self._version = 1
        self._is_greeted = False
        self._client: str | None = None
        self._authenticated = service.token is None
        self._has_ended = False  # the peer sends no more: nothing waits
        self._is_leaving = False  # a bye was said
        self._is_over = False  # nothing more is answered

    def serve(self) -> None:
        """Read until the end."""
        taker = threading.Thread(target=self._take_all, name="jobwire-fake-tcp-take", daemon=True)
        taker.start()
        try:
            self._read_lines()
        except OSError:
            self._is_over = True
        finally:
            self._has_ended = True
            self._end_waits()
            self._lines.put(None)
            taker.join()

    def notify(self, notice: dict[str, Any]) -> None:
        """Send a line that nobody asked for; only a session of version 2 gets any."""
        if self._version == 2 and not self._is_over:
            self._send_if_open(notice)

    def drain(self) -> None:
        """The server stops: answer what was taken, refuse the rest, and close (JW-TCP-33)."""
        self.notify({"notice": "goaway", "last_rid": self._last_rid, "reason": "shutdown"})
        self._end_waits()
        self._lines.put(None)

    # --- lines ---

    def _read_lines(self) -> None:
        stream = LineStream()
        while chunk := self._connection.recv(READ_BYTES):
            for line in stream.push(chunk):
                self._lines.put(line)
        for line in stream.end():
            self._lines.put(line)

    def _take_all(self) -> None:
        try:
            while not self._is_over and (line := self._lines.get()) is not None:
                self._take(line)
                if self._is_leaving:
                    return  # what stands behind a bye is not carried out (JW-TCP-29)
        finally:
            self._leave()

    def _leave(self) -> None:
        """Answer what is in flight, and close our side; the peer's is read on, for a reset could overtake the answers."""
        self._settle()
        self._is_over = True
        with contextlib.suppress(OSError):  # the peer was first
            self._connection.shutdown(socket.SHUT_WR)

    def _settle(self) -> None:
        """End the waits; returns when nothing is in flight."""
        self._end_waits()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _take(self, line: Line) -> None:
        """One line; returns when the next one may be taken."""
        if isinstance(line, Refused):
            self._settle()
            self._send_error(line, {})
            self._is_leaving = True
            return
        try:
            request = self._parsed(line)
        except Refused as refusal:
            self._send_error(refusal, {})
            return
        rid = request.pop("rid", None)
        command = request.get("cmd")
        if rid is not None and command not in OWN:
            self._last_rid = rid
        if command == "bye":
            self._settle()
        self._carry_out(request, self._hold(rid))

    def _parsed(self, line: bytes) -> dict[str, Any]:
        if not self._authenticated and len(line) > SERVER_LIMITS["unauthenticated_line_bytes"]:
            raise Refused("UNAUTHORIZED", UNAUTHENTICATED)
        request = strict_loads(line)
        if not isinstance(request, dict):
            raise invalid("", "a line must be an object", status=422)
        if request.get("rid") is not None:
            _check_rid(request["rid"], "/rid")
        return request

    def _hold(self, rid: int | None) -> Held:
        with self._service.changed:
            held = Held(rid, Waiter(self._is_alive, ended=self._has_ended))
            self._held.append(held)
            return held

    def _carry_out(self, request: dict[str, Any], held: Held) -> None:
        """Here, or in a thread of its own where the next line is to be taken meanwhile."""
        before = self._lane if held.rid is None else None
        is_free = before is None or not before.is_alive()
        if self._version == 1 or (is_free and not request.get("wait_ms")):
            self._answer(request, held)
            return
        thread = threading.Thread(
            target=self._answer,
            args=(request, held, before),
            name="jobwire-fake-tcp-request",
            daemon=True,
        )
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        if held.rid is None:
            self._lane = thread
        thread.start()

    # --- requests ---

    def _answer(
        self, request: dict[str, Any], held: Held, before: threading.Thread | None = None
    ) -> None:
        if before is not None:
            before.join()
        echo = {} if held.rid is None else {"rid": held.rid}
        try:
            answer = self._run(request, held)
            self._send_if_open({"ok": True, **answer, **echo})
        except Refused as refusal:
            self._send_error(refusal, echo)
        except Dropped:
            self._is_over = True
            cut_connection(self._connection)
        except Swallowed:
            pass  # the fault is that no answer ever comes

    def _run(self, request: dict[str, Any], held: Held) -> Answer:
        try:
            command = self._known(request.pop("cmd", None))
            own: dict[str, Callable[[dict[str, Any]], Answer]] = {
                "hello": self._hello,
                "auth": self._auth,
                "abort": self._abort,
                "bye": self._bye,
            }
            if command in own:
                return own[command](request)
            version = self._version
            caller = Caller("tcp", version, self, self._client)
            answer = self._service.handle(command, request, caller, held.waiter)
            return _as_version_1(command, answer) if version == 1 else answer
        finally:
            self._let_go(held)

    def _known(self, command: object) -> str:
        """The command, when this session may give it now (JW-TCP-35)."""
        if not isinstance(command, str):
            raise invalid("/cmd", "Missing or invalid 'cmd' field", status=422)
        unknown = command not in FIELDS or command in HTTP_ONLY
        if unknown or (self._version == 1 and command in VERSION_2):
            raise Refused("UNKNOWN_COMMAND", f"Unknown command: {command}", {"cmd": command})
        if not self._authenticated and command not in WITHOUT_TOKEN:
            raise Refused("UNAUTHORIZED", UNAUTHENTICATED)
        if self._service.operations.draining and command not in WHILE_DRAINING:
            raise Refused("SHUTTING_DOWN", "The server is draining; nothing was done")
        return command

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
        token = check_fields("auth", fields)["token"]
        if not self._authenticated:
            self._check_token(token)
        return {}

    def _check_token(self, token: object) -> None:
        expected = self._service.token
        if expected is None:
            return
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(), expected.encode()):
            raise Refused("UNAUTHORIZED", "Invalid authentication token")
        self._authenticated = True

    def _abort(self, fields: dict[str, Any]) -> Answer:
        target = check_fields("abort", fields)["target"]
        with self._service.changed:
            found = [held for held in self._held if held.rid == target]
            for held in found:
                held.waiter.ended = True
            self._service.changed.notify_all()
        return {"aborted": bool(found)}

    def _bye(self, fields: dict[str, Any]) -> Answer:
        check_fields("bye", fields)
        self._is_leaving = True
        return {}

    def _let_go(self, held: Held) -> None:
        with self._service.changed:
            self._held = [one for one in self._held if one is not held]

    def _end_waits(self) -> None:
        with self._service.changed:
            for held in self._held:
                held.waiter.ended = True
            self._service.changed.notify_all()

    def _is_alive(self) -> bool:
        return not self._is_over and not self._has_ended and is_connected(self._connection)

    # --- answers ---

    def _send_error(self, refusal: Refused, echo: dict[str, Any]) -> None:
        error = error_view(refusal)
        if self._version == 1:
            del error["retryable"]
        self._send_if_open({"ok": False, "error": error, **echo})

    def _send_if_open(self, line: dict[str, Any]) -> None:
        data = dumps(line) + b"\n"
        try:
            with self._send_lock:
                self._connection.sendall(data)
        except OSError:
            self._is_over = True  # its reader sees the end as well


_check_rid: Final = integer(0, 2**53 - 1)


def _as_version_1(command: str, answer: Answer) -> Answer:
    """Version 1 says in `ok` whether every item of an ack_batch was taken."""
    if command != "ack_batch" or not answer["failed"]:
        return answer
    message = f"{answer['failed']} items failed"
    error = {"code": "PARTIAL_FAILURE", "message": message, "details": {"failed": answer["failed"]}}
    return {**answer, "ok": False, "error": error}
