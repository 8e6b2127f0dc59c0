"""The doors of a real server, seen alike: bytes in, a verdict out. One connection each, which every request goes over."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Final, Protocol

from tests.acceptance.processes import Lines, Server

OK: Final = "ok"
BROKEN: Final = (
    OSError,
    ValueError,
    http.client.HTTPException,
)  # no answer, or one that is no JSON


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is ok or that of the error; `status` is None over TCP; `raw` is the answer as it came."""

    code: str
    status: int | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request on either door. `fields` are the members of its object without the brackets; those that a path holds over HTTP are in `in_path`.

    With `bare`, `fields` is the whole line or body.
    """

    cmd: str
    method: str
    path: str
    fields: bytes = b""
    in_path: bytes = b""
    bare: bool = False

    def line(self, rid: int | None) -> bytes:
        if self.bare:
            return self.fields
        head = b'"cmd":"%b"' % self.cmd.encode()
        tail = b"" if rid is None else b'"rid":%d' % rid
        return b"{%b}" % b",".join(part for part in (head, self.in_path, self.fields, tail) if part)

    @property
    def body(self) -> bytes:
        return self.fields if self.bare else b"{%b}" % self.fields


class Door(Protocol):
    name: str

    def ask(self, request: Request) -> Verdict: ...

    def close(self) -> None: ...

    def again(self) -> Door:
        """The same door over a new connection."""
        ...


class HttpDoor:
    """Answers are read whole; a connection that the server ends is an error here."""

    name = "http"

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=30)
        self._connection.connect()
        self._connection.auto_open = 0  # an end of the connection must not go unnoticed

    def ask(self, request: Request) -> Verdict:
        body = None if request.method == "GET" else request.body
        self._connection.request(
            request.method, "/api/v1" + request.path, body, {"Content-Type": "application/json"}
        )
        answer = self._connection.getresponse()
        return verdict(answer.read(), answer.status)

    def close(self) -> None:
        self._connection.close()

    def again(self) -> HttpDoor:
        return HttpDoor(self._server)


class TcpDoor:
    """Version 1, or 2 with a rid in each line."""

    def __init__(self, server: Server, version: int) -> None:
        self.name = f"tcp{version}"
        self._server, self._version = server, version
        self._lines = Lines(server.tcp)
        self._rid = 0 if version == 2 else None
        if version == 2:
            assert self._lines.call(cmd="hello", v=[2])["v"] == 2

    def ask(self, request: Request) -> Verdict:
        if self._rid is not None:
            self._rid += 1
        self._lines.socket.sendall(request.line(self._rid) + b"\n")
        return verdict(self._lines.read_line(), None)

    def close(self) -> None:
        self._lines.close()

    def again(self) -> TcpDoor:
        return TcpDoor(self._server, self._version)


def verdict(raw: bytes, status: int | None) -> Verdict:
    """Raises ValueError for an answer that is no JSON, which includes none at all."""
    try:
        answer = json.loads(raw.decode(), parse_int=str)  # of any number of digits
    except UnicodeDecodeError:
        return Verdict("an answer that is not UTF-8", status, raw)
    return Verdict(OK if answer["ok"] else answer["error"]["code"], status, raw)


def open_doors(server: Server) -> list[Door]:
    return [HttpDoor(server), TcpDoor(server, 1), TcpDoor(server, 2)]
