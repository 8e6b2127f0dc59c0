"""
The TCP wire without sockets: bytes in, events out (spec/wire.md).

A session starts with `hello`. In version 2 each request has a `rid` that its answer echoes; answers come in any
order, and notices in between. A server that does not know `hello` (RustQueue) speaks version 1: no rids, answers in
the order of the requests.

    hello ──▶ ready ──▶ draining (goaway) ──▶ broken
      └──▶ auth ──▶ ready                       (version 1 with a token)

Rule 1: an answer goes to the request it belongs to, or nowhere. A rid whose caller has left is remembered until its
        answer came; in version 1, where that cannot be told, the connection has to be given up.
Rule 2: rids are never used twice on a connection.
Rule 3: lengths are checked before bytes are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from jobwire import _errors as errors
from jobwire._limits import LINE_BYTES
from jobwire._strict_json import dumps, loads_answer
from jobwire._version import VERSION

MAX_ANSWER: Final = 64 * 1024 * 1024  # bytes of a line that a server may send
_HELLO_RID: Final = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """The handshake is over; requests may be sent."""

    version: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to request *rid*."""

    rid: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The server said goodbye before it read request *rid*."""

    rid: int


@dataclass(frozen=True, slots=True)
class Late:
    """An answer whose caller was cancelled; jobs in it are held by nobody."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Noticed:
    """A line that the server sent by itself."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is of no use any more; what is in flight has failed."""

    error: errors.JobwireError


Event: TypeAlias = "Ready | Answered | Unprocessed | Late | Noticed | Broken"


