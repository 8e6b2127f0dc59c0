"""JW-TEST-13 and 14: fail points, on both doors."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.test_mode.subject import Subject, is_silent

pytestmark = pytest.mark.acceptance

CUT = "the connection was cut"


def over_http(server: Subject) -> Any:
    """The error code of a push, None for ok, or CUT."""
    try:
        body = server.api.ask("POST", "/queues/q/jobs", {"name": "n"})[1]
    except (OSError, http.client.HTTPException):
        return CUT
    return None if body["ok"] else body["error"]["code"]


def over_tcp(server: Subject) -> Any:
    try:
        line = server.lines().call(cmd="push", queue="q", name="n")
    except (OSError, ValueError):  # the latter: half a line
        return CUT
    if line is None:
        return CUT
    return None if line["ok"] else line["error"]["code"]


Door = Callable[[Subject], Any]
both = pytest.mark.parametrize("push", [over_http, over_tcp])


def stored(server: Subject) -> int:
    jobs: int = server.control.post("/snapshot")["jobs"]
    return jobs


@both
def test_an_error_is_answered_as_often_as_was_said(server: Subject, push: Door) -> None:
    server.fault("push", "error", times=2)
    server.fault("push", "error", code="QUEUE_FULL")

    said = [push(server) for _ in range(4)]

    assert said == ["INTERNAL_ERROR", "INTERNAL_ERROR", "QUEUE_FULL", None]
    assert (stored(server), server.hits) == (1, [2, 1])


@both
@pytest.mark.parametrize(
    ("action", "carried_out"), [("close_before", 0), ("close_after_commit", 1), ("truncate", 1)]
)
def test_a_connection_is_cut_before_after_or_within_the_answer(
    server: Subject, push: Door, action: str, carried_out: int
) -> None:
    server.fault("push", action)

    said = push(server)

    assert (said, stored(server), server.hits) == (CUT, carried_out, [1])
    assert push(server) is None


def test_half_of_an_answer_is_half_of_its_bytes(server: Subject) -> None:
    whole = server.lines()
    whole.send(cmd="health")
    length = len(whole.read_line())
    server.fault("health", "truncate")

    whole.send(cmd="health")

    assert len(whole.read_line()) == length // 2


@pytest.mark.parametrize("door", ["http", "tcp"])
def test_a_delay_is_in_the_time_of_the_clock(server: Subject, door: str) -> None:
    lines = server.lines()
    if door == "http":
        lines.socket.close()
        lines.socket = socket.create_connection(("127.0.0.1", server.started["http"]), 20)
        text = b'{"name":"n"}'
        asked = b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        asked += b"Content-Length: %d\r\n\r\n%b" % (len(text), text)
    else:
        asked = b'{"cmd":"push","rid":9,"queue":"q","name":"n"}\n'
    server.fault("push", "delay", ms=5_000)
    lines.socket.sendall(asked)

    server.advance(4_999)
    early = is_silent(lines), stored(server)
    server.advance(1)

    assert early == (True, 0)
    assert b'"ok":true' in lines.socket.recv(4096)
    assert stored(server) == 1


def test_of_requests_that_came_in_one_burst_only_so_many_meet_an_error(server: Subject) -> None:
    server.fault("push", "error", times=2)
    lines = server.lines()
    lines.socket.sendall(
        b"".join(b'{"cmd":"push","rid":%d,"queue":"q","name":"n"}\n' % rid for rid in range(5, 10))
    )

    said = sorted(lines.read()["ok"] for _ in range(5))

    assert said == [False, False, True, True, True]


@pytest.mark.parametrize("path", ["/metrics/prometheus", "/openapi.json", "/docs", "/health/live"])
def test_every_route_can_fail(server: Subject, path: str) -> None:
    op = {"/metrics/prometheus": "metrics", "/openapi.json": "openapi", "/docs": "docs"}.get(
        path, "live"
    )
    server.fault(op, "error")

    assert server.api.ask("GET", path)[0] == 500


def test_an_error_has_a_retry_after_when_it_was_given_one(server: Subject) -> None:
    server.fault("push", "error", code="OVERLOADED", ms=1_500)

    status, body = server.api.ask("POST", "/queues/q/jobs", {"name": "n"})

    assert (status, body["error"]["retry_after_ms"]) == (503, 1_500)


def test_the_report_of_a_hello_does_not_use_a_fault_up(server: Subject) -> None:
    server.fault("heartbeat_batch", "error")

    lines = server.lines(worker={"id": "w", "queues": ["q"]})

    assert lines.call(cmd="heartbeat_batch", items=[])["error"]["code"] == "INTERNAL_ERROR"


def test_faults_can_be_taken_away(server: Subject) -> None:
    server.fault("push", "error", times=5)

    server.control.ask("DELETE", "/fault")

    assert over_http(server) is None
    assert server.hits == []


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "push"},
        {"op": "puush", "action": "error"},
        {"op": "hello", "action": "error"},
        {"op": "ping", "action": "error"},
        {"op": "push", "action": "explode"},
        {"op": "push", "action": "error", "code": "NO_SUCH_CODE"},
        {"op": "push", "action": "error", "times": 0},
        {"op": "push", "action": "error", "more": 1},
    ],
)
def test_a_fault_that_means_nothing_is_refused(server: Subject, fields: dict[str, Any]) -> None:
    status, body = server.control.ask("POST", "/fault", fields)

    assert (status, body["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert server.hits == []
