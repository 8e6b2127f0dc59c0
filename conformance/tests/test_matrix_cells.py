"""The matrix of lifecycle.yaml has a case for every operation in every state, and they say what the table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.generator import matrix_cells
from conformance.generator.setups import LEASED
from conformance.generator.spec import operations
from conformance.runner.matching import Context, mismatches
from conformance.runner.values import Variables

VECTORS = Path(__file__).parents[2] / "spec/vectors/transitions.json"
# What parents do to a job that is not blocked is told by cases of their own (behaviour/dependencies): no steps bring it about alone.
BY_PARENTS = ("parents_completed", "parent_failed")


def ids() -> set[str]:
    return {case["id"] for cases in matrix_cells.suites().values() for case in cases}


def test_every_operation_has_a_case_in_every_state() -> None:
    names = [name for name in matrix_cells.LIFECYCLE["operations"] if name not in BY_PARENTS]

    wanted = {f"MATRIX-{name}-{state}" for name in names for state in matrix_cells.STATES}

    assert wanted <= ids()


def test_every_vector_of_an_ended_lease_has_a_case() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    ended = [vector for vector in vectors if vector["lease"] == "current" and vector["settled_by"]]

    wanted = {f"MATRIX-{v['operation']}-{v['state']}-after-{v['settled_by']}" for v in ended}

    assert wanted == {found for found in ids() if "-after-" in found}


def test_an_operation_with_a_lease_is_tried_with_another_one_in_every_state() -> None:
    wanted = {f"MATRIX-{name}-{state}-lease" for name in LEASED for state in matrix_cells.STATES}

    assert wanted <= ids()


def test_a_case_runs_over_version_1_only_when_that_has_all_of_its_commands() -> None:
    for cases in matrix_cells.suites().values():
        for case in cases:
            used = {step["do"] for step in case["steps"] if "do" in step}

            in_version_1 = all(operations()[name]["wire"] == 1 for name in used)
            assert in_version_1 or "tcp1" not in case["transports"], case["id"]


def test_a_refusal_is_followed_by_a_look_at_the_unchanged_job() -> None:
    for cases in matrix_cells.suites().values():
        for case in cases:
            refused = [step for step in case["steps"] if "expect_error" in step]
            if refused and refused[0]["expect_error"]["code"] != "JOB_NOT_FOUND":
                assert case["steps"][-1]["expect"] == {"$.job": "{{before}}"}, case["id"]


@pytest.mark.parametrize(("actual", "fits"), [("b", True), ("a", False), ("A", False), (2, False)])
def test_a_text_sorts_after_another(actual: object, fits: bool) -> None:
    assert (mismatches({"after": "a"}, actual, Context()) == []) is fits


def test_a_list_of_equal_items() -> None:
    variables = Variables("X-1[http]", 7, "http")

    made = variables.resolve({"$list": {"item": {"name": "n"}, "times": 3}})

    assert made == [{"name": "n"}] * 3
