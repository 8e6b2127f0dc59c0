"""The fake server: it has every operation, field and transition of the spec, and its faults do what they say."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from jobwire import (
    AuthError,
    Client,
    ConflictError,
    JobwireError,
    NotFoundError,
    PushItem,
    RateLimitedError,
    RequestTimeout,
    TransportError,
    UnavailableError,
    ValidationError,
    WorkerReport,
)
from jobwire.testing import FakeServer
from jobwire.testing._fake_fields import FIELDS, Field, check
from jobwire.testing._fake_http import ROUTES
from jobwire.testing._fake_job import FakeJob, Refused
from jobwire.testing._fake_queue import FakeQueue
from jobwire.testing._fake_tcp import HTTP_ONLY, VERSION_2, WITHOUT_TOKEN

SPEC = Path(__file__).parents[2] / "spec"
WIRE = yaml.safe_load((SPEC / "wire.yaml").read_text())
LIFECYCLE = yaml.safe_load((SPEC / "lifecycle.yaml").read_text())
NOT_PLAYED = {"metrics", "openapi", "docs"}  # pages for people and Prometheus
T0 = 1_000_000_000_000


# --- against the spec -------------------------------------------------------------------------------------------------


def spec_fields(operation: dict[str, Any]) -> dict[str, Any]:
    fields = dict(operation["fields"])
    rest = fields.pop("...", None)
    return fields | (object_fields(rest) if rest else {})


def object_fields(kind: str) -> dict[str, Any]:
    name = kind.removeprefix("object ")
    options = WIRE["objects"]["JobOptions"] if name == "PushItem" else {}
    return {**WIRE["objects"][name], **options}


PLAYED = {name: row for name, row in WIRE["operations"].items() if name not in NOT_PLAYED}


def test_every_operation_is_played() -> None:
    assert set(FIELDS) == set(PLAYED)


@pytest.mark.parametrize("name", PLAYED)
def test_every_field_of_an_operation_is_known_and_required_where_the_spec_says(name: str) -> None:
    wanted = spec_fields(PLAYED[name])

    assert set(FIELDS[name]) == set(wanted)
    required = {field for field, rule in wanted.items() if rule.get("required")}
    assert {field for field, rule in FIELDS[name].items() if rule.required} == required


def bounded() -> Iterator[tuple[str, Field, dict[str, Any]]]:
    for name, row in PLAYED.items():
        for field, rule in spec_fields(row).items():
            if rule["type"] == "int" and "max" in rule:
                yield f"{name}.{field}", FIELDS[name][field], rule


@pytest.mark.parametrize(("where", "field", "rule"), [pytest.param(*b, id=b[0]) for b in bounded()])
def test_numbers_are_held_to_the_bounds_of_the_spec(
    where: str, field: Field, rule: dict[str, Any]
) -> None:
    low, high = (WIRE["limits"].get(rule[end], rule[end]) for end in ("min", "max"))

    assert field.check(low, "/x") == low
    assert field.check(high, "/x") == high
    for outside in (low - 1, high + 1):
        with pytest.raises(Refused):
            field.check(outside, "/x")


def test_every_route_and_command_of_the_spec_is_there() -> None:
    routes = {line: name for name, row in PLAYED.items() for line in row.get("http", ())}

    assert routes == ROUTES
    assert {n for n, row in PLAYED.items() if "wire" not in row} == HTTP_ONLY
    assert {n for n, row in PLAYED.items() if row.get("wire") == 2} == VERSION_2
    assert {n for n, r in PLAYED.items() if r.get("auth") is False} - HTTP_ONLY == WITHOUT_TOKEN


def job_in(state: str) -> tuple[FakeQueue, FakeJob]:
    """A queue with one job in *state*, brought there by operations."""
    queue = FakeQueue(T0)
    job_id = str(uuid.uuid4())
    options: dict[str, Any] = {"delay_ms": 1000} if state == "delayed" else {}
    if state == "blocked":
        parent = queue.push("parents", {"name": "parent"})[0]
        options = {"depends_on": [parent]}
    queue.push("q", {"id": job_id, "name": "job", **options})
    job = queue.jobs[job_id]
    if state in ("active", "completed", "dlq"):
        queue.pull(["q"], count=1)
    if state == "completed":
        queue.ack(job_id, job.lease)
    if state == "dlq":
        queue.fail(job_id, job.lease, "no", discard=True)
    if state == "cancelled":
        queue.cancel(job_id)
    assert job.state == state
    return queue, job


CALLS: dict[str, Callable[[FakeQueue, FakeJob], Any]] = {
    "pull": lambda q, job: q.pull(["q"], count=1),
    "ack": lambda q, job: q.ack(job.id, None),
    "fail": lambda q, job: q.fail(job.id, None, "no"),
    "release": lambda q, job: q.release(job.id, None),
    "heartbeat": lambda q, job: q.heartbeat(job.id, None),
    "progress": lambda q, job: q.progress(job.id, None, 1, None),
    "cancel": lambda q, job: q.cancel(job.id)[1],
    "retry": lambda q, job: q.retry(job.id),
    "promote": lambda q, job: q.promote(job.id)[1],
    "delete": lambda q, job: q.delete(job.id),
}
CELLS = [
    pytest.param(operation, state, cell, id=f"{operation}-{state}")
    for operation, row in LIFECYCLE["operations"].items()
    if operation in CALLS
    for state, cell in row[True].items()  # YAML 1.1 reads the key `on` as a boolean
]


@pytest.mark.parametrize(("operation", "state", "cell"), CELLS)
def test_every_cell_of_the_lifecycle(operation: str, state: str, cell: dict[str, Any]) -> None:
    queue, job = job_in(state)

    if cell["effect"] == "refuse":
        with pytest.raises(Refused) as caught:
            CALLS[operation](queue, job)
        assert caught.value.code == cell["error"]
        assert job.state == state
        return
    answer = CALLS[operation](queue, job)

    allowed = set(cell["to"]) if cell["effect"] == "move" else {state}
    assert job.state in allowed
    assert (answer is True) == (cell["effect"] == "already")


@pytest.mark.parametrize("ended_by", ["ack", "fail", "release"])
@pytest.mark.parametrize("operation", LIFECYCLE["operations"])
def test_a_lease_that_is_over_is_answered_already_or_lost(ended_by: str, operation: str) -> None:
    row = LIFECYCLE["operations"][operation]
    if not row.get("lease"):
        assert operation not in ("ack", "fail", "release", "heartbeat", "progress")
        return
    queue, job = job_in("active")
    lease = job.lease
    call = {
        "ack": lambda: queue.ack(job.id, lease),
        "fail": lambda: queue.fail(job.id, lease, "no", 1000),
        "release": lambda: queue.release(job.id, lease),
        "heartbeat": lambda: queue.heartbeat(job.id, lease),
        "progress": lambda: queue.progress(job.id, lease, 1, None),
    }
    call[ended_by]()

    if row.get("already_same_lease") == ended_by:
        assert call[operation]() is True
    else:
        with pytest.raises(Refused) as caught:
            call[operation]()
        assert caught.value.code == "LEASE_LOST"


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture(params=["http", "tcp"])
def client(request: pytest.FixtureRequest, fake: FakeServer) -> Iterator[Client]:
    with Client(fake.url if request.param == "http" else fake.tcp_url, retries=0) as one:
        yield one


def test_delays_leases_and_ttl_end_on_the_clock_that_the_test_moves(
    fake: FakeServer, client: Client
) -> None:
    delayed = client.push("q", "job", delay=60).id
    short = client.push("q", "job", ttl=30, delay=40).id

    assert client.pull("q") == []
    fake.advance(60)
    (job,) = client.pull("q", count=5)
    assert job.id == delayed
    assert (client.get_job(short).state, client.get_job(short).reason) == ("cancelled", "expired")

    fake.advance(29.999)
    assert client.get_job(delayed).state == "active"
    fake.advance(0.001)
    after = client.get_job(delayed)
    assert (after.state, after.attempt, after.errors[0].kind) == ("waiting", 1, "lease_expired")
    with pytest.raises(ConflictError, match="LEASE_LOST"):
        client.ack(job)


def test_a_job_whose_workers_all_die_ends_as_poison(fake: FakeServer, client: Client) -> None:
    job = client.push("q", "job", max_attempts=2).id

    for _ in range(2):
        client.pull("q")
        fake.advance(30)

    assert (client.get_job(job).state, client.get_job(job).reason) == ("dlq", "poison")


def test_a_timeout_fails_the_attempt_with_backoff(fake: FakeServer, client: Client) -> None:
    job = client.push("q", "job", timeout=5, backoff="fixed", backoff_delay=10).id
    client.pull("q")

    fake.advance(5)

    after = client.get_job(job)
    assert (after.state, after.errors[0].kind) == ("delayed", "timeout")
    fake.advance(10)
    assert client.get_job(job).state == "waiting"


def test_backoff_schedules_and_retry_in(fake: FakeServer, client: Client) -> None:
    client.push("q", "job", backoff_schedule=[1, 5], max_attempts=10)
    waits = []

    for retry_in in (None, None, None, 60.0):
        (job,) = client.pull("q")
        at = client.fail(job, "no", retry_in=retry_in).next_attempt_at
        assert at is not None
        waits.append(round((at - fake.now).total_seconds(), 3))
        fake.advance(waits[-1])

    assert waits == [1, 5, 5, 60]


def test_finished_jobs_go_when_their_retention_is_over(fake: FakeServer, client: Client) -> None:
    client.update_queue("q", retention_completed=60)
    job = client.push("q", "job").id
    client.ack(client.pull("q")[0])

    fake.advance(59)
    assert client.get_job(job).state == "completed"
    fake.advance(1)
    with pytest.raises(NotFoundError):
        client.get_job(job)


def test_a_start_gives_every_lease_its_length_again(fake: FakeServer, client: Client) -> None:
    client.push("q", "job")
    (job,) = client.pull("q", lease=30)
    fake.advance(20)

    fake.restart()

    fake.advance(29)
    assert fake.job(job.id)["state"] == "active"


# --- pushing and pulling ----------------------------------------------------------------------------------------------


def test_the_order_is_priority_then_time_and_lifo_goes_ahead(
    fake: FakeServer, client: Client
) -> None:
    for name, options in {
        "first": {},
        "second": {},
        "urgent": {"priority": 5},
        "last-in": {"lifo": True},
    }.items():
        client.push("q", name, **options)  # type: ignore[arg-type]
        fake.advance(1)

    assert [job.name for job in client.pull("q", count=9)] == [
        "urgent",
        "last-in",
        "first",
        "second",
    ]


def test_a_push_with_the_same_id_is_the_same_job(client: Client) -> None:
    job_id = str(uuid.uuid4())

    first = client.push("q", "job", {"n": 1}, id=job_id)
    again = client.push("q", "job", {"n": 1}, id=job_id)
    with pytest.raises(ConflictError, match="ID_CONFLICT"):
        client.push("q", "job", {"n": 2}, id=job_id)

    assert (first.outcome, again.outcome) == ("created", "existing")


def test_unique_keys(fake: FakeServer, client: Client) -> None:
    first = client.push("q", "job", unique_key="k", unique_for=60)
    with pytest.raises(ConflictError) as caught:
        client.push("q", "job", unique_key="k")
    ignored = client.push("q", "job", unique_key="k", on_conflict="ignore")
    replaced = client.push("q", "job", unique_key="k", on_conflict="replace")

    assert caught.value.details["existing_id"] == first.id == ignored.id
    assert replaced.outcome == "replaced"
    assert client.get_job(first.id).reason == "replaced"

    client.ack(client.pull("q")[0])
    assert client.push("q", "job", unique_key="k").created


def test_a_bad_item_refuses_the_whole_batch_and_is_named(client: Client) -> None:
    client.push("q", "job", unique_key="k")
    items = [PushItem(name="a"), PushItem(name="b", unique_key="k")]

    with pytest.raises(ConflictError) as caught:
        client.push_batch("q", items)
    each = client.push_batch("q", items, atomic=False)

    assert caught.value.details["pointer"] == "/jobs/1/unique_key"
    assert client.stats("q").counts.waiting == 2
    assert isinstance(each[1], ConflictError)


def test_children_wait_for_their_parents_and_fall_with_them(
    fake: FakeServer, client: Client
) -> None:
    good, bad = client.push("q", "good").id, client.push("q", "bad", max_attempts=1).id
    child = client.push("q", "child", depends_on=[good]).id
    orphan = client.push("q", "orphan", depends_on=[bad]).id
    grandchild = client.push("q", "grandchild", depends_on=[orphan]).id

    first, second = client.pull("q", count=2)
    client.ack(first)
    client.fail(second, "no")

    assert client.get_job(child).state == "waiting"
    for job in (orphan, grandchild):
        assert (client.get_job(job).state, client.get_job(job).reason) == ("dlq", "parent_failed")
    assert client.get_job(orphan).last_error == f"parent job '{bad}' moved to DLQ"


def test_a_request_id_brings_the_same_jobs_while_their_leases_live(
    fake: FakeServer, client: Client
) -> None:
    for _ in range(3):
        client.push("q", "job")

    first = client.pull("q", count=2, request_id="r1")
    again = client.pull("q", count=2, request_id="r1")
    fake.advance(30)
    later = client.pull("q", count=2, request_id="r1")

    assert [job.id for job in again] == [job.id for job in first]
    assert [job.lease for job in again] == [job.lease for job in first]
    assert {job.delivery for job in later} <= {1, 2}
    assert [job.lease for job in later] != [job.lease for job in first]


def test_pauses_and_limits(fake: FakeServer, client: Client) -> None:
    client.push("q", "job")
    client.pause_queue("q")
    assert client.pull("q") == []
    client.pause_queue("q", "both")
    with pytest.raises(UnavailableError, match="QUEUE_PAUSED"):
        client.push("q", "job")
    client.resume_queue("q")
    client.update_queue("q", max_length=1)
    with pytest.raises(RateLimitedError, match="QUEUE_FULL"):
        client.push("q", "job")
    assert len(client.pull("q")) == 1


def test_dead_letters_are_listed_retried_and_discarded(fake: FakeServer, client: Client) -> None:
    jobs = [client.push("q", "job").id for _ in range(3)]
    for job in client.pull("q", count=3):
        client.fail(job, "no", discard=True)

    page = client.dlq("q", limit=2)
    assert [job.id for job in page.jobs] == [jobs[2], jobs[1]]
    assert [job.id for job in client.dlq("q", cursor=page.next_cursor).jobs] == [jobs[0]]
    assert client.retry_dlq("q", limit=1).remaining == 2
    assert client.get_job(jobs[0]).attempt == 0
    assert client.discard_dlq("q").count == 2
    assert [job.id for job in client.find(queue="q", state="waiting")] == [jobs[0]]


def test_a_removed_job_remembers_its_ack_for_a_minute(fake: FakeServer, client: Client) -> None:
    client.push("q", "job", remove_on_complete=True)
    (job,) = client.pull("q")

    assert client.ack(job) is False
    assert client.ack(job) is True
    with pytest.raises(NotFoundError):
        client.get_job(job)
    fake.advance(60)
    with pytest.raises(NotFoundError):
        client.ack(job)


def test_find_filters_and_pages_newest_first(fake: FakeServer, client: Client) -> None:
    jobs = [client.push("q", "job", tags=[str(n % 2)], flow_id="f").id for n in range(5)]

    page = client.find_page(queue="q", tag="0", limit=2)
    rest = client.find_page(queue="q", tag="0", cursor=page.next_cursor)

    assert [job.id for job in (*page.jobs, *rest.jobs)] == jobs[::2][::-1]
    assert (len(page.jobs), rest.next_cursor) == (2, None)
    assert [job.id for job in client.get_flow("f").jobs] == jobs


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"queue": "q", "name": "job", "nmae": "x"}, "/nmae"),
        ({"queue": "q"}, "/name"),
        ({"queue": "a b", "name": "job"}, "/queue"),
        ({"queue": "q", "name": "job", "priority": 1.5}, "/priority"),
        ({"queue": "q", "name": "job", "delay_ms": 1, "run_at": "2026-01-01T00:00:00Z"}, "/run_at"),
        ({"queue": "q", "name": "job", "on_conflict": "ignore"}, "/on_conflict"),
        ({"queue": "q", "name": "job", "options": {"lifo": True}, "lifo": True}, "/options/lifo"),
        (
            {"queue": "q", "name": "job", "data": [[[]] * 2] * 2, "metadata": "x" * 65_536},
            "/metadata",
        ),
    ],
)
def test_a_bad_field_is_refused_by_its_pointer(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Refused) as caught:
        check("push", fields)

    assert caught.value.code == "VALIDATION_ERROR"
    assert caught.value.details is not None
    assert caught.value.details["pointer"] == pointer


# --- heartbeats -------------------------------------------------------------------------------------------------------


def test_a_held_heartbeat_is_answered_by_a_cancel(fake: FakeServer, client: Client) -> None:
    job_id = client.push("q", "job").id
    (job,) = client.pull("q", worker_id="w1")
    assert not client.heartbeat_batch([job], worker=WorkerReport(id="w1"), wait=0.01).cancelled
    client.cancel(job_id)

    answer = client.heartbeat_batch([], worker=WorkerReport(id="w1"), wait=30)

    assert answer.cancelled == (job_id,)
    assert client.release(job).state == "cancelled"


def test_a_held_heartbeat_renews_its_leases_once(fake: FakeServer, client: Client) -> None:
    client.push("q", "job")
    (job,) = client.pull("q", worker_id="w1", lease=30)

    client.heartbeat_batch([job], worker=WorkerReport(id="w1"), wait=0.01)
    fake.advance(30)

    assert client.get_job(job.id).state == "waiting"
    answer = client.heartbeat_batch([job], worker=WorkerReport(id="w1"), wait=30)
    assert answer.lost == (job.id,)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_dropped_answer_was_carried_out(fake: FakeServer, client: Client) -> None:
    fake.drop_next_answer("push")

    with pytest.raises(TransportError, match="CONNECTION_LOST"):
        client.push("q", "job")

    assert client.stats("q").counts.waiting == 1


def test_a_swallowed_request_was_not(fake: FakeServer, client: Client) -> None:
    fake.swallow_next("push")

    with pytest.raises((RequestTimeout, TransportError)):
        client.with_options(timeout=0.05).push("q", "job")

    assert client.stats("q").counts.waiting == 0


def test_a_refusal_on_demand(fake: FakeServer, client: Client) -> None:
    fake.refuse_next("push", "OVERLOADED")

    with pytest.raises(UnavailableError, match="OVERLOADED"):
        client.push("q", "job")
    assert client.push("q", "job").created


def test_refused_connections_keep_their_port(fake: FakeServer, client: Client) -> None:
    urls = (fake.url, fake.tcp_url)
    fake.stop()

    with pytest.raises(TransportError):
        client.ping()
    with pytest.raises(TransportError, match="CONNECTION_FAILED"):
        client.ping()

    fake.start()
    client.ping()
    assert (fake.url, fake.tcp_url) == urls


def test_nothing_is_claimed_for_a_connection_that_is_gone(fake: FakeServer, client: Client) -> None:
    with pytest.raises((RequestTimeout, TransportError)):
        client.with_options(timeout=-19.95).pull("q", wait=20)  # gives up after 50 ms
    client.close()

    with Client(fake.url) as other:
        job = other.push("q", "job").id
        assert other.get_job(job).state == "waiting"


def test_a_drain_ends_held_pulls_and_refuses_new_ones(fake: FakeServer, client: Client) -> None:
    fake.drain()

    with pytest.raises(JobwireError, match="SHUTTING_DOWN"):
        client.pull("q")


@pytest.mark.parametrize("door", ["http", "tcp"])
def test_a_server_with_a_token_wants_it(door: str) -> None:
    with FakeServer(token="right") as fake:
        url = fake.url if door == "http" else fake.tcp_url
        with Client(url, token="right") as client:
            assert client.push("q", "job").created
        with Client(url, token="wrong") as client, pytest.raises(AuthError):
            client.push("q", "job")


def test_waiting_in_vain_says_for_what(fake: FakeServer) -> None:
    with pytest.raises(AssertionError, match="2 x pull"):
        fake.wait_for("pull", 2, timeout=0.01)


def test_wrong_arguments_over_the_wire_are_validation_errors(client: Client) -> None:
    with pytest.raises(ValidationError):
        client.push("a b", "job")


# --- bytes ------------------------------------------------------------------------------------------------------------

MALFORMED = json.loads((SPEC / "vectors" / "malformed.json").read_text())["vectors"]


def malformed(door: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    for row in MALFORMED:
        if row["door"] == door:
            parts = row.get("parts", [[row.get("hex", ""), 1]])
            yield row, b"".join(bytes.fromhex(part) * count for part, count in parts)


def test_malformed_lines_are_refused_with_their_codes(fake: FakeServer) -> None:
    where = urlsplit(fake.tcp_url)
    answers = {}
    with (
        socket.create_connection((where.hostname, where.port)) as connection,
        connection.makefile("rb") as lines,
    ):
        for row, line in malformed("tcp"):
            connection.sendall(line + b"\n")
            answers[row["id"]] = json.loads(lines.readline())["error"]["code"]

    assert answers == {row["id"]: row["code"] for row, _ in malformed("tcp")}


def test_malformed_bodies_are_refused_with_their_codes_and_statuses(fake: FakeServer) -> None:
    headers = {"Content-Type": "application/json"}
    answers = {}
    with closing(HTTPConnection(urlsplit(fake.url).netloc)) as connection:
        for row, body in malformed("http"):
            connection.request("POST", "/api/v1/queues/emails/jobs", body, headers)
            answer = connection.getresponse()
            answers[row["id"]] = (json.load(answer)["error"]["code"], answer.status)

    assert answers == {row["id"]: (row["code"], row["status"]) for row, _ in malformed("http")}


def talk(fake: FakeServer, *lines: str) -> list[dict[str, Any]]:
    """What one connection is answered that says these lines in one write, the last one without its end, and then no more."""
    where = urlsplit(fake.tcp_url)
    with (
        socket.create_connection((where.hostname, where.port)) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall("\n".join(lines).encode())
        connection.shutdown(socket.SHUT_WR)
        return [json.loads(answer) for answer in answers]


def test_a_last_line_needs_no_end(fake: FakeServer) -> None:
    assert talk(fake, '{"cmd":"ping","rid":1}', '{"cmd":"ping","rid":2}') == [
        {"ok": True, "rid": 1},
        {"ok": True, "rid": 2},
    ]


def test_what_stands_behind_a_bye_is_not_carried_out(fake: FakeServer) -> None:
    assert talk(fake, '{"cmd":"bye"}', '{"cmd":"push","queue":"q","name":"job"}') == [{"ok": True}]
    assert fake.calls == []


def test_a_second_hello_is_refused(fake: FakeServer) -> None:
    first, second = talk(fake, '{"cmd":"hello","v":[2]}', '{"cmd":"hello","v":[1]}')

    assert (first["v"], second["error"]["code"]) == (2, "VALIDATION_ERROR")


def test_only_version_2_says_whether_to_try_again(fake: FakeServer) -> None:
    old, _, new = talk(fake, '{"cmd":"nope"}', '{"cmd":"hello","v":[2]}', '{"cmd":"nope"}')

    assert set(old["error"]) == {"code", "message", "details"}
    assert new["error"]["retryable"] is False
