"""
The ways in which RustQueue can be taken down or stalled (contract §8.2 #22 to #32), each tried on a real server.

After each the server serves, its housekeeper works, and nothing answered 500.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest
from tests.acceptance.processes import Lines, Server, until

pytestmark = pytest.mark.acceptance

HUGE = 2**63 - 1


def _huge_count(server: Server, lines: Lines) -> None:
    assert server.get("/queues/q/jobs?count=4294967295")[0] == 400
    assert (
        lines.call(cmd="pull", queue="q", count=4294967295)["error"]["code"] == "VALIDATION_ERROR"
    )


def _huge_delay(server: Server, lines: Lines) -> None:
    assert server.post("/queues/q/jobs", {"name": "n", "delay_ms": HUGE})[0] == 400
    assert (
        lines.call(cmd="push", queue="q", name="n", delay_ms=10**30)["error"]["code"]
        == "VALIDATION_ERROR"
    )


def _huge_backoff(server: Server, lines: Lines) -> None:
    assert server.post("/queues/q/jobs", {"name": "n", "backoff_delay_ms": HUGE})[0] == 400
    longest = 3_155_760_000_000
    pushed = {
        "name": "n",
        "backoff_delay_ms": longest,
        "backoff_max_ms": longest,
        "max_attempts": 10_000,
    }
    server.post("/queues/q/jobs", pushed)
    job = lines.call(cmd="pull", queue="q")["job"]
    assert lines.call(cmd="fail", id=job["id"], error="boom")["will_retry"] is True


def _huge_timeout(server: Server, lines: Lines) -> None:
    server.post(
        "/queues/q/jobs",
        {"name": "n", "timeout_ms": 3_155_760_000_000, "ttl_ms": 3_155_760_000_000},
    )
    assert lines.call(cmd="pull", queue="q")["job"]["timeout_ms"] == 3_155_760_000_000


def _endless_line(server: Server, lines: Lines) -> None:
    before = server.rss
    with socket.create_connection(("127.0.0.1", server.tcp), 10) as raw:
        raw.sendall(b'{"cmd":"push","queue":"q","name":"n","data":"')
        with contextlib.suppress(
            OSError
        ):  # the server may cut the connection while this still sends
            for _ in range(1024):
                raw.sendall(b"x" * 65_536)
        with contextlib.suppress(ConnectionResetError):
            assert b"PAYLOAD_TOO_LARGE" in raw.recv(4096)
    assert server.rss - before < 16 * 1024 * 1024


def _endless_logs(server: Server, lines: Lines) -> None:
    server.post("/queues/q/jobs", {"name": "n"})
    job = lines.call(cmd="pull", queue="q")["job"]
    for number in range(300):
        lines.call(cmd="progress", id=job["id"], progress=1, message=f"line {number}")
    logs = server.get(f"/jobs/{job['id']}")[1]["job"]["logs"]
    assert [line["message"] for line in logs] == [f"line {number}" for number in range(200, 300)]


def _huge_result(server: Server, lines: Lines) -> None:
    server.post("/queues/q/jobs", {"name": "n"})
    job = lines.call(cmd="pull", queue="q")["job"]
    refused = lines.call(cmd="ack", id=job["id"], result="x" * (1024 * 1024))
    assert refused["error"]["code"] == "VALIDATION_ERROR"


def _many_names(server: Server, lines: Lines) -> None:
    for number in range(2_000):
        assert lines.call(cmd="stats", queue=f"nothing-{number}")["ok"]
    assert len(server.get("/queues")[1]["queues"]) < 10


def _deep_json(server: Server, lines: Lines) -> None:
    with socket.create_connection(("127.0.0.1", server.tcp), 10) as raw:
        raw.sendall(
            b'{"cmd":"push","queue":"q","name":"n","data":'
            + b"[" * 100_000
            + b"]" * 100_000
            + b"}\n"
        )
        assert b"PARSE_ERROR" in raw.recv(4096)


def _half_requests(server: Server, lines: Lines) -> None:
    opened = [
        socket.create_connection(("127.0.0.1", port), 10) for port in (server.http, server.tcp) * 50
    ]
    for one in opened:
        one.sendall(
            b'{"cmd":'
            if one.getpeername()[1] == server.tcp
            else b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHo"
        )
    assert lines.call(cmd="ping")["ok"]
    for one in opened:
        one.close()


def _head_of_a_pull(server: Server, lines: Lines) -> None:
    server.post("/queues/q/jobs", {"name": "n"})
    with socket.create_connection(("127.0.0.1", server.http), 10) as raw:
        raw.sendall(
            b"HEAD /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 405")
    assert lines.call(cmd="stats", queue="q")["counts"]["active"] == 0


@pytest.mark.parametrize(
    "attack",
    [
        _huge_count,
        _huge_delay,
        _huge_backoff,
        _huge_timeout,
        _endless_line,
        _endless_logs,
        _huge_result,
        _many_names,
        _deep_json,
        _half_requests,
        _head_of_a_pull,
    ],
    ids=lambda attack: attack.__name__.strip("_"),
)
def test_the_server_and_its_housekeeper_survive(
    server: Server, attack: Callable[[Server, Lines], None]
) -> None:
    with server.connect() as lines:
        attack(server, lines)

        due = lines.call(cmd="push", queue="after", name="n", delay_ms=50)["id"]
        assert lines.call(cmd="pull", queue="after", wait_ms=10_000)["job"]["id"] == due
    assert server.get("/health")[1]["status"] == "healthy"
    assert "INTERNAL_ERROR" not in server.log
    assert "housekeeping.failed" not in server.log


def test_a_tick_of_0_is_refused_with_the_name_of_the_setting(server: Server) -> None:
    server.end()
    (server.folder / "jobwire.toml").write_text("[jobs]\ntick_ms = 0\n")
    broken = Server(server.folder, "--config", str(server.folder / "jobwire.toml"))

    assert broken.launch().wait(20) == 2
    until(lambda: "tick_ms" in broken.log, 1, "the message names the setting")
