"""Answers as bytes: statuses, members and their order, the rid, what version 1 leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET
from tests.engine.jobs import NOW, a_job
from tests.vectors import SPEC, spec

from jobwire_server.errors import JobwireError, job_not_found
from jobwire_server.model import JobError, LogLine
from jobwire_server.wire import answers
from jobwire_server.wire.responses import http_answer, notice, tcp_answer, with_rid
from jobwire_server.wire.spelling import parse_id, rfc3339


def tcp(result: Any, *, name: str = "x", wire: int = 2, rid: int | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(tcp_answer(name, result, wire=wire, rid=rid))
    return answer


def http(result: Any) -> tuple[int, dict[str, Any]]:
    status, body = http_answer("x", result)
    return status, json.loads(body)


@pytest.mark.parametrize(
    ("outcome", "status"), [("created", 201), ("replaced", 201), ("existing", 200)]
)
def test_a_push_that_made_a_job_is_201(outcome: str, status: int) -> None:
    assert http(answers.Pushed(id="i", outcome=outcome)) == (
        status,
        {"ok": True, "id": "i", "outcome": outcome},
    )


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], 200),
        (["existing"], 200),
        (["existing", "created"], 201),
        ([None, "replaced"], 201),
        ([None], 200),
    ],
)
def test_a_batch_that_made_a_job_is_201(outcomes: list[str | None], status: int) -> None:
    assert http(answers.PushedBatch(ids=[], outcomes=outcomes))[0] == status


def test_everything_else_that_is_ok_is_200() -> None:
    assert http(answers.Done()) == (200, {"ok": True})


def test_a_fail_without_another_try_leaves_its_instant_out_over_http_only() -> None:
    failed = {"retry": False, "will_retry": False, "next_attempt_at": None}

    assert tcp(answers.Failed(**failed)) == {"ok": True, **failed}
    assert http(answers.Failed(**failed))[1] == {"ok": True, "retry": False, "will_retry": False}


def test_a_pull_of_one_answers_job_and_of_another_number_jobs() -> None:
    job = a_job("active")

    assert tcp(answers.Pulled(jobs=[job], single=True))["job"]["lease"] == f"2-{job.id[-12:]}"
    assert tcp(answers.Pulled(jobs=[], single=True)) == {"ok": True, "job": None}
    assert [j["id"] for j in tcp(answers.Pulled(jobs=[job, job], single=False))["jobs"]] == [
        job.id
    ] * 2


@pytest.mark.parametrize("rid", [0, 1, 2**53 - 1])
def test_the_rid_is_the_last_member(rid: int) -> None:
    assert tcp_answer("x", answers.Done(), wire=2, rid=rid) == b'{"ok":true,"rid":%d}' % rid
    assert tcp(job_not_found("i"), rid=rid)["rid"] == rid
    assert with_rid(b'{"a":1}', rid) == b'{"a":1,"rid":%d}' % rid


def test_without_a_rid_there_is_none() -> None:
    assert tcp_answer("x", answers.Done(), wire=2, rid=None) == b'{"ok":true}'


def test_get_of_a_missing_job_is_not_found_in_version_1_only() -> None:
    assert tcp(job_not_found("i"), name="get", wire=1)["error"]["code"] == "NOT_FOUND"
    assert tcp(job_not_found("i"), name="get", wire=2)["error"]["code"] == "JOB_NOT_FOUND"
    assert tcp(job_not_found("i"), name="ack", wire=1)["error"]["code"] == "JOB_NOT_FOUND"


def test_a_partly_failed_batch_of_acks_is_not_ok_in_version_1_only() -> None:
    item = answers.Item(id="i", ok=False, error=job_not_found("i"))
    batch = answers.AckedBatch(acked=1, failed=1, results=[answers.Item(id="j"), item])

    one, two = tcp(batch, wire=1), tcp(batch, wire=2)

    assert (one["ok"], one["error"]["code"], one["error"]["details"]) == (
        False,
        "PARTIAL_FAILURE",
        {"failed": 1},
    )
    assert one["results"][0] == {"id": "j", "ok": True}
    assert one["results"][1]["error"]["code"] == "JOB_NOT_FOUND"
    assert (two["ok"], "error" in two) == (True, False)
    assert tcp(answers.AckedBatch(acked=1, failed=0, results=[]), wire=1) == {
        "ok": True,
        "acked": 1,
        "failed": 0,
        "results": [],
    }


def test_a_job_has_the_members_of_the_spec_in_rustqueue_s_order() -> None:
    import yaml

    schema = yaml.safe_load((SPEC / "schemas" / "Job.yaml").read_text())
    job = a_job(
        "active",
        metadata=b"1",
        errors=(JobError(1, NOW, "error", "x", "w"),),
        logs=(LogLine(NOW, "y"),),
    )

    shown = tcp(answers.OneJob(job=job))["job"]

    assert set(schema["required"]) <= set(shown)
    assert set(shown) <= set(schema["properties"])
    assert "lease" not in shown
    assert list(shown)[:12] == [
        "id",
        "custom_id",
        "name",
        "queue",
        "data",
        "result",
        "state",
        "progress",
        "logs",
        "priority",
        "delay_until",
        "created_at",
    ]
    assert "metadata" not in tcp(answers.OneJob(job=a_job()))["job"]


@pytest.mark.parametrize(
    ("state", "fields", "shown"),
    [
        ("waiting", {}, False),
        ("delayed", {}, True),
        ("blocked", {}, False),
        ("blocked", {"run_at": NOW + 5}, True),
        ("active", {"run_at": NOW + 5}, False),
    ],
)
def test_delay_until_is_the_ready_time_of_what_is_held_back(
    state: str, fields: dict[str, int], shown: bool
) -> None:
    job = a_job(state, **fields)

    assert tcp(answers.OneJob(job=job))["job"]["delay_until"] == (
        rfc3339(job.run_at) if shown else None
    )


def test_items_leave_out_what_they_do_not_say() -> None:
    assert tcp(
        answers.AckedBatch(acked=1, failed=0, results=[answers.Item(id="i", already=UNSET)])
    )["results"] == [{"id": "i", "ok": True}]


def test_an_error_is_short_in_version_1_and_says_more_elsewhere() -> None:
    error = JobwireError("QUEUE_FULL", "full", {"queue": "q"}, retry_after_ms=1500)
    short = {"code": "QUEUE_FULL", "message": "full", "details": {"queue": "q"}}

    assert tcp(error, wire=1)["error"] == {**short, "retry_after_ms": 1500}
    assert (
        tcp(error, wire=2)["error"]
        == http(error)[1]["error"]
        == {**short, "retryable": True, "retry_after_ms": 1500}
    )


def test_a_notice_is_one_object() -> None:
    assert notice({"notice": "job.cancel", "id": "i"}) == b'{"notice":"job.cancel","id":"i"}'


def test_the_answers_hold_what_the_spec_lists() -> None:
    members = {
        "push": answers.Pushed, "push_batch": answers.PushedBatch, "ack": answers.Acked, "ack_batch": answers.AckedBatch,
        "fail": answers.Failed, "fail_batch": answers.FailedBatch, "release": answers.Moved, "heartbeat": answers.Beaten,
        "heartbeat_batch": answers.BeatenBatch, "stats": answers.Stats, "dlq_retry": answers.DlqDone, "flow": answers.FlowStatus,
        "health": answers.Health, "capabilities": answers.Capabilities, "hello": answers.Welcome, "abort": answers.Aborted,
    }  # fmt: skip
    for command, kind in members.items():
        assert set(kind.__struct_fields__) - {"ok"} == set(
            spec("wire")["operations"][command]["answer"]
        ), command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("019B0000-0000-7000-8000-00000000000A", True), ("019b00000000700080000000000000 0a", False),
        ("{019b0000-0000-7000-8000-00000000000a}", True), ("urn:uuid:019b0000-0000-7000-8000-00000000000a", True),
        ("URN:UUID:019B00000000700080000000000000" + "0A", True), ("{019b0000-0000-7000-8000-00000000000a", False),
        ("", False), ("019b0000-0000-7000-8000-00000000000g", False), ("019b0000-0000-7000-8000-00000000000a\n", False), ("０" * 32, False),
    ],
)  # fmt: skip
def test_the_spellings_of_an_id(text: str, expected: bool) -> None:
    assert parse_id(text) == ("019b0000-0000-7000-8000-00000000000a" if expected else None)
