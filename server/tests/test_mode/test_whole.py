"""JW-TEST-1 to 6, 12 and 15 to 17: who gets in, and what is done to the server as a whole."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import Server
from tests.cli.conftest import Run
from tests.test_mode.conftest import Start
from tests.test_mode.subject import START, Subject

from jobwire_server.http_api.app import ROUTES

pytestmark = pytest.mark.acceptance


# --- who gets in ------------------------------------------------------------------------------------------------


def test_a_server_that_was_not_asked_has_no_control_api(tmp_path: Path) -> None:
    server = Server(tmp_path, "--log-format", "json").start()
    try:
        started = next(line for line in server.log.splitlines() if "server.started" in line)
        assert "control" not in json.loads(started)
        assert server.post("/_test/reset")[0] == 404
    finally:
        server.end()


@pytest.mark.parametrize("door", ["HTTP", "TCP"])
@pytest.mark.parametrize("more", [(), ("--token", "secret"), ("--insecure",)])
def test_a_server_that_others_can_reach_refuses_to_start(
    jobwire: Run, monkeypatch: pytest.MonkeyPatch, door: str, more: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"JOBWIRE_{door}__HOST", "0.0.0.0")

    result = jobwire("serve", "--test-mode", "--storage", "memory://", *more)

    assert result.code == 2
    assert "can be reached by others, which test mode forbids" in result.err


def test_the_control_api_wants_a_port_of_its_own(jobwire: Run) -> None:
    result = jobwire("serve", "--test-mode", "--http-port", "7001", "--test-port", "7001")

    assert result.code == 2
    assert "test.port (flag --test-port): it is http.port too" in result.err


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "rebound.example"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/reset", "/clock"])
def test_a_web_page_is_turned_away(server: Subject, headers: dict[str, str], path: str) -> None:
    job = server.push("q")

    status, body = server.control.ask("GET" if path == "/clock" else "POST", path, None, **headers)

    assert (status, body["error"]["code"]) == (403, "ORIGIN_REFUSED")
    assert server.job(job)["state"] == "waiting"


def test_the_control_api_is_in_no_document_and_on_no_door(server: Subject) -> None:
    document = json.dumps(server.api.ask("GET", "/openapi.json")[1])

    assert "_test" not in document
    assert not any("_test" in route.path for route in ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/nothing", {}, 404, "ROUTE_NOT_FOUND"),
        ("GET", "/reset", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/clock/advance", {}, 400, "VALIDATION_ERROR"),
        ("POST", "/clock/advance", {"ms": -1}, 400, "VALIDATION_ERROR"),
        ("POST", "/clock/advance", {"ms": 1.5}, 400, "VALIDATION_ERROR"),
        ("POST", "/clock/freeze", {"at": 1, "more": 1}, 400, "VALIDATION_ERROR"),
        ("POST", "/reset", {"more": 1}, 400, "VALIDATION_ERROR"),
        ("POST", "/reset", [], 400, "VALIDATION_ERROR"),
    ],
)
def test_what_means_nothing_is_refused_and_changes_nothing(
    server: Subject, method: str, path: str, body: Any, status: int, code: str
) -> None:
    job = server.push("q")

    got, answer = server.control.ask(method, path, body)

    assert (got, answer["ok"], answer["error"]["code"]) == (status, False, code)
    assert server.job(job)["state"] == "waiting"
    assert server.control.ask("GET", "/clock")[1] == {"now": START, "frozen": True}


# --- reset and snapshot -----------------------------------------------------------------------------------------


def fill(server: Subject) -> None:
    """A job in every state, a tombstone, a key, a remembered pull, settings, a worker, a fault."""
    new = {"custom_id": "c", "tags": ["a", "b"], "metadata": {"m": 1}, "jitter": 0.5}
    waiting = server.push("q", unique_key="k", unique_for_ms=600_000, **new)
    server.push("q", depends_on=[waiting])
    server.push("q", delay_ms=5_000, priority=3)
    for fate in ("fail", "ack", "delete", "hold"):
        job = server.push(fate, max_attempts=1, remove_on_complete=fate == "delete")
        lease = server.pull(fate, request_id=str(job), worker_id="w")["lease"]
        if fate == "fail":
            server.api.post(f"/jobs/{job}/fail", lease=lease, error="no")
        elif fate != "hold":
            server.api.post(f"/jobs/{job}/ack", lease=lease, result={"r": [1, 2.5, None]})
    server.api.post(f"/jobs/{server.push('gone')}/cancel")
    server.api.ask("PATCH", "/queues/q", {"max_length": 50, "lease_ms": 9_000})
    server.api.post("/queues/empty/pause")


def test_reset_leaves_nothing(server: Subject) -> None:
    empty = server.control.post("/snapshot")
    fill(server)
    full = server.control.post("/snapshot")
    server.fault("push", "error")

    assert server.control.post("/reset") == {}

    assert server.control.post("/snapshot") == empty != full
    assert (empty["jobs"], full["jobs"]) == (0, 7)
    assert server.api.ask("GET", "/queues")[1]["queues"] == []
    assert server.api.ask("GET", "/workers")[1]["workers"] == []
    assert server.control.ask("GET", "/clock")[1]["frozen"] is False
    assert server.hits == []
    fill(server)  # nor a unique key or a fault


def test_reset_lets_locked_out_addresses_in(start: Start) -> None:
    server = start("--token", "secret", storage="memory://")
    wrong = {"Authorization": "Bearer wrong"}
    refused = [server.api.ask("GET", "/queues", **wrong)[0] for _ in range(6)]

    server.control.post("/reset")

    assert refused == [401] * 5 + [429]
    assert server.api.ask("GET", "/queues", Authorization="Bearer secret")[0] == 200


def test_the_same_state_has_the_same_hash_on_every_store_and_for_one_seed_the_same_ids(
    start: Start,
) -> None:
    servers = [
        start("--test-seed", "7"),
        start("--test-seed", "7", storage="memory://"),
        start("--test-seed", "8", storage="memory://"),
    ]
    for server in servers:
        server.freeze()
        fill(server)

    one, same, other = (server.control.post("/snapshot") for server in servers)
    again = servers[0].control.post("/snapshot")
    servers[0].control.post("/reset")
    servers[0].freeze()
    fill(servers[0])

    assert one == same == again == servers[0].control.post("/snapshot")
    assert one["jobs"] == other["jobs"] == 7
    assert one["hash"] != other["hash"]


@pytest.mark.parametrize(
    "change",
    [
        lambda server: server.push("q"),
        lambda server: server.pull("q"),
        lambda server: server.api.post("/queues/q/pause"),
    ],
    ids=["push", "pull", "pause"],
)
def test_every_change_changes_the_hash(server: Subject, change: Any) -> None:
    server.push("q")
    before = server.control.post("/snapshot")["hash"]

    change(server)

    assert server.control.post("/snapshot")["hash"] != before


# --- crash ------------------------------------------------------------------------------------------------------


def test_a_crash_loses_nothing_that_was_acknowledged(start: Start) -> None:
    server = start()
    jobs = [server.push("q") for _ in range(20)]

    with pytest.raises((OSError, http.client.HTTPException)):
        server.control.ask("POST", "/crash")
    code = server.process.wait(10)
    again = start()

    assert code == 137
    assert [again.job(job)["state"] for job in jobs] == ["waiting"] * 20
