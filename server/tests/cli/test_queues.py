from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

COUNTS = {
    "waiting": 2,
    "active": 1,
    "delayed": 0,
    "completed": 9,
    "failed": 0,
    "dlq": 3,
    "blocked": 0,
    "cancelled": 0,
}
QUEUE = {"name": "emails", "counts": COUNTS, "paused": "pull"}
SHOWN = {
    "name": "emails",
    "paused": None,
    "counts": COUNTS,
    "settings": {"lease_ms": 60_000, "max_length": None},
}


def test_queue_list_counts_jobs_by_state(jobwire: Run, server: Script) -> None:
    server.on("GET /queues", {"ok": True, "queues": [QUEUE]})

    heading, row = jobwire("queue", "list").out.splitlines()

    assert heading.split() == [
        "name", "waiting", "active", "delayed", "blocked", "completed", "dlq", "cancelled", "paused",
    ]  # fmt: skip
    assert row.split() == ["emails", "2", "1", "0", "0", "9", "3", "0", "pull"]


def test_queue_list_of_nothing_says_so(jobwire: Run, server: Script) -> None:
    server.on("GET /queues", {"ok": True, "queues": []})

    assert jobwire("queue", "list").out == "No queue has a job.\n"
    assert json.loads(jobwire("queue", "list", "-o", "json").out) == {"ok": True, "queues": []}


def test_queue_show_has_counts_and_settings(jobwire: Run, server: Script) -> None:
    server.on("GET /queues/emails", {"ok": True, "queue": SHOWN})

    lines = dict(line.split() for line in jobwire("queue", "show", "emails").out.splitlines())

    assert (lines["name"], lines["dlq"], lines["lease_ms"], lines["max_length"]) == (
        "emails",
        "3",
        "1m",
        "–",
    )


@pytest.mark.parametrize("mode", ["pull", "push", "both"])
def test_queue_pause_names_its_mode(jobwire: Run, server: Script, mode: str) -> None:
    server.on("POST /queues/emails/pause", {"ok": True, "paused": mode})

    result = jobwire("queue", "pause", "emails", "--mode", mode)

    assert server.only.json == {"mode": mode}
    assert result.out == f"emails is paused ({mode})\n"


def test_queue_pause_stops_deliveries_by_default(jobwire: Run, server: Script) -> None:
    server.on("POST /queues/emails/pause", {"ok": True, "paused": "pull"})

    jobwire("queue", "pause", "emails")

    assert server.only.json == {"mode": "pull"}


def test_queue_resume(jobwire: Run, server: Script) -> None:
    server.on("POST /queues/emails/resume", {"ok": True, "paused": None})

    assert jobwire("queue", "resume", "emails").out == "emails is not paused\n"


def test_queue_set_sends_what_was_named_and_null_for_default(jobwire: Run, server: Script) -> None:
    server.on("PATCH /queues/emails", {"ok": True, "queue": SHOWN})

    result = jobwire(
        "queue", "set", "emails", "--lease", "1m", "--max-length", "default",
        "--retention-completed", "0", "--retention-dlq", "default", "--retention-cancelled", "2d",
    )  # fmt: skip

    assert result.code == 0
    assert server.only.json == {
        "lease_ms": 60_000,
        "max_length": None,
        "retention_completed_ms": 0,
        "retention_dlq_ms": None,
        "retention_cancelled_ms": 172_800_000,
    }


@pytest.mark.parametrize(
    "arguments", [(), ("--max-length", "many"), ("--lease", "30"), ("--max-length", "-1")]
)
def test_queue_set_refuses_nothing_and_nonsense(
    jobwire: Run, server: Script, arguments: tuple[str, ...]
) -> None:
    result = jobwire("queue", "set", "emails", *arguments)

    assert (result.code, server.requests) == (2, [])
    assert "fix: " in result.err