class Session:
    """
    One connection's conversation.

    Attributes:
        version: The wire version that was agreed on; 0 before that.
        draining: True after goaway: answers still come, requests must go elsewhere.
    """

    def __init__(
        self, *, client_name: str, token: str | None, max_answer: int = MAX_ANSWER
    ) -> None:
        self.version = 0
        self.draining = False
        self._client_name = client_name
        self._token = token
        self._max_answer = max_answer
        self._max_line = LINE_BYTES
        self._stage: Literal["hello", "auth", "ready", "broken"] = "hello"
        self._buffer = bytearray()
        self._searched = 0  # no newline before this offset
        self._last_rid = _HELLO_RID
        self._waiting: dict[int, None] = {}  # rids in the order of sending
        self._abandoned: dict[int, bool] = {}  # rid → whether its caller was cancelled
        self._outgoing: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Session {self._stage} v{self.version}, {len(self._waiting)} in flight>"

    @property
    def in_flight(self) -> int:
        """Requests whose callers wait for an answer."""
        return len(self._waiting)

    def hello(self) -> bytes:
        """The first line to send."""
        fields: dict[str, Any] = {
            "v": [1, 2],
            "client": {"name": self._client_name, "version": VERSION},
        }
        if self._token is not None:
            fields["token"] = self._token
        return _line("hello", dumps(fields), _HELLO_RID)

    def send(self, cmd: str, payload: bytes) -> tuple[int, bytes]:
        """
        The rid and the line of a request; *payload* is the JSON object of its fields.

        Raises:
            ValidationError: PAYLOAD_TOO_LARGE; nothing was sent and the session goes on.
        """
        line = _line(cmd, payload, self._last_rid + 1 if self.version == 2 else None)
        if len(line) - 1 > self._max_line:
            raise errors.ValidationError(
                "PAYLOAD_TOO_LARGE",
                f"the request is {len(line)} bytes long, the limit is {self._max_line}",
                details={"limit": self._max_line},
            )
        self._last_rid += 1
        self._waiting[self._last_rid] = None
        return self._last_rid, line

    def abandon(self, rid: int, *, cancelled: bool = False) -> bool:
        """
        The caller of *rid* has left; its answer will be dropped.

        Returns:
            True when the connection has to be closed, because later answers could not be told apart.
        """
        if rid not in self._waiting:
            return False
        if self.version != 2:
            return True
        del self._waiting[rid]
        self._abandoned[rid] = cancelled
        return False

    def abort(self, rid: int) -> bytes:
        """The line that has the waiting request *rid* answered at once; empty where the server does not know it."""
        return self._unanswered("abort", {"target": rid}) if self.version == 2 else b""

    def ping(self) -> bytes:
        """The line that a living peer answers at once, whatever else waits; empty in version 1, where nothing may."""
        return self._unanswered("ping", {}) if self.version == 2 else b""

    def give_back(self, body: Mapping[str, Any]) -> bytes:
        """The lines that release the jobs of a Late answer, so that they need not wait for their leases to end."""
        jobs = [*(body.get("jobs") or ()), *filter(None, [body.get("job")])]
        held = [job for job in jobs if isinstance(job, Mapping) and job.get("lease")]
        return b"".join(
            self._unanswered("release", {"id": job["id"], "lease": job["lease"]}) for job in held
        )

    def _unanswered(self, cmd: str, fields: Mapping[str, Any]) -> bytes:
        """A request whose answer nobody waits for."""
        rid, line = self.send(cmd, dumps(fields))
        self.abandon(rid)
        return line

    def outgoing(self) -> bytes:
        """What the handshake wants sent next; empty most of the time."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def feed(self, data: bytes) -> list[Event]:
        """What *data*, the next bytes of the peer, says."""
        self._buffer += data
        events: list[Event] = []
        while self._stage != "broken" and (line := self._next_line(events)) is not None:
            self._receive(line, events)
        return events

    def _next_line(self, events: list[Event]) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
        if (self._searched if end < 0 else end) > self._max_answer:
            self._break(_garbage(f"a line of the peer is over {self._max_answer} bytes"), events)
            return None
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def _receive(self, line: bytes, events: list[Event]) -> None:
        try:
            body = loads_answer(line.decode("utf-8"))
        except ValueError:  # UnicodeDecodeError is one
            body = None
        if not isinstance(body, dict):
            self._break(_garbage("the peer sent a line that is not a JSON object"), events)
        elif self._stage == "hello":
            self._receive_hello(body, events)
        elif self._stage == "auth":
            self._receive_auth(body, events)
        elif self.version == 2 and "notice" in body and "ok" not in body:
            self._receive_notice(body, events)
        else:
            self._receive_answer(body, events)

    # --- the handshake ------------------------------------------------------------------------------------------------

    def _receive_hello(self, body: dict[str, Any], events: list[Event]) -> None:
        if body.get("ok") is True:
            self._accept_hello(body, events)
            return
        error = errors.from_response(body.get("error"))
        if error.code == "UNKNOWN_COMMAND":
            self._fall_back(events)
        elif error.code == "UNAUTHORIZED" and "rid" not in body and self._token is not None:
            self._fall_back(
                events
            )  # RustQueue answers so to all but `auth`; ours would have echoed the rid
        else:
            self._break(error, events)

    def _accept_hello(self, body: dict[str, Any], events: list[Event]) -> None:
        version = body.get("v")
        if version not in (1, 2):
            self._break(_garbage(f"the server chose wire version {version!r}"), events)
            return
        limits = body.get("limits")
        line_bytes = limits.get("line_bytes") if isinstance(limits, dict) else None
        if isinstance(line_bytes, int):
            self._max_line = line_bytes
        self._become_ready(version, events)

    def _fall_back(self, events: list[Event]) -> None:
        if self._token is None:
            self._become_ready(1, events)
            return
        self._stage = "auth"
        self._outgoing.append(_line("auth", dumps({"token": self._token}), None))

    def _receive_auth(self, body: dict[str, Any], events: list[Event]) -> None:
        error = None if body.get("ok") is True else errors.from_response(body.get("error"))
        if (
            error is None or error.code == "UNKNOWN_COMMAND"
        ):  # RustQueue wants no token: the command is unknown
            self._become_ready(1, events)
        else:
            self._break(error, events)

    def _become_ready(self, version: int, events: list[Event]) -> None:
        self.version = version
        self._stage = "ready"
        events.append(Ready(version))

    # --- afterwards ---------------------------------------------------------------------------------------------------

    def _receive_answer(self, body: dict[str, Any], events: list[Event]) -> None:
        rid = self._rid_of(body)
        if rid is None:
            self._break(_uncorrelated(body), events)
        elif rid in self._abandoned:
            if self._abandoned.pop(rid):
                events.append(Late(body))
        else:
            del self._waiting[rid]
            events.append(Answered(rid, body))

    def _rid_of(self, body: dict[str, Any]) -> int | None:
        """The request that *body* answers; None when that cannot be told."""
        if self.version != 2 or ("rid" not in body and self.in_flight == 1 and not self._abandoned):
            return next(iter(self._waiting), None)
        rid = body.get("rid")
        known = type(rid) is int and (rid in self._waiting or rid in self._abandoned)
        return rid if known else None

    def _receive_notice(self, body: dict[str, Any], events: list[Event]) -> None:
        name = str(body["notice"])
        if name == "goaway":
            self._drain(body.get("last_rid"), events)
        events.append(Noticed(name, {key: value for key, value in body.items() if key != "notice"}))

    def _drain(self, last_rid: object, events: list[Event]) -> None:
        """Without a last_rid nothing is known of what is in flight: its answers may still come."""
        self.draining = True
        if type(last_rid) is not int:
            return
        for rid in [rid for rid in self._waiting if rid > last_rid]:
            del self._waiting[rid]
            self._abandoned[rid] = False  # the server may still refuse it in words
            events.append(Unprocessed(rid))

    def _break(self, error: errors.JobwireError, events: list[Event]) -> None:
        self._stage = "broken"
        events.append(Broken(error))


Verdict: TypeAlias = Literal["wait", "ping", "give up"]


class Silence:
    """
    Tells a peer that is silent by design from one that is gone, while a request is unanswered (JW-SDK-13, JW-SDK-14).

    Half of *limit* seconds after the peer was last heard it is sent one ping, and has the other half to be heard again;
    where nothing can be asked (version 1) it has the whole. Instants are those of one monotonic clock.
    """

    __slots__ = ("_pinged_at", "_quiet_since", "limit")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._quiet_since = 0.0
        self._pinged_at: float | None = None

    def begin(self, now: float) -> None:
        """From here on it is quiet: bytes were heard, or a request was sent while no other was in flight."""
        self._quiet_since, self._pinged_at = now, None

    def look(self, now: float, *, can_ping: bool) -> tuple[Verdict, float]:
        """
        What to do now, and when to look again.

        A look that comes too late, as after a pause of this process, still asks before it gives up.
        """
        half = self.limit / 2
        if self._pinged_at is not None:
            due = self._pinged_at + half
            return ("wait", due) if now < due else ("give up", now)
        due = self._quiet_since + (half if can_ping else self.limit)
        if now < due:
            return "wait", due
        if not can_ping:
            return "give up", now
        self._pinged_at = now
        return "ping", now + half


def _line(cmd: str, payload: bytes, rid: int | None) -> bytes:
    """A line from an object that is encoded already."""
    head = b'{"cmd":"' + cmd.encode() + b'"' + (b"" if rid is None else b',"rid":%d' % rid)
    return head + (b"}\n" if payload == b"{}" else b"," + payload[1:] + b"\n")


def _garbage(message: str) -> errors.ProtocolError:
    return errors.ProtocolError("PROTOCOL_ERROR", message)


def _uncorrelated(body: dict[str, Any]) -> errors.JobwireError:
    """An error that speaks of the connection, such as REQUEST_TIMEOUT before it is closed, or plain nonsense."""
    error = body.get("error")
    if body.get("ok") is False and "rid" not in body and isinstance(error, dict):
        why = errors.from_response(error)
        return errors.TransportError("CONNECTION_LOST", f"the server ended it: {why}")
    return _garbage("the peer answered a request that was never sent")
