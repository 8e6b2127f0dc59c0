"""A job that was pushed without options is written by a shorter statement, and to the same row."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.jobs import NOW, a_job

from jobwire_server.store.sqlite.queries import INSERTED, OPTIONAL, PLAIN
from jobwire_server.store.sqlite.rows import INLINE_BYTES, insert_values, plain_values

OPTIONS: dict[str, Any] = {
    "backoff_schedule_ms": (5, 10),
    "jitter": 0.5,
    "ttl_ms": 1,
    "timeout_ms": 1,
    "unique_key": "k",
    "unique_for_ms": 1,
    "tags": ("a",),
    "group_id": "g",
    "flow_id": "f",
    "custom_id": "c",
    "metadata": b"{}",
    "depends_on": ("p",),
    "due_at": NOW,
}


@pytest.mark.parametrize("data", [b"1", b'"' + b"x" * INLINE_BYTES + b'"'])
def test_the_shorter_statement_leaves_out_what_is_null(data: bytes) -> None:
    job = a_job(data=data, priority=3, lifo=True)
    whole = dict(zip(("seq", "crc", *INSERTED), insert_values(7, job), strict=True))
    plain = dict(zip(("seq", "crc", *PLAIN), plain_values(7, job) or (), strict=True))

    assert plain == {column: whole[column] for column in plain}
    assert {column for column in whole if column not in plain} == set(OPTIONAL)
    assert all(whole[column] is None for column in OPTIONAL)


def test_every_option_has_a_row_here() -> None:
    assert set(OPTIONS) == set(OPTIONAL)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_job_with_any_option_is_written_whole(option: str) -> None:
    run_at = {"run_at": NOW + 1} if option == "due_at" else {option: OPTIONS[option]}

    assert plain_values(7, a_job(**run_at)) is None
