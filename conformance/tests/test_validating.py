"""Every kind of thing that the specification does not document is caught, and what it documents is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.runner.exchange import Exchange, Finding, headers_of
from conformance.runner.http_rules import HttpRules
from conformance.runner.specification import specification
from conformance.runner.tcp_rules import TcpRules, TcpSession
from conformance.runner.validating import NotJson, closed, read_json
from conformance.runner.wire_shapes import answer_schema, shape
from conformance.tests.exchanges import ID, PROBLEM, PUSHED, REFUSED, a_job, exchange, line

HTTP = HttpRules(specification())
TCP = TcpRules(specification())
UNAUTHORIZED = {
    "ok": False,
    "error": {"code": "UNAUTHORIZED", "message": "no", "details": None, "retryable": False},
}
FULL = {
    "ok": False,
    "error": {
        "code": "QUEUE_FULL",
        "message": "no",
        "details": {"queue": "q", "limit": 1},
        "retryable": True,
        "retry_after_ms": 1001,
    },
}


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the member at `a.b` set, or removed when the value is ...."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    inner = copy
    for step in parents:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return copy


# --- reading ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b"\xef\xbb\xbf{}",
        b"NaN",
        b'{"a":Infinity}',
        b"{} {}",
        b"",
        b'"\xff"',
        b"[" * 5000,
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(data)


def test_an_integer_of_any_length_is_read() -> None:
    assert read_json(b"[" + b"9" * 10_000 + b",-" + b"9" * 30 + b"]") == [10**18, -(10**18)]


# --- HTTP -------------------------------------------------------------------------------------------------------

GOOD = {
    "a push": exchange(),
    "an existing one": exchange(status=200, body={**PUSHED, "outcome": "existing"}),
    "an array": exchange(body={"ok": True, "ids": [ID], "outcomes": ["created"]}),
    "a job": exchange("GET", f"/jobs/{ID}", 200, {"ok": True, "job": a_job()}),
    "data with a long integer": exchange(
        "GET", f"/jobs/{ID}", 200, {"ok": True, "job": a_job(data={"n": 10**400})}
    ),
    "a refusal": exchange("GET", f"/jobs/{ID}", 404, REFUSED),
    "a problem": exchange(
        "GET",
        f"/jobs/{ID}",
        404,
        PROBLEM,
        media_type="application/problem+json",
        request_headers=(("accept", "application/problem+json"),),
    ),
    "a wait": exchange(status=429, body=FULL, headers=[("retry-after", "2")]),
    "a token wanted": exchange(
        status=401, body=UNAUTHORIZED, headers=[("www-authenticate", "Bearer")]
    ),
    "an unknown path": exchange(
        "GET",
        "/nowhere",
        404,
        changed(changed(REFUSED, "error.code", "ROUTE_NOT_FOUND"), "error.details", {"path": "/"}),
    ),
    "text": exchange("GET", "/metrics/prometheus", 200, b"# HELP", media_type="text/plain"),
    "a head": exchange("HEAD", "/queues", 200, b""),
    "options": exchange("OPTIONS", "/queues", 204, b"", headers=[("allow", "GET")]),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_documented_has_no_problem(name: str) -> None:
    assert HTTP.check(GOOD[name]).problems == []


BAD = {
    "an undocumented member": (exchange(body={**PUSHED, "more": 1}), "'more' was unexpected"),
    "an undocumented member of a job": (
        exchange("GET", f"/jobs/{ID}", 200, {"ok": True, "job": a_job(colour="red")}),
        "'colour' was unexpected",
    ),
    "a member that is missing": (exchange(body=changed(PUSHED, "outcome", ...)), '"outcome" is'),
    "an undocumented word": (
        exchange("GET", f"/jobs/{ID}", 200, {"ok": True, "job": a_job(state="lost")}),
        '"lost"',
    ),
    "a time without Z": (
        exchange(
            "GET",
            f"/jobs/{ID}",
            200,
            {"ok": True, "job": a_job(created_at="2026-11-22T09:00:00+00:00")},
        ),
        "/job/created_at",
    ),
    "an undocumented status": (exchange(status=202), "status 202"),
    "another media type": (exchange(media_type="text/plain"), "media type 'text/plain'"),
    "an undocumented code": (
        exchange(status=404, body=REFUSED),
        "JOB_NOT_FOUND is not documented for 404",
    ),
    "a code of no catalogue": (
        exchange("GET", f"/jobs/{ID}", 404, changed(REFUSED, "error.code", "LOST_IT")),
        "'LOST_IT' is not in errors.yaml",
    ),
    "a code of the other door": (
        exchange("GET", f"/jobs/{ID}", 404, changed(REFUSED, "error.code", "NOT_FOUND")),
        "does not have NOT_FOUND over http",
    ),
    "an undocumented detail": (
        exchange("GET", f"/jobs/{ID}", 404, changed(REFUSED, "error.details", {"colour": 1})),
        "no details colour",
    ),
    "a wrong retryable": (
        exchange("GET", f"/jobs/{ID}", 404, changed(REFUSED, "error.retryable", True)),
        "retryable of JOB_NOT_FOUND is True",
    ),
    "a code with another status": (
        exchange("GET", f"/jobs/{ID}", 400, REFUSED),
        "does not have JOB_NOT_FOUND with 400",
    ),
    "no header that is required": (exchange(status=401, body=UNAUTHORIZED), "www-authenticate"),
    "no request id": (
        Exchange(method="GET", target="/api/v1/health", status=200, body=b"{}"),
        "JW-HTTP-17",
    ),
    "a problem unasked": (
        exchange("GET", f"/jobs/{ID}", 404, PROBLEM, media_type="application/problem+json"),
        "JW-HTTP-2",
    ),
    "no problem although asked": (
        exchange(
            "GET",
            f"/jobs/{ID}",
            404,
            REFUSED,
            request_headers=(("accept", "application/problem+json, */*"),),
        ),
        "JW-HTTP-2",
    ),
    "a problem of another status": (
        exchange(
            "GET",
            f"/jobs/{ID}",
            404,
            {**PROBLEM, "status": 400},
            media_type="application/problem+json",
            request_headers=(("accept", "application/problem+json"),),
        ),
        "the problem's status is 400",
    ),
    "a wait without its header": (exchange(status=429, body=FULL), "JW-HTTP-4"),
    "a wait rounded down": (
        exchange(status=429, body=FULL, headers=[("retry-after", "1")]),
        "JW-HTTP-4",
    ),
    "no JSON": (exchange(body=b"{"), "not strict JSON"),
    "a key twice": (exchange(body=b'{"ok":true,"ok":true}'), "the key 'ok' is there twice"),
    "an unknown path that is served": (exchange("GET", "/nowhere", 200, {"ok": True}), "error as"),
    "HTML for an unknown path": (
        exchange("GET", "/nowhere", 404, b"<html>", media_type="text/html"),
        "JW-HTTP-1",
    ),
    "a head with a body": (exchange("HEAD", "/queues", 200, b"{}"), "the answer has a body"),
    "options without Allow": (exchange("OPTIONS", "/queues", 204, b""), "no Allow header"),
    "a bad error of an item": (
        exchange(
            "POST",
            "/jobs/ack",
            200,
            {
                "ok": True,
                "acked": 0,
                "failed": 1,
                "results": [{"id": ID, **changed(REFUSED, "error.details", {"x": 1})}],
            },
        ),
        "no details x for JOB_NOT_FOUND",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_undocumented_is_a_problem(name: str) -> None:
    answer, said = BAD[name]

    problems = HTTP.check(answer).problems

    assert any(said in each for each in problems), problems


@pytest.mark.parametrize(
    ("method", "path", "operations"),
    [
        ("POST", "/jobs/ack", ["ackBatch"]),
        ("GET", f"/jobs/{ID}?x=1", ["getJob"]),
        ("GET", f"/jobs/{ID}/", ["getJob"]),
        ("PUT", "/queues/q%2Fr/jobs", ["pullLegacy", "push"]),
        ("HEAD", "/queues", ["listQueues"]),
        ("GET", "/queues//jobs", []),
    ],
)
def test_an_exchange_counts_for_the_operation_of_its_path(
    method: str, path: str, operations: list[str]
) -> None:
    found = HTTP.operations(exchange(method, path))

    assert [each.id for each in found] == operations


@pytest.mark.parametrize(("method", "path"), [("PUT", "/queues"), ("GET", "/queues/")])
def test_a_refused_token_counts_for_no_operation_that_was_not_asked(method: str, path: str) -> None:
    answer = exchange(method, path, 401, UNAUTHORIZED, headers=[("www-authenticate", "Bearer")])

    found = HTTP.check(answer)

    assert (found.operations, found.code, found.problems) == ((), "UNAUTHORIZED", [])


def test_headers_of_any_library_are_read() -> None:
    assert headers_of({"X-A": "1"}) == headers_of([(b"x-a", b"1")]) == (("x-a", "1"),)


# --- TCP --------------------------------------------------------------------------------------------------------


def talk(*turns: tuple[bytes, bytes]) -> list[Finding]:
    """What is made of the answers, when each request is answered before the next."""
    session = TcpSession(TCP)
    found: list[Finding] = []
    for request, answer in turns:
        session.sent(request)
        found += [finding for _, finding in session.received(answer)]
    return found


def problems(*turns: tuple[bytes, bytes]) -> list[str]:
    return [problem for finding in talk(*turns) for problem in finding.problems]


def welcome(version: int, **members: Any) -> bytes:
    return line(
        ok=True,
        v=version,
        server={"name": "jobwire", "version": "1"},
        capabilities=[],
        limits={},
        defaults={},
        heartbeat_ms=1,
        **members,
    )


HELLO = line(cmd="hello", v=[1, 2])
GREETED = (HELLO, welcome(2))
PUSH = line(cmd="push", queue="q", name="n")
V1_REFUSAL = {"code": "VALIDATION_ERROR", "message": "no", "details": {"pointer": "/x"}}
V2_REFUSAL = {**V1_REFUSAL, "retryable": False}


def test_good_dialogues_have_no_problem() -> None:
    assert problems((PUSH, line(**PUSHED)), GREETED, (PUSH, line(**PUSHED))) == []
    assert problems((PUSH, line(ok=False, error=V1_REFUSAL))) == []
    assert problems(GREETED, (PUSH, line(ok=False, error=V2_REFUSAL))) == []
    assert (
        problems(
            (b"{\n", line(ok=False, error={**V1_REFUSAL, "code": "PARSE_ERROR", "details": None}))
        )
        == []
    )
    assert problems(GREETED, (b"", line(notice="goaway", last_rid=None, reason="shutdown"))) == []


def test_answers_find_their_requests_by_rid_and_by_order() -> None:
    slow = line(cmd="pull", queue="q", wait_ms=9, rid=1)
    fast = line(cmd="stats", queue="q")
    session = TcpSession(TCP)
    session.sent(HELLO)
    session.received(welcome(2))
    session.sent(slow + PUSH + fast[:5])
    session.sent(fast[5:])

    answers = line(**PUSHED) + line(ok=True, job=None, rid=1)
    found = [finding for _, finding in session.received(answers)]

    assert [finding.operations for finding in found] == [("push",), ("pull",)]
    assert [finding.problems for finding in found] == [[], []]


def test_a_line_that_is_answered_before_its_end_is_answered_once() -> None:
    session = TcpSession(TCP)
    refusal = {"code": "REQUEST_TIMEOUT", "message": "no", "details": None}
    session.sent(b'{"cmd":"push",')

    assert session.received(line(ok=False, error=refusal))[0][1].problems == []
    session.sent(b'"queue":"q"}\n')
    assert "JW-TCP-3" in session.received(line(ok=True, id=ID))[0][1].problems[-1]


BAD_TCP = {
    "an undocumented member": (((PUSH, line(**PUSHED, more=1)),), "'more' was unexpected"),
    "an undocumented member of a job": (
        ((line(cmd="pull", queue="q"), line(ok=True, job=a_job(colour=1))),),
        "'colour' was unexpected",
    ),
    "a member that is missing": (((PUSH, line(ok=True, id=ID)),), '"outcome" is a required'),
    "a code of another command": (
        ((PUSH, line(ok=False, error={**V1_REFUSAL, "code": "LEASE_LOST", "details": None})),),
        "wire.yaml does not have LEASE_LOST for push",
    ),
    "no retryable in version 2": (
        (GREETED, (PUSH, line(ok=False, error=V1_REFUSAL))),
        '"retryable" is a required',
    ),
    "an undocumented detail": (
        ((PUSH, line(ok=False, error={**V1_REFUSAL, "details": {"colour": 1}})),),
        "no details colour",
    ),
    "a command of version 2 in version 1": (
        ((line(cmd="queues"), line(ok=True, queues=[])),),
        "queues is served in version 1",
    ),
    "another refusal of a command of version 2": (
        ((line(cmd="queues", x=1), line(ok=False, error=V1_REFUSAL)),),
        "wire.yaml does not have VALIDATION_ERROR for queues",
    ),
    "a known command that is unknown": (
        ((PUSH, line(ok=False, error={**V1_REFUSAL, "code": "UNKNOWN_COMMAND", "details": None})),),
        "wire.yaml does not have UNKNOWN_COMMAND for push",
    ),
    "a rid that was not asked": (((PUSH, line(**PUSHED, rid=3)),), "JW-TCP-19"),
    "a rid that is missing": (((line(cmd="ping", rid=1), line(ok=True)),), "JW-TCP-19"),
    "an answer too many": (((PUSH, line(**PUSHED) * 2),), "JW-TCP-3"),
    "a notice in version 1": (
        ((b"", line(notice="goaway", last_rid=None, reason="x")),),
        "JW-TCP-1",
    ),
    "an undocumented notice": ((GREETED, (b"", line(notice="job.new"))), "'job.new' is not in"),
    "an undocumented member of a notice": (
        (GREETED, (b"", line(notice="lease.lost", id=ID, lease="1", at=1))),
        "('at' was unexpected)",
    ),
    "a carriage return": (((PUSH, line(**PUSHED)[:-1] + b"\r\n"),), "JW-TCP-6"),
    "no JSON": (((PUSH, b"ok\n"),), "not strict JSON"),
    "no object": (((PUSH, b"[]\n"),), "no object"),
    "neither ok nor error": (((PUSH, line(id=ID)),), '"ok" is a required'),
    "a good answer to nothing that is a command": (((b"[]\n", line(ok=True)),), "no known command"),
    "version 1 out of order": (
        (
            (
                line(cmd="ping", rid=1) + line(cmd="ping", rid=2),
                line(ok=True, rid=2) + line(ok=True, rid=1),
            ),
        ),
        "JW-TCP-15",
    ),
}


@pytest.mark.parametrize("name", BAD_TCP)
def test_what_is_undocumented_over_tcp_is_a_problem(name: str) -> None:
    turns, said = BAD_TCP[name]

    found = problems(*turns)

    assert any(said in each for each in found), found


# --- schemas ----------------------------------------------------------------------------------------------------


def test_closing_a_schema_leaves_open_what_says_so() -> None:
    schema: dict[str, Any] = {
        "properties": {"a": {"properties": {"b": {}}}},
        "additionalProperties": {},
    }

    assert closed(schema) == {
        "properties": {"a": {"properties": {"b": {}}, "unevaluatedProperties": False}},
        "additionalProperties": {},
    }


def test_every_answer_of_wire_yaml_can_be_read() -> None:
    names = frozenset(specification().openapi["components"]["schemas"])

    for operation in specification().wire["operations"].values():
        if isinstance(operation["answer"], dict):
            assert answer_schema(operation["answer"], known=names)["required"][0] == "ok"


def test_words_that_mean_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="no kind"):
        shape("strang", known=frozenset())
    with pytest.raises(ValueError, match="no such schema"):
        shape("object Jab", known=frozenset({"Job"}))
