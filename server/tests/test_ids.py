"""Ids: UUIDv7, each greater than those before it (JW-JOB-3)."""

from __future__ import annotations

import time
import uuid

import pytest

from jobwire_server.ids import IdMaker


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(IdMaker().new())
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_increase_within_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_767_225_600_000_000_000)
    new = IdMaker().new

    ids = [new() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {uuid.UUID(made).version for made in ids} == {7}
    assert {uuid.UUID(made).variant for made in ids} == {uuid.RFC_4122}


def test_ids_increase_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    new = IdMaker().new
    ids = []
    for now in (2_000, 1_000, 1_000, 3_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now * 1_000_000)
        ids.append(new())

    assert ids == sorted(set(ids))


def test_two_makers_do_not_make_the_same_ids() -> None:
    one, other = IdMaker().new, IdMaker().new

    assert len({make() for make in (one, other) for _ in range(1_000)}) == 2_000
