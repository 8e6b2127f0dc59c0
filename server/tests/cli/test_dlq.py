from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

ID = "01992222-7e1d-7c3a-9d54-1f2e3a4b5c6d"


def stats(dead: int) -> dict[str, object]:
    return {"ok": True, "counts": {"dlq": dead}, "paused": None, "oldest_waiting_ms": None}


def done(count: int, remaining: int, *results: object) -> dict[str, object]:
    return {"ok": True, "count": count, "results": list(results), "remaining": remaining}


def test_dlq_list_says_why_jobs_died(jobwire: Run, server: Script) -> None:
    dead = {"id": ID, "name": "welcome", "reason": "poison", "attempt": 3, "last_error": "lost"}
    server.on("GET /queues/emails/dlq?limit=50", {"ok": True, "jobs": [dead], "next_cursor": None})

    heading, row = jobwire("dlq", "list", "emails").out.splitlines()

    assert "last_error" in heading
    assert row.split()[:4] == [ID, "welcome", "poison", "3"]


def test_dlq_retry_goes_on_in_steps_until_all_are_done(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(2_500))
    server.on("POST /queues/emails/dlq/retry", done(1000, 1500), done(1000, 500), done(500, 0))

    result = jobwire("dlq", "retry", "emails")

    assert [request.json for request in server.requests[1:]] == [
        {"limit": 1000},
        {"limit": 1000},
        {"limit": 500},
    ]
    assert (result.code, result.out) == (0, "2500 retried, 0 dead letters left\n")


def test_dlq_retry_does_not_chase_jobs_that_die_again(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(1))
    server.on("POST /queues/emails/dlq/retry", done(1, 1))

    jobwire("dlq", "retry", "emails")

    assert len(server.requests) == 2


def test_dlq_retry_ends_where_nothing_moves(jobwire: Run, server: Script) -> None:
    refused = {"id": ID, "ok": False, "error": {"code": "DUPLICATE_KEY", "message": "taken"}}
    server.on("GET /queues/emails/stats", stats(5_000))
    server.on("POST /queues/emails/dlq/retry", done(0, 5_000, refused))

    result = jobwire("dlq", "retry", "emails", "-o", "json")

    assert len(server.requests) == 2
    assert json.loads(result.out) == done(0, 5_000, refused)
    assert result.code == 5
    assert "PARTIAL_FAILURE" in result.err


def test_dlq_retry_of_ids_names_those_that_were_refused(jobwire: Run, server: Script) -> None:
    refused = {"id": ID, "ok": False, "error": {"code": "DUPLICATE_KEY", "message": "taken"}}
    server.on("POST /queues/emails/dlq/retry", done(1, 0, {"id": "x", "ok": True}, refused))

    result = jobwire("dlq", "retry", "emails", "x", ID)

    assert server.only.json == {"ids": ["x", ID]}
    assert f"{ID}: DUPLICATE_KEY: taken" in result.err
    assert (result.code, result.out) == (5, "1 retried, 0 dead letters left\n")


def test_dlq_retry_that_breaks_off_says_how_far_it_came(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(2_000))
    server.on("POST /queues/emails/dlq/retry", done(1_000, 1_000), b"<html>")

    result = jobwire("dlq", "retry", "emails")

    assert result.code == 6
    assert "1000 were retried before this" in result.err


def test_dlq_discard_asks_nobody_with_yes(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(3))
    server.on("POST /queues/emails/dlq/discard", done(3, 0))

    result = jobwire("dlq", "discard", "emails", "--yes")

    assert result.out == "3 discarded, 0 dead letters left\n"


def test_dlq_discard_without_a_person_or_yes_does_nothing(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(3))

    result = jobwire("dlq", "discard", "emails")

    assert result.code == 2
    assert "say --yes" in result.err
    assert [request.method for request in server.requests] == ["GET"]


@pytest.mark.parametrize(("answer", "requests"), [(b"y\n", 3), (b"n\n", 1), (b"\n", 1)])
def test_dlq_discard_asks_a_person(
    jobwire: Run, server: Script, monkeypatch: pytest.MonkeyPatch, answer: bytes, requests: int
) -> None:
    server.on("GET /queues/emails/stats", stats(3))
    server.on("POST /queues/emails/dlq/discard", done(3, 0))
    monkeypatch.setattr("jobwire_server.cli.dlq._somebody_is_there", lambda: True)

    result = jobwire("dlq", "discard", "emails", stdin=answer)

    assert "Delete 3 dead letters of emails for good?" in result.err
    assert len(server.requests) == requests
    assert result.code == (0 if requests == 3 else 1)


def test_dlq_of_nothing_does_nothing(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails/stats", stats(0))

    assert jobwire("dlq", "retry", "emails").out == "0 retried, 0 dead letters left\n"
