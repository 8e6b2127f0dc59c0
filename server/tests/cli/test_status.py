from __future__ import annotations

import json

from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

from jobwire_server import __version__

HEALTH = (
    b'{"ok":true,"status":"healthy","version":"0.1.0","uptime_seconds":3661,'
    b'"durability":"fsync","storage":"sqlite"}'
)
QUEUES = b'{"ok":true,"queues":[{"name":"emails","counts":{"waiting":2},"paused":null}]}'


def test_status_shows_health_and_queues(jobwire: Run, server: Script) -> None:
    server.on("GET /health", HEALTH)
    server.on("GET /queues", QUEUES)

    out = jobwire("status").out

    assert "durability  fsync" in out
    assert "uptime      1h1m" in out
    assert out.splitlines()[-1].split()[:2] == ["emails", "2"]


def test_status_as_json_holds_both_answers(jobwire: Run, server: Script) -> None:
    server.on("GET /health", HEALTH)
    server.on("GET /queues", QUEUES)

    parsed = json.loads(jobwire("status", "-o", "json").out)

    assert parsed["ok"] is True
    assert parsed["health"] == json.loads(HEALTH)
    assert parsed["queues"] == json.loads(QUEUES)["queues"]


def test_workers_shows_how_each_is(jobwire: Run, server: Script) -> None:
    worker = {
        "id": "w1",
        "state": "deaf",
        "queues": ["a", "b"],
        "concurrency": 8,
        "free": 8,
        "held": 0,
    }
    server.on("GET /workers", {"ok": True, "workers": [worker]}, {"ok": True, "workers": []})

    assert jobwire("workers").out.splitlines()[1].split()[:2] == ["w1", "deaf"]
    assert jobwire("workers").out == "No worker has reported.\n"


def test_version_as_table_as_json_and_as_flag(jobwire: Run) -> None:
    assert json.loads(jobwire("version", "-o", "json").out)["jobwire"] == __version__
    assert jobwire("version").out.startswith("jobwire")
    assert jobwire("--version").out == f"jobwire {__version__}\n"
