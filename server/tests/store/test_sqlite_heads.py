"""What the writer remembers of jobs is bounded, and never in place of what the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.store.jobs import NOW, a_job, pull, push

from jobwire_server.engine.flows import resolve_child
from jobwire_server.store.sqlite import SqliteStore, heads
from jobwire_server.store.sqlite.heads import GENERATION_BYTES, Heads, Ready


def filled(ready: Ready, start: int, data: bytes) -> int:
    """Put jobs, with a trim after each, until a generation has ended; the seq after the last of them."""
    seq, added = start, 0
    while added <= GENERATION_BYTES:
        ready.put(seq, a_job(data=data))
        ready.trim()
        seq, added = seq + 1, added + len(data)
    return seq


def test_a_waiting_job_is_known_until_it_is_dropped() -> None:
    ready, job = Ready(), a_job()
    ready.put(1, job)
    assert ready.known([1, 2]) == {1: job}

    ready.drop(1)

    assert ready.known([1]) == {}


def test_a_job_outlives_one_generation_and_not_two() -> None:
    ready, data = Ready(), b'"' + b"x" * 100_000 + b'"'
    ready.put(0, a_job())
    following = filled(ready, 1, data)
    assert 0 in ready.known([0])

    last = filled(ready, following, data)

    assert ready.known([0]) == {}
    assert last - 1 in ready.known(range(last))
    held = sum(len(job.data) for job in ready.known(range(last)).values())
    assert held <= 2 * (GENERATION_BYTES + len(data))


def test_a_job_of_the_old_generation_can_be_dropped() -> None:
    ready = Ready()
    ready.put(0, a_job())
    filled(ready, 1, b'"' + b"x" * 100_000 + b'"')

    ready.drop(0)

    assert ready.known([0]) == {}


@pytest.mark.parametrize("state", ["active", "completed", "delayed"])
def test_a_job_that_waits_no_more_is_not_known_as_waiting(state: str) -> None:
    known, job = Heads(), a_job()
    known.saw(1, job)
    assert known.ready.known([1]) == {1: job}

    known.saw(1, a_job(id=job.id, state=state))

    assert known.ready.known([1]) == {}


def test_whatever_is_taken_back_is_forgotten() -> None:
    known = Heads()
    known.saw(1, a_job())
    known.saw(2, active := a_job(state="active"))

    known.clear()

    assert (known.ready.known([1]), known.known([active.id])) == ({}, {})


@pytest.mark.parametrize("size", [1, GENERATION_BYTES])
async def test_jobs_are_handed_out_in_order_whether_they_are_remembered_or_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(heads, "GENERATION_BYTES", size)
    store: Any = SqliteStore(tmp_path / "jobs.db", resolve_child, ballast_bytes=1 << 20)
    await store.open(NOW)
    pushed = [a_job(data=b'{"n":%d}' % number) for number in range(30)]
    for job in pushed:
        await push(store, job)

    pulled = [(await pull(store))[0] for _ in pushed]

    assert [(job.id, job.data) for job in pulled] == [(job.id, job.data) for job in pushed]
    await store.close()
