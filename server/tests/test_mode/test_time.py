"""JW-TEST-7 to 11: time stands still, and what is due comes at its instant when it is moved."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.test_mode.conftest import Start
from tests.test_mode.subject import START, Subject, is_silent, seconds

pytestmark = pytest.mark.acceptance

DAY = 86_400_000


# --- what happens to jobs ---------------------------------------------------------------------------------------


def test_a_delayed_job_is_ready_at_its_millisecond(server: Subject) -> None:
    server.push("q", delay_ms=1_000)

    server.advance(999)
    early = server.pull("q")
    server.advance(1)

    assert early is None
    assert seconds(server.pull("q")["started_at"]) == 1.0


def test_each_retry_waits_twice_as_long(server: Subject) -> None:
    server.push("q", max_attempts=4, backoff="exponential", backoff_delay_ms=1_000)
    waits = []
    for wait in (1_000, 2_000, 4_000):
        job = server.pull("q")
        failed = server.api.post(f"/jobs/{job['id']}/fail", lease=job["lease"], error="no")
        waits.append(seconds(failed["next_attempt_at"]))
        server.advance(wait - 1)
        assert server.pull("q") is None
        server.advance(1)

    assert waits == [1.0, 3.0, 7.0]
    assert server.pull("q")["attempt"] == 3


@pytest.mark.parametrize(
    ("options", "pull", "before", "after"),
    [
        ({}, {"lease_ms": 5_000}, "active", "waiting"),
        ({"timeout_ms": 5_000, "backoff_delay_ms": 0}, {"lease_ms": 60_000}, "active", "waiting"),
        ({"ttl_ms": 5_000}, None, "waiting", "cancelled"),
    ],
    ids=["lease", "timeout", "ttl"],
)
def test_what_time_ends_ends_at_its_millisecond(
    server: Subject, options: dict[str, int], pull: dict[str, int] | None, before: str, after: str
) -> None:
    job = server.push("q", **options)
    if pull is not None:
        assert server.pull("q", **pull)["id"] == job

    server.advance(4_999)
    early = server.job(job)["state"]
    server.advance(1)

    assert (early, server.job(job)["state"]) == (before, after)


def test_a_chain_of_waits_comes_due_in_its_order_within_one_advance(server: Subject) -> None:
    """A delay of 1 s, then a lease of 2 s that nobody renews: of two pulls that wait one gets the job at 1 s, the other at 3 s."""
    first, second = server.lines(), server.lines()
    server.push("q", delay_ms=1_000)
    for lines in (first, second):
        lines.send(cmd="pull", queue="q", wait_ms=20_000, lease_ms=2_000)

    now = server.advance(10_000)

    got = sorted((first.read()["job"], second.read()["job"]), key=lambda job: int(job["attempt"]))
    assert [seconds(job["started_at"]) for job in got] == [1.0, 3.0]
    assert now == START + 10_000


def test_retention_is_over_in_its_time_also_on_a_long_journey(server: Subject) -> None:
    server.api.ask("PATCH", "/queues/q", {"retention_completed_ms": 7 * DAY})
    job = server.push("q")
    server.api.post(f"/jobs/{server.pull('q')['id']}/ack")

    server.advance(7 * DAY - 1)
    kept = server.api.ask("GET", f"/jobs/{job}")[0]
    server.advance(2 * 60_000)  # housekeeping looks at retention once a minute

    assert (kept, server.api.ask("GET", f"/jobs/{job}")[0]) == (200, 404)


# --- what waits -------------------------------------------------------------------------------------------------


def test_a_pull_waits_for_as_long_as_it_said(server: Subject) -> None:
    lines = server.lines()
    lines.send(cmd="pull", queue="q", wait_ms=10_000)

    server.advance(9_999)
    silent = is_silent(lines)
    server.advance(1)

    assert silent
    assert lines.read()["job"] is None


def test_an_advance_is_answered_only_when_all_others_have_their_answers(server: Subject) -> None:
    """Fifty pulls wait, and their jobs come due one by one, each in a transaction of its own that ends with an fsync."""
    crowd = [server.lines() for _ in range(50)]
    for place, lines in enumerate(crowd):
        server.push(f"q{place}", delay_ms=100 + place)
        lines.send(cmd="pull", queue=f"q{place}", wait_ms=20_000)

    server.advance(149)

    for lines in crowd:
        lines.socket.setblocking(False)  # what has not come by now is too late
    got = [json.loads(lines.socket.recv(16_384))["job"] for lines in crowd]
    assert [seconds(job["started_at"]) for job in got] == [(100 + n) / 1000 for n in range(50)]


def test_a_heartbeat_waits_for_as_long_as_it_said(server: Subject) -> None:
    lines = server.lines()
    lines.send(cmd="heartbeat_batch", items=[], worker={"id": "w"}, wait_ms=10_000)

    server.advance(9_999)
    silent = is_silent(lines)
    server.advance(1)

    assert silent
    assert lines.read()["ok"]


def test_an_idle_connection_is_closed_when_its_time_has_come(server: Subject) -> None:
    lines = server.lines()

    server.advance(599_000)
    silent = is_silent(lines)
    server.advance(2_000)

    assert silent
    assert lines.read()["notice"] == "goaway"
    assert lines.read() is None


def test_a_line_that_is_not_finished_meets_its_deadline(server: Subject) -> None:
    lines = server.lines()
    lines.socket.sendall(b'{"cmd":')

    server.advance(29_999)
    silent = is_silent(lines)
    server.advance(2_000)

    assert silent
    assert lines.read()["error"]["code"] == "REQUEST_TIMEOUT"


# --- the clock itself -------------------------------------------------------------------------------------------


def test_a_month_takes_seconds_and_ends_where_it_should(server: Subject) -> None:
    began = time.monotonic()

    now = server.advance(30 * DAY)

    assert now == START + 30 * DAY
    assert time.monotonic() - began < 10


def test_a_frozen_server_stands_still_and_uses_no_processor(server: Subject) -> None:
    server.push("q", delay_ms=20)
    job = server.lines()
    job.send(cmd="pull", queue="q", wait_ms=20)
    server.advance(0)
    usage = Path(f"/proc/{server.process.pid}/schedstat")
    before = int(usage.read_text().split()[0])

    time.sleep(0.1)

    used_ms = (int(usage.read_text().split()[0]) - before) / 1e6
    assert used_ms < 10
    assert is_silent(job)
    assert server.control.ask("GET", "/clock")[1] == {"now": START, "frozen": True}


def test_only_a_frozen_clock_can_be_advanced(server: Subject) -> None:
    server.control.post("/clock/release")

    status, body = server.control.ask("POST", "/clock/advance", {"ms": 1})

    assert (status, body["error"]["code"]) == (409, "INVALID_STATE")


@pytest.mark.parametrize("step", [DAY, -DAY, 400, -400])
def test_a_clock_that_is_set_takes_the_leases_along_when_it_jumps(
    server: Subject, step: int
) -> None:
    server.push("q")
    job = server.pull("q", lease_ms=60_000)

    now = server.freeze(START + step)

    ends = seconds(server.job(job["id"])["lease_expires_at"])
    assert now == START + step
    # Less than a second is no jump but the ordinary correction of a clock, and leases stay where they are.
    assert ends == 60 + (step / 1000 if abs(step) > 1_000 else 0)


def test_a_released_clock_is_the_machines_and_goes_on(server: Subject) -> None:
    now = server.control.post("/clock/release")["now"]
    job = server.push("q", delay_ms=30)
    got = server.lines().call(cmd="pull", queue="q", wait_ms=10_000)

    assert abs(now - time.time() * 1000) < 1_000
    assert got["job"]["id"] == job


def test_a_server_that_starts_anew_may_go_on_where_time_stood(start: Start) -> None:
    """What was due before the stop is due after it, and a lease has its length from the start on (JW-TIME-1)."""
    server = start("--test-clock", str(START))
    delayed, held = server.push("later", delay_ms=10_000), server.push("q")
    server.pull("q", lease_ms=4_000)
    with suppress(OSError, http.client.HTTPException):
        server.control.ask("POST", "/crash")
    server.process.wait(10)

    again = start("--test-clock", str(START + 3_000))
    again.advance(3_999)
    early = again.job(held)["state"]
    again.advance(1)

    assert (early, again.job(held)["state"]) == ("active", "waiting")
    assert again.advance(3_000) == START + 10_000
    assert again.pull("later")["id"] == delayed


def test_a_server_whose_clock_stands_still_stops_when_told(start: Start) -> None:
    server = start(storage="memory://")
    server.freeze()
    waiting = server.lines()
    waiting.send(cmd="pull", queue="q", wait_ms=60_000)
    server.advance(0)

    server.process.terminate()

    said = waiting.read(), waiting.read()
    assert sorted(line.get("notice", "answer") for line in said) == ["answer", "goaway"]
    assert server.process.wait(10) == 0
