"""Every operation: the request it makes for both wires, the answer it reads, and its row in the specification."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobwire import AsyncClient, Client
from jobwire import _errors as errors
from jobwire import _models as models
from jobwire import _operations as operations
from jobwire._models import UNSET, FailItem, Job, PushItem
from jobwire._operations import ROUTES, Reply, Request

SPEC: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "spec" / "wire.yaml").read_text(encoding="utf-8")
)
PULLED = Job(id="j1", lease="L1")


def _pull(**options: Any) -> Request[list[Job]]:
    given = {
        "count": 1,
        "wait": 0.0,
        "lease": None,
        "names": None,
        "worker_id": None,
        "request_id": "r",
        "weights": None,
    }
    return operations.pull(options.pop("queues", ["q"]), **{**given, **options})


def _find(**options: Any) -> Request[models.Page]:
    names = (
        "queue state name tag group_id flow_id custom_id created_after created_before limit cursor"
    )
    return operations.find(**{**dict.fromkeys(names.split()), **options})


def _update(**options: Any) -> Request[models.QueueInfo]:
    names = "lease max_length retention_completed retention_dlq retention_cancelled"
    return operations.update_queue("q", **{**dict.fromkeys(names.split(), UNSET), **options})


# One row an operation: the request, its HTTP line, its HTTP body, its TCP fields.
CASES: list[tuple[Request[Any], str, Any, dict[str, Any]]] = [
    (
        operations.push("q", PushItem(name="n", data={"a": 1}, delay=1.5, tags=("t",)), "i"),
        "POST /queues/q/jobs",
        {"id": "i", "name": "n", "data": {"a": 1}, "delay_ms": 1500, "tags": ["t"]},
        {
            "queue": "q",
            "id": "i",
            "name": "n",
            "data": {"a": 1},
            "options": {"delay_ms": 1500, "tags": ["t"]},
        },
    ),
    (
        operations.push("a/b ü%", PushItem(name="n", id="mine"), "i"),
        "POST /queues/a%2Fb%20%C3%BC%25/jobs",
        {"id": "mine", "name": "n", "data": None},
        {"queue": "a/b ü%", "id": "mine", "name": "n", "data": None},
    ),
    (
        operations.push_batch(
            "q",
            [{"name": "a"}, PushItem(name="b", id="x", priority=2)],
            atomic=False,
            new_id=lambda: "i",
        ),
        "POST /queues/q/jobs/batch",
        {
            "jobs": [
                {"id": "i", "name": "a", "data": None},
                {"id": "x", "name": "b", "data": None, "options": {"priority": 2}},
            ],
            "atomic": False,
        },
        {
            "queue": "q",
            "jobs": [
                {"id": "i", "name": "a", "data": None},
                {"id": "x", "name": "b", "data": None, "options": {"priority": 2}},
            ],
            "atomic": False,
        },
    ),
    (
        _pull(),
        "POST /pull",
        {"queue": "q", "count": 1, "request_id": "r"},
        {"queue": "q", "count": 1, "request_id": "r"},
    ),
    (
        _pull(
            queues=("a", "b"),
            count=5,
            wait=1.25,
            lease=30,
            names=["n"],
            worker_id="w",
            weights=(1, 2),
        ),
        "POST /pull",
        {
            "queues": ["a", "b"],
            "count": 5,
            "wait_ms": 1250,
            "lease_ms": 30000,
            "names": ["n"],
            "worker_id": "w",
            "request_id": "r",
            "weights": [1, 2],
        },
        {
            "queues": ["a", "b"],
            "count": 5,
            "wait_ms": 1250,
            "lease_ms": 30000,
            "names": ["n"],
            "worker_id": "w",
            "request_id": "r",
            "weights": [1, 2],
        },
    ),
    (
        operations.ack(PULLED, UNSET, lease=None),
        "POST /jobs/j1/ack",
        {"lease": "L1"},
        {"id": "j1", "lease": "L1"},
    ),
    (
        operations.ack("j1", None, lease="L9"),
        "POST /jobs/j1/ack",
        {"lease": "L9", "result": None},
        {"id": "j1", "lease": "L9", "result": None},
    ),
    (
        operations.ack_batch([PULLED, ("j2", {"r": 1}), "j3"]),
        "POST /jobs/ack",
        {"items": [{"id": "j1", "lease": "L1"}, {"id": "j2", "result": {"r": 1}}, {"id": "j3"}]},
        {"items": [{"id": "j1", "lease": "L1"}, {"id": "j2", "result": {"r": 1}}, {"id": "j3"}]},
    ),
    (
        operations.fail(FailItem(PULLED, ValueError("bad"), 2.0, True)),
        "POST /jobs/j1/fail",
        {"lease": "L1", "error": "ValueError: bad", "retry_in_ms": 2000, "discard": True},
        {
            "id": "j1",
            "lease": "L1",
            "error": "ValueError: bad",
            "retry_in_ms": 2000,
            "discard": True,
        },
    ),
    (
        operations.fail_batch([("j1", "e"), FailItem("j2", KeyError(), 0)]),
        "POST /jobs/fail",
        {
            "items": [
                {"id": "j1", "error": "e"},
                {"id": "j2", "error": "KeyError", "retry_in_ms": 0},
            ]
        },
        {
            "items": [
                {"id": "j1", "error": "e"},
                {"id": "j2", "error": "KeyError", "retry_in_ms": 0},
            ]
        },
    ),
    (
        operations.release(PULLED, delay=0.0),
        "POST /jobs/j1/release",
        {"lease": "L1"},
        {"id": "j1", "lease": "L1"},
    ),
    (
        operations.release("j1", delay=3),
        "POST /jobs/j1/release",
        {"delay_ms": 3000},
        {"id": "j1", "delay_ms": 3000},
    ),
    (
        operations.heartbeat(PULLED, lease=60),
        "POST /jobs/j1/heartbeat",
        {"lease": "L1", "lease_ms": 60000},
        {"id": "j1", "lease": "L1", "lease_ms": 60000},
    ),
    (
        operations.heartbeat_batch(
            [PULLED, ("j2", 5)], worker=models.WorkerReport(id="w"), wait=10
        ),
        "POST /jobs/heartbeat",
        {
            "items": [{"id": "j1", "lease": "L1"}, {"id": "j2", "lease_ms": 5000}],
            "worker": {"id": "w", "queues": [], "state": "running"},
            "wait_ms": 10000,
        },
        {
            "items": [{"id": "j1", "lease": "L1"}, {"id": "j2", "lease_ms": 5000}],
            "worker": {"id": "w", "queues": [], "state": "running"},
            "wait_ms": 10000,
        },
    ),
    (
        operations.progress(PULLED, 40, "half"),
        "POST /jobs/j1/progress",
        {"lease": "L1", "progress": 40, "message": "half"},
        {"id": "j1", "lease": "L1", "progress": 40, "message": "half"},
    ),
    (operations.cancel(PULLED), "POST /jobs/j1/cancel", {}, {"id": "j1"}),
    (operations.retry("j1"), "POST /jobs/j1/retry", {}, {"id": "j1"}),
    (operations.promote("j1"), "POST /jobs/j1/promote", {}, {"id": "j1"}),
    (operations.get_job("j1"), "GET /jobs/j1", None, {"id": "j1"}),
    (operations.delete_job(PULLED), "DELETE /jobs/j1", None, {"id": "j1"}),
    (_find(), "GET /jobs", None, {}),
    (
        _find(
            state=["dlq", models.JobState.ACTIVE],
            tag="a&b",
            created_after=datetime(2026, 1, 2, tzinfo=timezone.utc),
            limit=5,
        ),
        "GET /jobs?state=dlq%2Cactive&tag=a%26b&created_after=2026-01-02T00%3A00%3A00.000Z&limit=5",
        None,
        {
            "state": ["dlq", "active"],
            "tag": "a&b",
            "created_after": "2026-01-02T00:00:00.000Z",
            "limit": 5,
        },
    ),
    (operations.list_queues(), "GET /queues", None, {}),
    (operations.get_queue("q"), "GET /queues/q", None, {"queue": "q"}),
    (
        _update(lease=None, max_length=7, retention_dlq=1.5),
        "PATCH /queues/q",
        {"lease_ms": None, "max_length": 7, "retention_dlq_ms": 1500},
        {"queue": "q", "lease_ms": None, "max_length": 7, "retention_dlq_ms": 1500},
    ),
    (operations.stats("q"), "GET /queues/q/stats", None, {"queue": "q"}),
    (
        operations.pause_queue("q", "both"),
        "POST /queues/q/pause",
        {"mode": "both"},
        {"queue": "q", "mode": "both"},
    ),
    (operations.resume_queue("q"), "POST /queues/q/resume", {}, {"queue": "q"}),
    (
        operations.dlq("q", limit=3, cursor="c+/"),
        "GET /queues/q/dlq?limit=3&cursor=c%2B%2F",
        None,
        {"queue": "q", "limit": 3, "cursor": "c+/"},
    ),
    (
        operations.retry_dlq("q", ids=[PULLED, "j2"], limit=None),
        "POST /queues/q/dlq/retry",
        {"ids": ["j1", "j2"]},
        {"queue": "q", "ids": ["j1", "j2"]},
    ),
    (
        operations.discard_dlq("q", ids=None, limit=9),
        "POST /queues/q/dlq/discard",
        {"limit": 9},
        {"queue": "q", "limit": 9},
    ),
    (operations.get_flow("f/1"), "GET /flows/f%2F1", None, {"flow_id": "f/1"}),
    (operations.list_workers(), "GET /workers", None, {}),
    (operations.health(), "GET /health", None, {}),
    (operations.capabilities(), "GET /capabilities", None, {}),
    (operations.ping(), "GET /health/live", None, {}),
]


@pytest.mark.parametrize(("request_", "http", "body", "fields"), CASES, ids=lambda _: "")
def test_the_request_of_an_operation(
    request_: Request[Any], http: str, body: Any, fields: dict[str, Any]
) -> None:
    sent = request_.http_body()

    assert f"{request_.method} {request_.target}" == http
    assert (None if sent is None else json.loads(sent)) == body
    assert json.loads(request_.tcp_payload()) == fields


def test_every_operation_has_a_case() -> None:
    assert {request.op for request, *_ in CASES} == set(ROUTES) - {"live"}


# --- the specification ------------------------------------------------------------------------------------------------


def _spec_with_method() -> dict[str, Any]:
    return {name: op for name, op in SPEC["operations"].items() if "sdk" in op}


def test_every_method_of_the_specification_exists_in_both_clients() -> None:
    for op in _spec_with_method().values():
        assert callable(getattr(Client, op["sdk"], None)), op["sdk"]
        assert callable(getattr(AsyncClient, op["sdk"], None)), op["sdk"]


@pytest.mark.parametrize("name", sorted(_spec_with_method()))
def test_the_row_of_an_operation_is_the_specifications(name: str) -> None:
    """JW-SDK-3."""
    op, route = SPEC["operations"][name], ROUTES[name]

    assert route.retry == op["retry"]
    assert route.cmd == (name if "wire" in op else None)
    if "http" in op:
        assert route.http in op["http"]


@pytest.mark.parametrize(("request_", "http", "body", "fields"), CASES, ids=lambda _: "")
def test_only_fields_of_the_specification_are_sent(
    request_: Request[Any], http: str, body: Any, fields: dict[str, Any]
) -> None:
    known = _fields_of(SPEC["operations"][request_.op]["fields"])

    assert set(fields) <= known
    assert set(body or ()) <= known | set(SPEC["objects"]["JobOptions"])


def _fields_of(fields: dict[str, Any]) -> set[str]:
    included = fields.get("...", "").removeprefix("object ")
    return (set(fields) | set(SPEC["objects"].get(included, ()))) - {"..."}


def test_every_option_of_the_specification_is_an_argument_of_push() -> None:
    arguments = set(PushItem.__slots__)
    for option in SPEC["objects"]["JobOptions"]:
        assert option.removesuffix("_ms") in arguments, option


# --- answers ----------------------------------------------------------------------------------------------------------

JOB = {"id": "j1", "name": "n"}
ANSWERS: list[tuple[Request[Any], dict[str, Any], Callable[[Any], Any], Any]] = [
    (
        CASES[0][0],
        {"id": "i", "outcome": "existing"},
        lambda r: (r.id, r.outcome, r.created),
        ("i", "existing", False),
    ),
    (CASES[0][0], {"id": "i"}, lambda r: r.outcome, "created"),
    (_pull(), {"job": None}, lambda r: r, []),
    (_pull(), {"job": JOB}, lambda r: [job.id for job in r], ["j1"]),
    (_pull(count=2), {"jobs": [JOB, JOB]}, len, 2),
    (operations.ack("j", UNSET, lease=None), {}, lambda r: r, False),
    (operations.ack("j", UNSET, lease=None), {"already": True}, lambda r: r, True),
    (
        operations.fail(FailItem("j", "e")),
        {"retry": False},
        lambda r: (r.retry, r.next_attempt_at),
        (False, None),
    ),
    (
        operations.fail(FailItem("j", "e")),
        {"will_retry": True, "next_attempt_at": "2026-01-01T00:00:00+00:00"},
        lambda r: (r.retry, r.next_attempt_at),
        (True, datetime(2026, 1, 1, tzinfo=timezone.utc)),
    ),
    (
        operations.release("j", delay=0),
        {"state": "waiting"},
        lambda r: (r.state, r.already),
        ("waiting", False),
    ),
    (
        operations.cancel("j"),
        {"state": "active", "already": True},
        lambda r: (r.state, r.already),
        ("active", True),
    ),
    (operations.cancel("j"), {}, lambda r: r.state, ""),
    (
        operations.heartbeat("j", lease=None),
        {"lease_expires_at": "2026-01-01T00:00:00Z", "cancelled": True},
        lambda r: (r.lease_expires_at, r.cancelled),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), True),
    ),
    (operations.heartbeat("j", lease=None), {}, lambda r: r.lease_expires_at, None),
    (
        operations.heartbeat_batch([], worker=None, wait=0),
        {"results": [{"id": "a", "ok": True}], "lost": ["b"], "cancelled": ["c"], "deaf": True},
        lambda r: (r.results[0].ok, r.lost, r.cancelled, r.deaf),
        (True, ("b",), ("c",), True),
    ),
    (operations.get_job("j"), {"job": JOB}, lambda r: r.name, "n"),
    (operations.delete_job("j"), {}, lambda r: r, None),
    (
        _find(),
        {"jobs": [JOB], "next_cursor": "c"},
        lambda r: (len(r.jobs), r.next_cursor),
        (1, "c"),
    ),
    (
        operations.list_queues(),
        {"queues": [{"name": "q", "counts": {"dlq": 1}}]},
        lambda r: r[0].counts.dlq,
        1,
    ),
    (operations.get_queue("q"), {"queue": {"name": "q"}}, lambda r: r.name, "q"),
    (
        operations.stats("q"),
        {"counts": {"active": 2}, "paused": "pull", "oldest_waiting_ms": 1500},
        lambda r: (r.counts.active, r.paused, r.oldest_waiting),
        (2, "pull", 1.5),
    ),
    (
        operations.retry_dlq("q", ids=None, limit=None),
        {"count": 1, "results": [{"id": "a", "ok": True}], "remaining": 3},
        lambda r: (r.count, r.results[0].id, r.remaining),
        (1, "a", 3),
    ),
    (
        operations.get_flow("f"),
        {"flow_id": "f", "jobs": [JOB], "summary": {"total": 1}},
        lambda r: (r.flow_id, len(r.jobs), r.summary["total"]),
        ("f", 1, 1),
    ),
    (
        operations.list_workers(),
        {"workers": [{"id": "w", "state": "deaf"}]},
        lambda r: r[0].state,
        "deaf",
    ),
    (
        operations.health(),
        {"status": "healthy", "uptime_seconds": 5, "durability": "fsync"},
        lambda r: (r.status, r.uptime, r.durability),
        ("healthy", 5.0, "fsync"),
    ),
    (
        operations.capabilities(),
        {"server": {"name": "s", "version": "1"}, "wire": [1, 2], "limits": {"line_bytes": 5}},
        lambda r: (r.name, r.wire, r.limits),
        ("s", (1, 2), {"line_bytes": 5}),
    ),
]


@pytest.mark.parametrize(("request_", "answer", "look", "expected"), ANSWERS, ids=lambda _: "")
def test_the_answer_to_an_operation(
    request_: Request[Any], answer: dict[str, Any], look: Callable[[Any], Any], expected: Any
) -> None:
    grease = {"a_new_member": {"x": [1]}}

    assert look(request_.read(Reply({"ok": True, **answer, **grease}))) == expected


def test_a_batch_that_is_not_atomic_answers_item_by_item() -> None:
    request = operations.push_batch("q", [], atomic=False, new_id=lambda: "i")
    answer = {
        "ok": True,
        "ids": ["a", None],
        "outcomes": ["replaced", None],
        "results": [{"id": "a", "ok": True}, {"ok": False, "error": {"code": "QUEUE_FULL"}}],
    }

    first, second = request.read(Reply(answer))

    assert first == models.PushResult(id="a", outcome="replaced")
    assert isinstance(second, errors.RateLimitedError)


def test_an_atomic_batch_answers_results() -> None:
    request = operations.push_batch("q", [], atomic=True, new_id=lambda: "i")

    assert request.read(Reply({"ok": True, "ids": ["a", "b"]})) == [
        models.PushResult(id="a"),
        models.PushResult(id="b"),
    ]


def test_a_partial_failure_of_version_1_is_an_answer() -> None:
    answer = {
        "ok": False,
        "error": {"code": "PARTIAL_FAILURE", "message": "x"},
        "results": [{"id": "a", "ok": False, "error": {"code": "JOB_NOT_FOUND", "message": "x"}}],
    }

    [item] = operations.ack_batch(["a"]).read(Reply(answer))

    assert isinstance(item.error, errors.NotFoundError)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"ok": 1},
        {"ok": True},
        {"ok": True, "job": 7},
        {"ok": True, "job": {"name": "n"}},
        {"ok": True, "jobs": None},
        {"ok": True, "job": {"id": "x", "created_at": "no time"}},
        {"ok": False},
    ],
)
def test_a_malformed_answer_is_a_protocol_error(answer: dict[str, Any]) -> None:
    with pytest.raises(errors.ProtocolError):
        _pull().read(Reply(answer))


# --- refusals before sending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: operations.push(
            "q", PushItem(name="n", delay=1, run_at=datetime.now(timezone.utc)), "i"
        ),
        lambda: operations.push("q", PushItem(name="n", run_at=datetime(2026, 1, 1)), "i"),  # noqa: DTZ001
        lambda: operations.push("q", PushItem(name="n", ttl=-1), "i"),
        lambda: operations.push("", PushItem(name="n"), "i"),
        lambda: operations.push("..", PushItem(name="n"), "i"),
        lambda: operations.get_job("\ud800"),
        lambda: operations.push_batch("q", [{"data": 1}], atomic=True, new_id=lambda: "i"),
        lambda: operations.push_batch(
            "q", [{"name": "n", "delay_ms": 1}], atomic=True, new_id=lambda: "i"
        ),
        lambda: _pull(queues=[]),
        lambda: _pull(wait=61),
        lambda: _pull(lease=0.5),
        lambda: _pull(lease=43_201),
        lambda: operations.heartbeat_batch([], worker=None, wait=1),
    ],
)
def test_what_a_server_would_refuse_is_refused_here(make: Callable[[], Request[Any]]) -> None:
    with pytest.raises(errors.ValidationError):
        make()


def test_a_long_error_is_cut_between_characters() -> None:
    text = operations.error_text("ä" * 10_000)

    assert len(text.encode()) == 10_240
    assert operations.error_text("x" + "ä" * 10_000) == "x" + "ä" * 5119


def test_an_error_with_a_lone_surrogate_can_be_sent() -> None:
    assert operations.error_text("a\ud800") == "a\\ud800"


def test_a_request_shows_no_payload_and_no_lease() -> None:
    request = operations.ack(PULLED, {"secret": 1}, lease=None)

    assert repr(request) == "Request(op='ack', wait=0.0)"
