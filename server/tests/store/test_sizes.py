"""The measure of an answer: never less than what the wire makes of a job, and little more."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.store.jobs import a_job

from jobwire_server.config import ServerSettings
from jobwire_server.engine.leases import lease_of
from jobwire_server.model import Job, JobError, LogLine
from jobwire_server.store.sizes import Room, answer_bytes, most_bytes
from jobwire_server.wire import answers, limits
from jobwire_server.wire.job_view import view
from jobwire_server.wire.responses import tcp_answer

LAST = 253_402_300_799_999  # the end of the year 9999
MOST = limits.DURATION_MS
texts = st.text(max_size=40)
maybe = st.none() | texts
numbers = st.integers(0, MOST)
instants = st.integers(0, LAST)
json_texts = texts.map(msgspec.json.encode)

some_jobs = st.builds(
    Job,
    id=st.uuids().map(str),
    queue=texts,
    name=texts,
    data=json_texts,
    created_at=instants,
    priority=st.integers(-(2**31), 2**31 - 1),
    backoff_schedule_ms=st.lists(numbers, max_size=5).map(tuple),
    jitter=st.floats(0, 1),
    ttl_ms=st.none() | numbers,
    unique_key=maybe,
    tags=st.lists(texts, max_size=5).map(tuple),
    group_id=maybe,
    flow_id=maybe,
    custom_id=maybe,
    metadata=st.none() | json_texts,
    depends_on=st.lists(st.uuids().map(str), max_size=5).map(tuple),
    state=st.sampled_from(["waiting", "delayed", "completed", "cancelled"]),
    run_at=instants,
    reason=maybe,
    last_error=maybe,
    errors=st.lists(
        st.builds(
            JobError, attempt=numbers, at=instants, kind=texts, message=texts, worker_id=maybe
        ),
        max_size=5,
    ).map(tuple),
    logs=st.lists(st.builds(LogLine, at=instants, message=texts), max_size=5).map(tuple),
    result=st.none() | json_texts,
    started_at=st.none() | instants,
    lease_expires_at=st.none() | instants,
    delivery=numbers,
    worker_id=maybe,
)


def written(job: Job) -> int:
    return len(msgspec.json.encode(view(job, lease_of(job)))) + len(",")


def largest() -> Job:
    """The job with the most of everything; a control character takes six bytes in JSON."""
    key, worst = "\x01" * limits.KEY_BYTES, "\x01"
    return a_job(
        queue="q" * limits.QUEUE_BYTES,
        name=worst * limits.NAME_BYTES,
        data=b"1" * limits.DATA_BYTES,
        result=b"1" * limits.RESULT_BYTES,
        metadata=b"1" * limits.METADATA_BYTES,
        created_at=LAST,
        updated_at=LAST,
        run_at=LAST,
        started_at=LAST,
        completed_at=LAST,
        last_heartbeat=LAST,
        lease_expires_at=LAST,
        cancel_requested_at=LAST,
        priority=-(2**31),
        max_attempts=limits.MAX_ATTEMPTS,
        attempt=limits.MAX_ATTEMPTS,
        backoff_delay_ms=MOST,
        backoff_max_ms=MOST,
        backoff_schedule_ms=(MOST,) * limits.BACKOFF_SCHEDULE,
        jitter=0.12345678901234568,
        ttl_ms=MOST,
        timeout_ms=MOST,
        unique_for_ms=MOST,
        unique_key=key,
        group_id=key,
        flow_id=key,
        custom_id=key,
        worker_id=key,
        tags=(worst * limits.TAG_BYTES,) * limits.TAGS,
        depends_on=("0" * 36,) * limits.DEPENDS_ON,
        progress=100,
        delivery=2**62,
        reason="parent_failed",
        last_error=worst * limits.ERROR_BYTES,
        errors=(JobError(10_000, LAST, "lease_expired", worst * limits.ERROR_BYTES, key),)
        * limits.ERRORS,
        logs=(LogLine(LAST, worst * limits.MESSAGE_BYTES),) * limits.LOGS,
    )


@given(job=some_jobs)
@pytest.mark.slow
def test_no_job_is_written_with_more_bytes_than_it_was_measured(job: Job) -> None:
    assert written(job) <= answer_bytes(job) <= written(job) + 1_280


def test_the_largest_job_is_measured_well() -> None:
    job = largest()

    assert written(job) <= answer_bytes(job) <= written(job) + 1_280 + 120 * 32


def test_any_job_has_room_in_the_smallest_answer_that_can_be_set() -> None:
    """JW-PULL-18: at least one job, however large."""
    field = ServerSettings.model_fields["max_response_bytes"]
    [least] = [limit.ge for limit in field.metadata if hasattr(limit, "ge")]
    answer = answers.Pulled(jobs=[largest()], single=True)

    assert len(tcp_answer("pull", answer, wire=2, rid=limits.RID_MAX)) < least


@pytest.mark.parametrize("max_bytes", [0, 1, 10_000])
def test_the_first_job_always_has_room(max_bytes: int) -> None:
    job = a_job(data=b"1" * 20_000)
    room = Room(max_bytes)

    assert room.take(job)
    assert not room.take(a_job())
    assert room.is_full


def test_what_fits_to_the_byte_fits() -> None:
    job = a_job()
    longer = replace(job, data=job.data + b" ")

    for second, fits in ((job, True), (longer, False)):
        room = Room(2 * answer_bytes(job))
        assert room.take(job)
        assert room.take(second) is fits


@given(job=some_jobs)
def test_the_cheap_bound_of_a_job_is_never_below_its_measure(job: Job) -> None:
    assert most_bytes(job) >= answer_bytes(job)


def test_jobs_are_measured_exactly_once_their_bounds_do_not_fit_any_more() -> None:
    """Bounds alone would call an answer full that has room for the last job."""
    jobs = [a_job(queue="q" * 200) for _ in range(10)]
    room = Room(sum(map(answer_bytes, jobs)))

    assert sum(map(most_bytes, jobs)) > sum(map(answer_bytes, jobs))
    assert all(room.take(job) for job in jobs)
    assert not room.take(a_job())
