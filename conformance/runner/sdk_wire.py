"""
What crossed the wire between an SDK and its peer, as operations of wire.yaml: the witness against which a driver's words are held.

A request is Seen with its fields as TCP names them, whichever door it came through, and gets its answer when that crosses.
"""

from __future__ import annotations

import functools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from conformance.runner.http_bytes import HttpMessage, HttpReader
from conformance.runner.specification import specification

API: Final = "/api/v1"
HANDSHAKE: Final = frozenset({"hello", "auth"})


@dataclass(slots=True, kw_only=True)
class Seen:
    """One request. `answer` is the abstract answer or, with `ok` false, the error; None while there is none."""

    command: str
    fields: dict[str, Any]
    connection: str
    raw: bytes = b""
    http: HttpMessage | None = None
    rid: int | None = None
    answer: dict[str, Any] | None = None

    @property
    def code(self) -> str | None:
        """The code of its error, None without one."""
        error = (self.answer or {}).get("error")
        return str(error.get("code")) if isinstance(error, Mapping) else None


class WireLog:
    """All requests of one case, in the order in which they came."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def add(self, seen: Seen) -> Seen:
        self.seen.append(seen)
        return seen

    def of(self, command: str, since: int = 0) -> list[Seen]:
        return [each for each in self.seen[since:] if each.command == command]

    def codes(self, since: int = 0) -> set[str]:
        return {each.code for each in self.seen[since:] if each.code}


# --- HTTP ⇄ commands ----------------------------------------------------------------------------------------------------


@functools.cache
def _routes() -> list[tuple[str, re.Pattern[str], str]]:
    """(method, path, command), literal paths before those with a parameter."""
    found = []
    for command, operation in specification().wire["operations"].items():
        for route in operation.get("http", ()):
            method, path = route.split(" ")
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(API + path))
            found.append((path.count("{"), method, re.compile(pattern), command))
    found.sort(key=lambda each: each[0])
    return [(method, pattern, command) for _, method, pattern, command in found]


def command_of(message: HttpMessage) -> tuple[str, dict[str, Any]]:
    """The command that an HTTP request stands for and its fields; an empty command for a route that nobody has."""
    parts = urlsplit(message.target)
    body = json.loads(message.body) if message.body else {}
    fields = dict(parse_qsl(parts.query)) | (body if isinstance(body, dict) else {"body": body})
    for method, pattern, command in _routes():
        match = pattern.fullmatch(parts.path)
        if method == message.method and match:
            in_path = {name: unquote(value) for name, value in match.groupdict().items()}
            return command, in_path | fields
    return "", fields


def seen_http(message: HttpMessage, connection: str) -> Seen:
    command, fields = command_of(message)
    return Seen(command=command, fields=fields, connection=connection, http=message)


def seen_line(line: bytes, connection: str) -> Seen:
    """A TCP request. ValueError when the SDK sent what is no JSON object."""
    body = json.loads(line)
    if not isinstance(body, dict):
        raise ValueError(f"an SDK sent a line that is no object: {line[:200]!r}")
    fields = {name: value for name, value in body.items() if name not in ("cmd", "rid")}
    return Seen(
        command=str(body.get("cmd")),
        fields=fields,
        connection=connection,
        raw=line,
        rid=body.get("rid"),
    )


# --- watching a connection ----------------------------------------------------------------------------------------------


class Watcher(ABC):
    """Follows one connection from the side: feed both directions, and each request gets its answer in the log."""

    def __init__(self, log: WireLog, connection: str) -> None:
        self._log = log
        self._connection = connection
        self._open: list[Seen] = []

    @abstractmethod
    def sent(self, data: bytes) -> None:
        """Bytes of the SDK."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Bytes of the server."""

    def _request(self, seen: Seen) -> None:
        self._open.append(self._log.add(seen))


class LineWatcher(Watcher):
    def __init__(self, log: WireLog, connection: str) -> None:
        super().__init__(log, connection)
        self._buffers = (bytearray(), bytearray())

    def sent(self, data: bytes) -> None:
        for line in _lines(self._buffers[0], data):
            self._request(seen_line(line, self._connection))

    def received(self, data: bytes) -> None:
        for line in _lines(self._buffers[1], data):
            body = json.loads(line)
            if "notice" not in body:
                self._answer(body)

    def _answer(self, body: dict[str, Any]) -> None:
        rid = body.get("rid")
        for seen in self._open:
            if seen.rid == rid:
                seen.answer = body
                self._open.remove(seen)
                return


class HttpWatcher(Watcher):
    """`tell` hears of every exchange that is whole."""

    def __init__(
        self, log: WireLog, connection: str, tell: Callable[[HttpMessage, HttpMessage], None]
    ) -> None:
        super().__init__(log, connection)
        self._readers = (HttpReader("request"), HttpReader("response"))
        self._tell = tell

    def sent(self, data: bytes) -> None:
        for message in self._readers[0].feed(data):
            self._request(seen_http(message, self._connection))

    def received(self, data: bytes) -> None:
        for message in self._readers[1].feed(data):
            if not self._open:
                continue  # said without a request, as on an idle connection that is closed
            seen = self._open.pop(0)
            seen.answer = abstract(message)
            assert seen.http is not None
            self._tell(seen.http, message)


def abstract(message: HttpMessage) -> dict[str, Any]:
    """The body of a response as an answer; one that is no JSON object says only its status."""
    try:
        body = json.loads(message.body)
    except ValueError:
        body = None
    return (
        body if isinstance(body, dict) else {"ok": message.status < 400, "status": message.status}
    )


def _lines(buffer: bytearray, data: bytes) -> list[bytes]:
    buffer += data
    *lines, rest = bytes(buffer).split(b"\n")
    buffer[:] = rest
    return lines
