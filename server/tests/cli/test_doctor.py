from __future__ import annotations

import fcntl
import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

from jobwire_server import __version__
from jobwire_server.cli import doctor

HEALTH = {
    "ok": True,
    "status": "healthy",
    "version": __version__,
    "durability": "fsync",
    "storage": "sqlite",
}


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def healthy(server: Script) -> Script:
    server.on("GET /health", HEALTH)
    server.on("GET /queues", {"ok": True, "queues": []})
    return server


def checks(jobwire: Run, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    result = jobwire("doctor", "-o", "json", *arguments)
    answer = json.loads(result.out)
    assert (result.code, answer["ok"]) == (code, code == 0)
    found = {each["check"]: each for each in answer["checks"]}
    assert all(each["fix"] for each in found.values() if each["result"] != "ok")
    return found


def test_a_healthy_installation_is_ok_throughout(
    jobwire: Run, healthy: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 10**12))
    monkeypatch.setattr(doctor, "_fsync_p50_ms", lambda _: 1.5)

    found = checks(jobwire)

    assert {each["result"] for each in found.values()} == {"ok"}
    assert list(found) == [
        "configuration", "store", "owner", "disk", "fsync", "clock", "server", "status", "token", "durability",
    ]  # fmt: skip
    assert found["fsync"]["message"] == "1.50 ms (median of 25)"


def test_it_measures_fsync_where_the_store_is(jobwire: Run, healthy: Script) -> None:
    assert float(checks(jobwire)["fsync"]["message"].split()[0]) > 0
    assert list(Path().iterdir()) == []


def test_a_table_has_the_fix_beside_each_check(jobwire: Run, healthy: Script) -> None:
    healthy.fail("GET /queues", 401, "UNAUTHORIZED")

    result = jobwire("doctor")

    assert result.code == 1
    assert "set JOBWIRE_TOKEN to one of the server's tokens" in result.out
    assert "error: UNHEALTHY" in result.err


def test_a_wrong_configuration_is_all_it_says(jobwire: Run) -> None:
    Path("jobwire.toml").write_text("[http]\nport = -1\n")

    found = checks(jobwire, code=1)

    assert list(found) == ["configuration"]
    assert "http.port" in found["configuration"]["message"]


def test_no_server_is_a_warning(jobwire: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBWIRE_HTTP_PORT", "1")

    found = checks(jobwire)

    assert found["server"]["result"] == "warn"
    assert "http://127.0.0.1:1" in found["server"]["message"]


@pytest.mark.parametrize(
    ("storage", "check", "result", "code"),
    [
        ("memory://", "store", "warn", 0),
        ("sqlite:///none/here.db", "store", "fail", 1),
        ("sqlite:///text.db", "store", "fail", 1),
        ("sqlite:///empty.db", "store", "ok", 0),
    ],
)
def test_the_store_is_looked_at(
    jobwire: Run,
    healthy: Script,
    monkeypatch: pytest.MonkeyPatch,
    storage: str,
    check: str,
    result: str,
    code: int,
) -> None:
    Path("text.db").write_text("this is no database at all")
    Path("empty.db").touch()
    monkeypatch.setenv("JOBWIRE_STORAGE", storage)

    assert checks(jobwire, code=code)[check]["result"] == result


@pytest.mark.parametrize(("reachable", "expected"), [(True, "ok"), (False, "warn")])
def test_a_store_that_is_open_elsewhere_is_known(
    jobwire: Run, healthy: Script, reachable: bool, expected: str
) -> None:
    with doctor.lock_beside(Path("jobwire.db")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = checks(jobwire, *([] if reachable else ["--url", "http://127.0.0.1:1"]))

    assert found["owner"]["result"] == expected


def test_a_lock_that_nobody_holds_is_no_owner(jobwire: Run, healthy: Script) -> None:
    doctor.lock_beside(Path("jobwire.db")).touch()

    assert checks(jobwire)["owner"]["message"] == "no process has the store open"


@pytest.mark.parametrize(
    ("free", "result", "code"), [(10**12, "ok", 0), (10**9, "warn", 0), (10**6, "fail", 1)]
)
def test_a_disk_that_fills_up_is_seen(
    jobwire: Run,
    healthy: Script,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    result: str,
    code: int,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))

    assert checks(jobwire, code=code)["disk"]["result"] == result


def test_a_slow_disk_is_a_warning(
    jobwire: Run, healthy: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_fsync_p50_ms", lambda _: 55.0)

    assert checks(jobwire)["fsync"]["result"] == "warn"


@pytest.mark.parametrize(
    ("ahead", "result", "code"), [(0, "ok", 0), (3600, "warn", 0), (-(10**9), "fail", 1)]
)
def test_the_clock_is_compared_with_the_servers(
    jobwire: Run,
    healthy: Script,
    monkeypatch: pytest.MonkeyPatch,
    ahead: int,
    result: str,
    code: int,
) -> None:
    now = time.time

    monkeypatch.setattr(doctor, "_now", lambda: now() + ahead)

    assert checks(jobwire, code=code)["clock"]["result"] == result


@pytest.mark.parametrize(
    ("member", "value", "check"),
    [
        ("version", "9.9.9", "server"),
        ("status", "degraded", "status"),
        ("durability", "os-crash-loss", "durability"),
        ("durability", "memory", "durability"),
        ("durability", None, "durability"),
    ],
)
def test_what_the_server_says_of_itself_is_judged(
    jobwire: Run, healthy: Script, member: str, value: str | None, check: str
) -> None:
    healthy.on("GET /health", {**HEALTH, member: value})

    assert checks(jobwire)[check]["result"] == "warn"


def test_a_weaker_durability_setting_is_a_warning(
    jobwire: Run, healthy: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBWIRE_SQLITE__SYNCHRONOUS", "off")

    assert checks(jobwire)["durability setting"]["result"] == "warn"
