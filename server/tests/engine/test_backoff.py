"""How long a failed job waits (JW-FAIL-3, JW-FAIL-11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.jobs import a_job
from tests.vectors import by_id, vectors

from jobwire_server.engine.backoff import delay_ms
from jobwire_server.model import Job
from jobwire_server.wire import limits


@pytest.mark.parametrize("row", vectors("backoff"), ids=by_id)
def test_the_delay_of_the_vector(row: dict[str, Any]) -> None:
    job = a_job(
        backoff=row["backoff"],
        backoff_delay_ms=row["backoff_delay_ms"],
        backoff_schedule_ms=tuple(row["backoff_schedule_ms"]),
        backoff_max_ms=row["backoff_max_ms"],
        jitter=row["jitter"],
    )

    assert delay_ms(job, row["n"], row["u"]) == row["delay_ms"]


durations = st.integers(0, limits.DURATION_MS)
jobs = st.builds(
    a_job,
    backoff=st.sampled_from(["fixed", "linear", "exponential"]),
    backoff_delay_ms=durations,
    backoff_schedule_ms=st.lists(durations, max_size=3).map(tuple),
    backoff_max_ms=durations,
    jitter=st.floats(0, 1),
)
tries = st.integers(1, limits.MAX_ATTEMPTS)


@given(job=jobs, n=tries, u=st.floats(0, 1, exclude_max=True))
def test_the_delay_is_never_negative_and_never_over_its_cap(job: Job, n: int, u: float) -> None:
    assert 0 <= delay_ms(job, n, u) <= job.backoff_max_ms


@given(job=jobs.filter(lambda job: not job.backoff_schedule_ms), n=tries)
def test_without_jitter_a_later_try_waits_no_less(job: Job, n: int) -> None:
    assert delay_ms(job, n, 0.0) <= delay_ms(job, n + 1, 0.0)
