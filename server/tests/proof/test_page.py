"""docs/guarantees.md shows what was measured, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.proof.page import PAGE, Record, filled, order, records

SERVER = Path(__file__).parents[2]
ALL_PROMISES = {f"C{number}" for number in range(1, 13)}


@pytest.fixture(scope="module")
def found() -> list[Record]:
    return records()


def test_the_page_shows_the_records(found: list[Record]) -> None:
    """`make figures-page` writes it anew."""
    assert PAGE.read_text() == filled(PAGE.read_text(), found)


def test_every_promise_has_a_proof(found: list[Record]) -> None:
    assert {promise for each in found for promise in each["promises"]} == ALL_PROMISES


def test_the_page_says_every_promise() -> None:
    said = set(re.findall(r"^\*\*(C\d+) ", PAGE.read_text(), re.MULTILINE))
    assert said == ALL_PROMISES


def test_every_proof_that_is_named_is_there(found: list[Record]) -> None:
    for each in found:
        assert is_there(each["proof"]), f"{each['test']} was proved by {each['proof']}"


def is_there(proof: str) -> bool:
    if proof.startswith("python -m "):
        module = SERVER / proof.removeprefix("python -m ").replace(".", "/")
        return module.with_suffix(".py").exists() or (module / "__main__.py").exists()
    path, _, test = proof.partition("::")
    return f"def {test.rpartition('::')[2]}(" in (SERVER / path).read_text()


def test_nothing_that_is_shown_was_broken(found: list[Record]) -> None:
    """A figure with a broken promise is a bug to mend, not one to publish."""
    assert [each["test"] for each in found if each["bad"]] == []


def test_a_record_that_has_changed_changes_the_page(found: list[Record]) -> None:
    changed = [{**found[0], "tries": found[0]["tries"] + 1}, *found[1:]]

    assert filled(PAGE.read_text(), changed) != PAGE.read_text()


def test_tests_stand_in_the_order_of_their_numbers() -> None:
    assert sorted(["T10", "T2-normal", "T2", "T1"], key=order) == ["T1", "T2", "T2-normal", "T10"]
