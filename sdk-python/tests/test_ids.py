"""UUIDs made by the client."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from jobwire import _ids
from jobwire._ids import IdSource, format_uuid7, uuid7


def test_an_id_is_a_version_7_uuid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert (
        before <= made.int >> 80 <= after + 1000
    )  # ids made in a burst borrow from later milliseconds


def test_the_text_is_the_canonical_one() -> None:
    assert format_uuid7(0x0123456789AB, 0xCDE, 1) == "01234567-89ab-7cde-8000-000000000001"


def test_ids_of_many_threads_differ_and_those_of_one_only_grow() -> None:
    source, made = IdSource(), []

    def work() -> None:
        ids = [source.next_id() for _ in range(2000)]
        assert ids == sorted(ids)
        made.extend(ids)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 16_000


def test_ids_grow_when_the_wall_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = iter([5_000_000_000, 1_000_000_000])
    monkeypatch.setattr(_ids.time, "time_ns", lambda: next(instants))
    source = IdSource()

    first, second = source.next_id(), source.next_id()

    assert first < second
