"""Matchers: what fits, what does not, and what is no matcher at all."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.runner.matching import Context, NoMatcher, is_matcher, mismatches, paired
from conformance.runner.paths import MISSING, select, steps_of

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
CONTEXT = Context(now_ms=NOW)
UUID7 = "019b76da-a801-7e07-9f86-9c919e9748aa"

FITS: list[tuple[Any, Any]] = [
    (1, 1),
    ("a", "a"),
    (None, None),
    ([1, [2]], [1, [2]]),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({}, {"a": 1}),
    ([], []),
    ({"equal": {"type": "int"}}, {"type": "int"}),
    ({"equal": [1]}, [1]),
    ({"type": "uuid7"}, UUID7),
    ({"type": "uuid"}, "00000000-0000-4000-8000-000000000000"),
    ({"type": "int"}, 3),
    ({"type": "float"}, 3.0),
    ({"type": "number"}, 3),
    ({"type": "number"}, 0.5),
    ({"type": "bool"}, False),
    ({"type": "null"}, None),
    ({"type": "time"}, "2026-01-01T00:00:00.123Z"),
    ({"type": "lease"}, "1-0a1b2c3d4e5f"),
    ({"type": "list", "len": 2}, [1, 2]),
    ({"re": "^a.c$"}, "abc"),
    ({"at": "+1000ms"}, "2026-01-01T00:00:01.000Z"),
    ({"at": "+1s"}, NOW + 1000),
    ({"at": "-1d"}, NOW - 86_400_000),
    ({"at": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00.000Z"),
    ({"at": f"{NOW}+5ms"}, NOW + 5),
    ({"between": [1, 2]}, 2),
    ({"between": [1, 2]}, 1.5),
    ({"between": ["+0ms", "+2s"]}, "2026-01-01T00:00:02.000Z"),
    ({"any_of": [1, {"type": "string"}], "reason": "both are right"}, "x"),
    ({"absent": True}, MISSING),
    ({"len": 3}, "abc"),
    ({"len": {"between": [1, 2]}}, {"a": 1}),
    ({"contains": "b"}, "abc"),
    ({"contains": {"id": 2}}, [{"id": 1}, {"id": 2, "more": 0}]),
    ({"unordered": [1, {"type": "int"}]}, [2, 1]),
    ({"unordered": []}, []),
    ({"not": 1}, 2),
    ({"not": {"absent": True}}, 0),
    ({"after": "a"}, "b"),
]

DOES_NOT_FIT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1.0, 1),
    (1, True),
    (True, 1),
    (False, 0),
    ("1", 1),
    (0.0, -0.0),
    (None, MISSING),
    (None, False),
    ("a", MISSING),
    ({"a": 1}, {}),
    ({"a": None}, {}),
    ({"a": 1}, [1]),
    ([1], [1, 2]),
    ([1, 2], [2, 1]),
    ([], {}),
    ({"equal": {}}, {"a": 1}),
    ({"equal": {"a": 1}}, {"a": 1.0}),
    ({"equal": None}, MISSING),
    ({"type": "uuid7"}, "00000000-0000-4000-8000-000000000000"),
    ({"type": "uuid"}, UUID7.upper()),
    ({"type": "int"}, True),
    ({"type": "int"}, 1.0),
    ({"type": "number"}, True),
    ({"type": "string"}, MISSING),
    ({"type": "null"}, MISSING),
    ({"type": "time"}, "2026-01-01T00:00:00+00:00"),
    ({"type": "time"}, "2026-02-30T00:00:00Z"),
    ({"type": "time"}, NOW),
    ({"type": "lease"}, ""),
    ({"type": "list", "len": 2}, [1]),
    ({"re": "^b"}, "abc"),
    ({"re": "."}, 1),
    ({"at": "+1000ms"}, "2026-01-01T00:00:01.001Z"),
    ({"at": "+1s"}, "soon"),
    ({"at": "+1s"}, None),
    ({"between": [1, 2]}, 3),
    ({"between": [1, 2]}, "1"),
    ({"between": [0, 1]}, True),
    ({"any_of": [1, 2], "reason": "both are right"}, 3),
    ({"absent": True}, None),
    ({"len": 3}, "ab"),
    ({"len": 0}, None),
    ({"len": 0}, MISSING),
    ({"contains": "d"}, "abc"),
    ({"contains": 1}, [True]),
    ({"contains": 1}, MISSING),
    ({"unordered": [1, 1]}, [1, 2]),
    ({"unordered": [1]}, [1, 1]),
    ({"unordered": []}, {}),
    ({"not": 1}, 1),
    ({"not": 1}, MISSING),
    ({"not": {"type": "int"}}, 5),
    ({"after": "b"}, "b"),
]


@pytest.mark.parametrize(("expected", "actual"), FITS)
def test_a_value_that_fits(expected: Any, actual: Any) -> None:
    assert mismatches(expected, actual, CONTEXT) == []


@pytest.mark.parametrize(("expected", "actual"), DOES_NOT_FIT)
def test_a_value_that_does_not_fit(expected: Any, actual: Any) -> None:
    found = mismatches(expected, actual, CONTEXT)

    assert found
    assert all(str(each) for each in found)


@pytest.mark.parametrize(
    "expected",
    [
        {"type": "integer"},
        {"any_of": [1, 2]},
        {"absent": False},
        {"between": [1]},
        {"at": "soon"},
        {"at": ""},
    ],
)
def test_a_matcher_without_sense_is_never_a_verdict(expected: Any) -> None:
    with pytest.raises(NoMatcher):
        mismatches(expected, "value", CONTEXT)


def test_a_moment_relative_to_a_clock_that_runs_is_never_a_verdict() -> None:
    with pytest.raises(NoMatcher, match="time: true"):
        mismatches({"at": "+1s"}, NOW, Context())


def test_a_mismatch_names_the_place() -> None:
    found = mismatches({"a": [{"b": 1}]}, {"a": [{"b": 2}]})

    assert [each.path for each in found] == ["$.a[0].b"]


def test_only_words_of_matchers_make_a_matcher() -> None:
    assert is_matcher({"type": "int"})
    assert not is_matcher({"type": "int", "id": 1})
    assert not is_matcher({})


def test_pairs_are_found_where_a_greedy_choice_would_fail() -> None:
    assert paired([[True, True], [True, False]])
    assert not paired([[True, False], [True, False]])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", {"a": [{"b": 1}, {"b": 2}, {}], "x.y": 3}),
        ("$.a[0].b", 1),
        ("$.a[-1]", {}),
        ("$.a[*].b", [1, 2, MISSING]),
        ("$['x.y']", 3),
        ("$.a[3]", MISSING),
        ("$.a.b", MISSING),
        ("$.a[0].b.c", MISSING),
        ("$.nothing[*]", MISSING),
    ],
)
def test_paths(path: str, found: Any) -> None:
    value = {"a": [{"b": 1}, {"b": 2}, {}], "x.y": 3}

    assert select(path, value) == found


@pytest.mark.parametrize("path", ["a", "$a", "$.", "$[", "$[x]", "$..a", "$.a b"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError):
        steps_of(path)
