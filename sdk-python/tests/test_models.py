"""Reading what servers answer, newer and older ones too."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from jobwire._errors import ConflictError, ValidationError
from jobwire._instants import format_instant, parse_instant, to_ms
from jobwire._models import ItemResult, Job, JobState, QueueCounts, QueueInfo, WorkerReport
from jobwire._strict_json import loads_answer

# A job as a server of version 0.1 answers it, and one as RustQueue 0.3 does.
JOBWIRE_JOB = """{"id":"0196f000-0000-7000-8000-000000000001","custom_id":null,"name":"resize","queue":"images",
"data":{"b":1.10,"a":18446744073709551616},"result":null,"state":"active","progress":40,
"logs":[{"timestamp":"2026-05-22T10:11:12.5Z","message":"half"}],"priority":-3,"delay_until":null,
"created_at":"2026-05-22T10:11:12.123456789Z","updated_at":"2026-05-22T10:11:13Z",
"started_at":"2026-05-22T10:11:13Z","completed_at":null,"max_attempts":5,"attempt":1,"backoff":"linear",
"backoff_delay_ms":1500,"backoff_schedule_ms":[1000,60000],"backoff_max_ms":7200000,"jitter":0.5,
"last_error":"x","ttl_ms":60000,"timeout_ms":250,"unique_key":"k","unique_for_ms":1000,"tags":["a","b"],
"group_id":"g","metadata":{"m":1},"depends_on":["p"],"flow_id":"f","lifo":true,"remove_on_complete":true,
"remove_on_fail":true,"worker_id":"w","last_heartbeat":"2026-05-22T10:11:14+02:00","delivery":2,"lease":"L2",
"lease_expires_at":"2026-05-22T10:11:44Z","run_at":"2026-05-22T10:11:12Z","reason":null,
"errors":[{"attempt":1,"at":"2026-05-22T10:11:12Z","kind":"timeout","message":"job timed out","worker_id":"v"}],
"cancel_requested_at":"2026-05-22T10:11:20Z"}"""
RUSTQUEUE_JOB = """{"id":"0196f000-0000-7000-8000-000000000001","name":"n","queue":"q","data":{},"result":null,
"state":"waiting","progress":null,"logs":[],"priority":0,"created_at":"2026-05-22T10:11:12Z",
"updated_at":"2026-05-22T10:11:12Z","max_attempts":3,"attempt":0,"backoff":"exponential","backoff_delay_ms":1000,
"tags":[],"depends_on":[],"lifo":false,"remove_on_complete":false,"remove_on_fail":false}"""


def job_of(text: str) -> Job:
    return Job.parse(loads_answer('{"ok":true,"job":' + text + "}")["job"])


def at(second: int, micro: int = 0) -> datetime:
    return datetime(2026, 5, 22, 10, 11, second, micro, tzinfo=timezone.utc)


def test_a_job_keeps_every_field() -> None:
    job = job_of(JOBWIRE_JOB)

    assert (job.queue, job.name, job.state, job.priority) == ("images", "resize", "active", -3)
    assert job.data == {"b": 1.1, "a": 2**64}
    assert (job.attempt, job.max_attempts, job.delivery, job.lease) == (1, 5, 2, "L2")
    assert (job.created_at, job.updated_at) == (at(12, 123456), at(13))
    assert job.last_heartbeat == at(14) - timedelta(hours=2)
    assert (job.lease_expires_at, job.run_at) == (at(44), at(12))
    assert (job.backoff, job.backoff_delay, job.backoff_max) == ("linear", 1.5, 7200.0)
    assert (job.backoff_schedule, job.jitter) == ((1.0, 60.0), 0.5)
    assert (job.ttl, job.timeout, job.unique_key, job.unique_for) == (60.0, 0.25, "k", 1.0)
    assert (job.tags, job.depends_on, job.metadata) == (("a", "b"), ("p",), {"m": 1})
    assert (job.group_id, job.flow_id, job.worker_id) == ("g", "f", "w")
    assert job.lifo
    assert job.remove_on_complete
    assert job.remove_on_fail
    assert [(log.at, log.message) for log in job.logs] == [(at(12, 500000), "half")]
    [failure] = job.errors
    assert (failure.attempt, failure.kind, failure.message) == (1, "timeout", "job timed out")
    assert job.cancel_requested_at == at(20)


def test_the_text_of_the_data_is_kept_as_it_was_pushed() -> None:
    assert job_of(JOBWIRE_JOB).raw_data == '{"b":1.10,"a":18446744073709551616}'


def test_a_job_made_by_hand_writes_its_data() -> None:
    assert Job(id="x", data={"ä": 1}).raw_data == '{"ä":1}'


def test_a_job_of_rustqueue_has_no_lease() -> None:
    job = job_of(RUSTQUEUE_JOB)

    assert (job.lease, job.delivery, job.state) == (None, 0, JobState.WAITING)
    assert job.backoff_max == 3600.0


def test_what_a_newer_server_adds_does_no_harm() -> None:
    """JW-SDK-1."""
    text = '{"id":"x","state":"hibernating","backoff":"quantum","later":{"a":[1]},"tags":["t"]}'

    job = job_of(text)

    assert job.state == "hibernating"
    assert not isinstance(job.state, JobState)
    assert (job.backoff, job.tags, job.is_finished) == ("quantum", ("t",), False)


def test_a_lease_is_not_shown() -> None:
    assert "L2" not in repr(job_of(JOBWIRE_JOB))


def test_jobs_can_be_kept_in_sets() -> None:
    job = job_of(JOBWIRE_JOB)

    assert {job, job_of(JOBWIRE_JOB)} == {job}


@pytest.mark.parametrize(
    ("state", "finished"), [("dlq", True), ("cancelled", True), ("active", False)]
)
def test_is_finished(state: str, finished: bool) -> None:
    assert Job(id="x", state=state).is_finished is finished


def test_an_item_that_was_refused_has_its_error() -> None:
    item = ItemResult.parse(
        {"id": "x", "ok": False, "error": {"code": "LEASE_LOST", "message": "late"}}
    )

    assert item.ok is False
    assert isinstance(item.error, ConflictError)


def test_counts_that_a_server_leaves_out_are_zero() -> None:
    assert QueueCounts.parse({"waiting": 3, "imaginary": 9}) == QueueCounts(waiting=3)


@pytest.mark.parametrize("nested", [False, True])
def test_the_settings_of_a_queue_are_seconds(nested: bool) -> None:
    settings: dict[str, Any] = {"lease_ms": 5000, "max_length": 10, "retention_dlq_ms": 1500}
    wire = {"name": "q", "counts": {}, "paused": "pull"}

    info = QueueInfo.parse({**wire, "settings": settings} if nested else {**wire, **settings})

    assert (info.lease, info.max_length, info.retention_dlq) == (5.0, 10, 1.5)
    assert (info.paused, info.retention_completed) == ("pull", None)


def test_a_report_leaves_out_what_it_does_not_know() -> None:
    report = WorkerReport(id="w", queues=["q"], concurrency=4, free=1, last_pull=0.25)

    assert report.to_wire() == {
        "id": "w",
        "queues": ["q"],
        "concurrency": 4,
        "free": 1,
        "state": "running",
        "last_pull_ms": 250,
    }
    assert WorkerReport(id="w").to_wire() == {"id": "w", "queues": [], "state": "running"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-22T10:11:12Z", at(12)),
        ("2026-05-22T10:11:12.1Z", at(12, 100000)),
        ("2026-05-22T10:11:12.123456789Z", at(12, 123456)),
        ("2026-05-22T12:11:12+02:00", at(12)),
        ("2026-05-22T08:41:12.5-01:30", at(12, 500000)),
        ("2026-05-22t10:11:12z", at(12)),
    ],
)
def test_instants_are_read_in_every_spelling_of_the_wire(text: str, expected: datetime) -> None:
    assert parse_instant(text) == expected
    assert parse_instant(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "2026-05-22T10:11:12", "yesterday", "2026-13-22T10:11:12Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


def test_instants_are_written_in_utc() -> None:
    zone = timezone(timedelta(hours=2))

    assert format_instant(datetime(2026, 5, 22, 12, 0, 0, 1999, tzinfo=zone), "x") == (
        "2026-05-22T10:00:00.001Z"
    )


def test_a_naive_datetime_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="run_at must be an aware datetime"):
        format_instant(datetime(2026, 5, 22), "run_at")  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [(0, 0), (1, 1000), (0.001, 1), (0.0001, 1), (1.2345, 1235), (0.1 + 0.2, 300)],
)
def test_seconds_become_milliseconds_and_never_vanish(seconds: float, ms: int) -> None:
    assert to_ms(seconds, "x") == ms


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
def test_senseless_durations_are_refused_by_name(seconds: float) -> None:
    with pytest.raises(ValidationError, match="delay"):
        to_ms(seconds, "delay")
