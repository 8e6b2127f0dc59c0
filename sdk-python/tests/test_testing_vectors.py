"""The fake server against the tables of spec/vectors: transitions, backoff, values; and what its doors refuse."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jobwire import Client
from jobwire.testing import FakeServer
from jobwire.testing._fake_fields import check
from jobwire.testing._fake_job import FINISHED, FakeJob, Refused
from jobwire.testing._fake_queue import FakeQueue

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
T0 = 1_000_000_000_000
SOON_MS = 1000
LATER_MS = 1_000_000
TOKEN = "right"


def vectors(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))[
        "vectors"
    ]
    assert rows
    return rows


# --- the lifecycle ----------------------------------------------------------------------------------------------------


def job_for(queue: FakeQueue, row: dict[str, Any]) -> FakeJob:
    """A job in the state that a vector asks for, with a parent in another queue, and deadlines that are far away."""
    parent = queue.push("parents", {"name": "parent"})[0]
    job = queue.jobs[queue.push("q", {"name": "job", "depends_on": [parent]})[0]]
    job.state, job.settled_by = row["state"], row["settled_by"]
    job.delivery, job.started_at = 2, T0
    job.run_at = T0 + LATER_MS if job.state == "delayed" else T0
    job.lease_expires_at = T0 + LATER_MS if job.state == "active" else None
    job.finished_at = T0 if job.state in FINISHED else None
    return job


def elapse(queue: FakeQueue, job: FakeJob, **deadline: int) -> None:
    for name, value in deadline.items():
        setattr(job, name, value)
    queue.advance(SOON_MS)


def end_parent(queue: FakeQueue, end: Callable[[str], object]) -> None:
    (parent,) = queue.pull(["parents"], count=1)
    end(parent.id)


def lease_expires(queue: FakeQueue, job: FakeJob, _: str | None) -> None:
    elapse(queue, job, **({"lease_expires_at": T0 + SOON_MS} if job.state == "active" else {}))


# What carries an operation out; True says "already".
CALLS: dict[str, Callable[[FakeQueue, FakeJob, str | None], Any]] = {
    "pull": lambda q, job, lease: q.pull(["q"], count=1),
    "ack": lambda q, job, lease: q.ack(job.id, lease),
    "fail": lambda q, job, lease: q.fail(job.id, lease, "no"),
    "release": lambda q, job, lease: q.release(job.id, lease),
    "heartbeat": lambda q, job, lease: q.heartbeat(job.id, lease),
    "progress": lambda q, job, lease: q.progress(job.id, lease, 1, None),
    "cancel": lambda q, job, lease: q.cancel(job.id)[1],
    "retry": lambda q, job, lease: q.retry(job.id),
    "promote": lambda q, job, lease: q.promote(job.id)[1],
    "delete": lambda q, job, lease: q.delete(job.id),
    "due": lambda q, job, lease: elapse(q, job, run_at=T0 + SOON_MS),
    "ttl": lambda q, job, lease: elapse(q, job, ttl_ms=SOON_MS),
    "lease_expired": lease_expires,
    "timeout": lambda q, job, lease: elapse(q, job, timeout_ms=SOON_MS),
    "parents_completed": lambda q, job, lease: end_parent(q, lambda id: q.ack(id, None)),
    "parent_failed": lambda q, job, lease: end_parent(
        q, lambda id: q.fail(id, None, "no", discard=True)
    ),
}


@pytest.mark.parametrize("row", vectors("transitions"), ids=lambda row: row["id"])
def test_a_transition(row: dict[str, Any]) -> None:
    queue = FakeQueue(T0)
    job = job_for(queue, row)
    current = job.lease
    lease = {"none": None, "current": current, "stale": current.replace("2", "1", 1)}[row["lease"]]

    if row["effect"] == "refuse":
        with pytest.raises(Refused) as caught:
            CALLS[row["operation"]](queue, job, lease)
        assert caught.value.code == row["error"]
        assert job.state == row["state"]
        return
    is_already = CALLS[row["operation"]](queue, job, lease) is True

    to = ["removed"] if row["operation"] == "delete" else row["to"]
    assert job.state in (to if row["effect"] == "move" else [row["state"]])
    assert is_already == (row["effect"] == "already")


class _Chance:
    def __init__(self, u: float) -> None:
        self.random = lambda: u


@pytest.mark.parametrize("row", vectors("backoff"), ids=lambda row: row["id"])
def test_a_failure_waits_as_long_as_the_vectors_say(row: dict[str, Any]) -> None:
    queue = FakeQueue(T0)
    queue._random = _Chance(row["u"])  # type: ignore[assignment]
    options = {k: v for k, v in row.items() if k not in ("id", "n", "u", "delay_ms")}
    job = FakeJob(id="j", queue="q", name="job", created_at=T0, data={}, sequence=1, **options)
    job.attempt = row["n"] - 1

    assert queue._backoff(job) == row["delay_ms"]


# --- the doors --------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def guarded() -> Iterator[FakeServer]:
    with FakeServer(token=TOKEN) as server:
        yield server


def talk(fake: FakeServer, data: bytes) -> list[dict[str, Any]]:
    """What one connection is answered that says this and then no more."""
    where = urlsplit(fake.tcp_url)
    with (
        socket.create_connection((str(where.hostname), where.port or 0), 10) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return [json.loads(answer) for answer in answers]


def codes(answers: list[dict[str, Any]]) -> list[str | None]:
    """The code of each answer, None for one that is ok."""
    return [None if answer["ok"] else answer["error"]["code"] for answer in answers]


@pytest.mark.parametrize("door", ["http", "tcp"])
def test_the_json_of_users_comes_back_byte_for_byte(fake: FakeServer, door: str) -> None:
    """JW-JOB-5, JW-ERR-10."""
    changed = []
    with Client(fake.url) as client, closing(HTTPConnection(urlsplit(fake.url).netloc)) as http:
        for row in vectors("json_values"):
            text = row["text"]
            if door == "tcp":
                line = f'{{"cmd":"push","queue":"q","name":"job","data":{text}}}'
                assert codes(talk(fake, line.encode())) == [None], row["id"]
            else:
                body = f'{{"name":"job","data":{text}}}'.encode()
                http.request(
                    "POST", "/api/v1/queues/q/jobs", body, {"Content-Type": "application/json"}
                )
                assert json.load(http.getresponse())["ok"], row["id"]
            (job,) = client.pull("q")
            if job.raw_data != text:
                changed.append(row["id"])

    assert changed == []


@pytest.mark.parametrize(
    ("first", "saw"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "http"),
        (b"PRI * HTTP/2.0\r\n", "http"),
        (b"\x16\x03\x01\x02\x00", "tls"),
        (b"\x01\x00\x00\x00\x05hello", "binary"),
    ],
)
def test_another_protocol_is_answered_once(fake: FakeServer, first: bytes, saw: str) -> None:
    """JW-TCP-9."""
    (answer,) = talk(fake, first + b'\n{"cmd":"ping"}\n')

    assert answer["error"]["code"] == "UNSUPPORTED_PROTOCOL"
    assert answer["error"]["details"] == {"saw": saw}


def test_a_line_over_the_limit_ends_the_connection_after_those_before_it(fake: FakeServer) -> None:
    """JW-TCP-8; `\\r` is not part of the line (JW-TCP-2)."""
    longest = b'{"cmd":"ping"}'.ljust(4_194_304) + b"\r\n"

    answers = talk(fake, longest + b"x" * 4_194_305 + b'\n{"cmd":"ping"}\n')

    assert codes(answers) == [None, "PAYLOAD_TOO_LARGE"]


def test_a_server_that_stops_says_what_it_has_taken(fake: FakeServer) -> None:
    """JW-TCP-33: the rest is refused, on new connections too."""
    where = urlsplit(fake.tcp_url)
    with (
        socket.create_connection((str(where.hostname), where.port or 0), 10) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(b'{"cmd":"hello","v":[2]}\n{"cmd":"queues","rid":7}\n')
        for _ in range(2):
            answers.readline()
        fake.drain()
        notice = json.loads(answers.readline())
        assert answers.readline() == b""

    assert notice == {"notice": "goaway", "last_rid": 7, "reason": "shutdown"}
    late = talk(fake, b'{"cmd":"ping"}\n{"cmd":"stats","queue":"q"}\n{"cmd":"hello","v":[2]}\n')
    assert codes(late) == [None, "SHUTTING_DOWN", "SHUTTING_DOWN"]


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_compared_as_a_whole(guarded: FakeServer) -> None:
    """JW-AUTH-2, JW-AUTH-8, JW-AUTH-9: also one that is no text, and of a fake whose token is all digits."""
    lines = (
        b'{"cmd":"auth","token":"Right"}',
        b'{"cmd":"hello","v":[2],"token":5}',
        b'{"cmd":"stats","queue":"q"}',
        b'{"cmd":"auth","token":"right"}',
        b'{"cmd":"stats","queue":"q"}',
        b'{"cmd":"auth","token":"any"}',
        b'{"cmd":"auth"}',
    )
    refused = "UNAUTHORIZED"

    assert codes(talk(guarded, b"\n".join(lines))) == [
        *(refused, refused, refused),
        *(None, None, None),
        "VALIDATION_ERROR",
    ]
    with FakeServer(token="5") as digits:
        assert codes(talk(digits, b'{"cmd":"hello","v":[2],"token":5}')) == [refused]


def test_a_long_line_is_not_read_before_the_token(guarded: FakeServer) -> None:
    """JW-AUTH-10."""
    long = b'{"cmd":"ping","rid":1}'.ljust(65_537)

    before, _, after = talk(guarded, long + b'\n{"cmd":"auth","token":"right"}\n' + long)

    assert (before["error"]["code"], "rid" in before) == ("UNAUTHORIZED", False)
    assert after == {"ok": True, "rid": 1}


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status"),
    [
        ("POST", "/pull", b"{", None, 401),
        ("POST", "/pull", b"{", "wrong", 401),
        ("POST", "/pull", b"{", TOKEN, 400),
        ("POST", "/pull", b" " * 4_194_305, None, 401),
        ("GET", "/nowhere", None, None, 401),
        ("GET", "/nowhere", None, TOKEN, 404),
        ("GET", "/pull", None, None, 401),
        ("GET", "/pull", None, TOKEN, 405),
        ("GET", "/health", None, None, 200),
    ],
)
def test_a_token_is_checked_before_all_but_the_route(
    guarded: FakeServer, method: str, path: str, body: bytes | None, token: str | None, status: int
) -> None:
    """JW-AUTH-1, JW-AUTH-5."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with closing(HTTPConnection(urlsplit(guarded.url).netloc, timeout=10)) as http:
        http.request(method, f"/api/v1{path}", body, headers)
        answer = http.getresponse()
        assert (answer.status, json.load(answer)["ok"]) == (status, status == 200)


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("GET", "/nowhere", "application/json", 404),
        ("GET", "/pull", "application/json", 405),
        ("POST", "/pull", "text/plain", 415),
        ("GET", "/jobs?limit=x", "application/json", 400),
        ("GET", "/queues/%ff/stats", "application/json", 400),
        ("GET", "/jobs?colour=red", "application/json", 422),
    ],
)
def test_wrong_requests_over_http(
    fake: FakeServer, method: str, path: str, kind: str, status: int
) -> None:
    with closing(HTTPConnection(urlsplit(fake.url).netloc, timeout=10)) as http:
        http.request(
            method,
            f"/api/v1{path}",
            b"{}" if method == "POST" else None,
            {"Content-Type": kind},
        )
        answer = http.getresponse()

    assert answer.status == status
    assert answer.getheader("Allow") == ("POST" if status == 405 else None)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["heartbeat_batch", "hello"])
def test_the_id_of_a_worker_is_not_empty(operation: str) -> None:
    with pytest.raises(Refused) as caught:
        check(operation, {"worker": {"id": ""}, **({"v": [2]} if operation == "hello" else {})})

    assert caught.value.details is not None
    assert caught.value.details["pointer"] == "/worker/id"
