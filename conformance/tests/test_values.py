"""Variables: what they stand for, and that a seed makes the same ones again."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from conformance.runner.matching import mismatches
from conformance.runner.operations import encode
from conformance.runner.values import Unresolved, Variables, duration_ms, references


def variables(seed: int = 7, item: str = "ACK-1[http]") -> Variables:
    return Variables(item, seed, "http", lambda: 1000)


def test_a_whole_reference_keeps_its_type_and_one_in_a_text_is_text() -> None:
    names = variables()
    names["job"] = {"id": "x", "tags": ["a", "b"], "n": 1}

    resolved = names.resolve(
        {"{{job.id}}": "{{job.n}}", "t": "n={{job.n}}", "l": ["{{job.tags[1]}}"]}
    )

    assert resolved == {"x": 1, "t": "n=1", "l": ["b"]}


def test_the_same_seed_makes_the_same_names_and_ids() -> None:
    def made(seed: int, item: str) -> list[Any]:
        names = variables(seed, item)
        resolved: list[Any] = names.resolve(["{{queue}}", "{{queue:2}}", "{{uuid:A}}", "{{uuid}}"])
        return resolved

    assert made(7, "A-1[http]") == made(7, "A-1[http]")
    assert not set(made(7, "A-1[http]")) & set(made(8, "A-1[http]"))
    assert not set(made(7, "A-1[http]")) & set(made(7, "A-1[tcp1]"))


def test_ids_are_uuids_of_version_7_in_the_order_in_which_they_were_asked_for() -> None:
    names = variables()
    ids = [names.resolve("{{uuid}}") for _ in range(50)]

    assert all(mismatches({"type": "uuid7"}, each) == [] for each in ids)
    assert ids == sorted(ids)
    assert len(set(ids)) == 50
    assert uuid.UUID(ids[0]).variant == uuid.RFC_4122


def test_a_letter_names_one_id_in_every_branch() -> None:
    names = variables()
    first = names.child(0).resolve("{{uuid:A}}")

    assert names.child(1).resolve("{{uuid:A}}") == first
    assert names.resolve("{{uuid:B}}") != first


def test_a_branch_keeps_its_variables_to_itself() -> None:
    names = variables()
    child = names.child(3)
    child["id"] = 1

    assert child.resolve("{{branch}}") == 3
    with pytest.raises(Unresolved):
        names.resolve("{{id}}")


@pytest.mark.parametrize(
    "text", ["{{nothing}}", "{{job.nothing}}", "a {{nothing}} b", "{{job[5]}}"]
)
def test_what_nobody_has_set_is_no_empty_text(text: str) -> None:
    names = variables()
    names["job"] = {"id": 1}

    with pytest.raises(Unresolved):
        names.resolve(text)


def test_now_needs_a_clock_that_stands_still() -> None:
    running = Variables("A-1[http]", 1, "http")

    assert variables().resolve("{{now}}") == 1000
    with pytest.raises(Unresolved):
        running.resolve("{{now}}")


def test_values_too_long_to_write_down() -> None:
    names = variables()
    names["n"] = 3

    assert names.resolve({"$repeat": {"text": "ab", "times": "{{n}}"}}) == "ababab"
    assert names.resolve({"$nest": {"depth": 3}}) == [[[]]]
    assert names.resolve({"$join": ["a", {"$repeat": {"text": "b", "times": 2}}, 1]}) == "abb1"
    assert names.resolve({"$list": {"item": "x", "times": 2}}) == ["x", "x"]
    assert encode(names.resolve([{"$nest": {"depth": 5000}}])) == b"[" * 5001 + b"]" * 5001
    assert names.resolve({"$repeat": 1, "more": 2}) == {"$repeat": 1, "more": 2}


def test_references_are_found_in_keys_too() -> None:
    assert set(references({"{{a}}": ["{{b:1}} {{c.d}}"]})) == {("a", None), ("b", "1"), ("c", None)}


@pytest.mark.parametrize("text", ["{{ }}", "{{A}}", "{{a b}}", "{{1}}"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError):
        list(references(text))


def test_durations() -> None:
    found = [duration_ms(text) for text in ("5ms", "2s", "3m", "1h", "1d")]

    assert found == [5, 2_000, 180_000, 3_600_000, 86_400_000]
    with pytest.raises(ValueError):
        duration_ms("5")
