"""Every operation that a proof needs, over TCP and over HTTP; asking and hearing the answer are two steps, so that one thread can ask on many connections at once."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from tests.acceptance.processes import Lines, Server

Answer = dict[str, Any]

DOORS: Final = ("tcp", "http")
PATIENCE_S: Final = 30
ROUTES: Final = {
    "push": ("POST", "/queues/{queue}/jobs"),
    "push_batch": ("POST", "/queues/{queue}/jobs/batch"),
    "pull": ("POST", "/pull"),
    "ack": ("POST", "/jobs/{id}/ack"),
    "ack_batch": ("POST", "/jobs/ack"),
    "fail": ("POST", "/jobs/{id}/fail"),
    "fail_batch": ("POST", "/jobs/fail"),
    "release": ("POST", "/jobs/{id}/release"),
    "heartbeat": ("POST", "/jobs/{id}/heartbeat"),
    "heartbeat_batch": ("POST", "/jobs/heartbeat"),
    "progress": ("POST", "/jobs/{id}/progress"),
    "cancel": ("POST", "/jobs/{id}/cancel"),
    "get": ("GET", "/jobs/{id}"),
    "queue": ("GET", "/queues/{queue}"),
    "queue_update": ("PATCH", "/queues/{queue}"),
    "queue_pause": ("POST", "/queues/{queue}/pause"),
    "queue_resume": ("POST", "/queues/{queue}/resume"),
}


class Door(Protocol):
    """A connection with at most one request in flight."""

    name: str

    def ask(self, op: str, **fields: Any) -> None: ...
    def hear(self) -> Answer: ...
    def call(self, op: str, **fields: Any) -> Answer: ...
    def close(self) -> None: ...


class TcpConnection:
    name = "tcp"

    def __init__(self, port: int) -> None:
        self._lines = Lines(port)
        assert self._lines.call(cmd="hello", v=[2], rid=0)["ok"]

    def ask(self, op: str, **fields: Any) -> None:
        self._lines.send(cmd=op, rid=1, **fields)

    def hear(self) -> Answer:
        answer: Answer | None = {"notice": "none"}
        while answer is not None and "notice" in answer:
            answer = self._lines.read()
        if answer is None:
            raise ConnectionResetError("the server closed the connection")
        return answer

    def call(self, op: str, **fields: Any) -> Answer:
        self.ask(op, **fields)
        return self.hear()

    def close(self) -> None:
        self._lines.close()


class HttpConnection:
    name = "http"

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self._connection.connect()

    def ask(self, op: str, **fields: Any) -> None:
        method, route = ROUTES[op]
        path = route.format(**fields)
        body = {name: value for name, value in fields.items() if f"{{{name}}}" not in route}
        text = None if method == "GET" else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, f"/api/v1{path}", text, headers)

    def hear(self) -> Answer:
        answer: Answer = json.loads(self._connection.getresponse().read())
        return answer

    def call(self, op: str, **fields: Any) -> Answer:
        self.ask(op, **fields)
        return self.hear()

    def close(self) -> None:
        self._connection.close()


def open_door(name: str, server: Server) -> Door:
    return TcpConnection(server.tcp) if name == "tcp" else HttpConnection(server.http)


@contextmanager
def open_doors(server: Server, count: int) -> Iterator[list[Door]]:
    """This many connections, by turns over TCP and HTTP."""
    doors: list[Door] = []
    try:
        for number in range(count):
            doors.append(open_door(DOORS[number % len(DOORS)], server))
        yield doors
    finally:
        for door in doors:
            door.close()


def all_at_once(
    doors: Sequence[Door], requests: Sequence[tuple[str, Answer]], server: Server
) -> list[Answer]:
    """
    One request on each connection; the answers in their order.

    The server stands still (SIGSTOP) until all have been asked, so that it finds them together.
    """
    asked = list(zip(doors, requests, strict=False))
    assert len(asked) == len(requests), "a connection for each request"
    server.signal(signal.SIGSTOP)
    for door, (op, fields) in asked:
        door.ask(op, **fields)
    server.signal(signal.SIGCONT)
    return [door.hear() for door, _ in asked]


def ok(answer: Answer) -> Answer:
    assert answer["ok"], answer
    return answer


def code_of(answer: Answer) -> str:
    """ok, already, or the code of the refusal."""
    if answer["ok"]:
        return "already" if answer.get("already") else "ok"
    return str(answer["error"]["code"])
