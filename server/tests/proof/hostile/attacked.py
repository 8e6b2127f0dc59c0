"""What attacks a server process: single requests from any loopback address and with any header."""

from __future__ import annotations

import http.client
import json
import resource
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.proof.launched import Entry, entry

API = "/api/v1"


def weakened(weakness: str) -> Entry:
    """For launched(): the server with one defence taken away, for the controls."""
    return entry("tests.proof.hostile.weakened_server", weakness)


@dataclass(frozen=True, slots=True)
class Said:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error code; None of an answer that is no error."""
        code: str | None = self.json.get("error", {}).get("code") if self.status >= 400 else None
        return code


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    source: str = "127.0.0.1",
) -> Said:
    """One request below /api/v1 on a connection of its own, from the loopback address `source`."""
    given = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection("127.0.0.1", port, 30, source_address=(source, 0))
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, API + path, text, {**given, **(headers or {})})
        answer = connection.getresponse()
        return Said(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def say(port: int, *lines: Mapping[str, Any], source: str = "127.0.0.1") -> list[Any]:
    """JSON lines on a TCP connection of its own from `source`; one answer each, fewer when the server hung up."""
    with socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0)) as raw:
        raw.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        raw.shutdown(socket.SHUT_WR)
        with raw.makefile("rb") as answers:
            return [json.loads(answer) for answer in answers]


def rest_of(raw: socket.socket, *, quiet_s: float = 30.0) -> bytes:
    """Everything until the server closes the connection, be it by a reset, or has spoken and says nothing more for `quiet_s`."""
    raw.settimeout(30.0)
    heard = bytearray()
    try:
        while chunk := raw.recv(65_536):
            heard += chunk
            raw.settimeout(quiet_s)
    except (ConnectionError, TimeoutError):
        return bytes(heard)
    return bytes(heard)


def allow_many_sockets() -> int:
    """Raise this process's limit on open files as far as it goes, for what it starts as well; the limit then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
