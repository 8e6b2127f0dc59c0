"""The Python SDK has the surface of spec/sdk-surface.yaml, argument by argument, and the table agrees with the tables beside it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance.drift.surface import faults
from conformance.runner.coverage import SURFACE
from conformance.runner.specification import specification

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = specification()
TABLE: dict[str, Any] = yaml.safe_load(SURFACE.read_text(encoding="utf-8"))
# What has no argument that could be wrong never meets a VALIDATION_ERROR.
CANNOT_BE_WRONG = {"list_queues", "list_workers", "health", "capabilities", "ping"}
# Said to clients of wire version 1 that are not ours, and of lines that ours do not write.
NEVER_MET = {"NOT_FOUND", "PARSE_ERROR"}


def test_the_sdk_has_this_surface() -> None:
    assert faults(TABLE) == []


def test_each_command_of_the_sdks_has_its_method() -> None:
    wanted = {
        each["sdk"]: name for name, each in SPEC.wire["operations"].items() if "sdk" in each
    } | {"find_page": "find"}

    listed = {name: row["command"] for name, row in TABLE["methods"].items() if "command" in row}

    assert listed == wanted


@pytest.mark.parametrize(
    "name", [name for name, row in TABLE["methods"].items() if "command" in row]
)
def test_the_errors_of_a_method_are_those_of_its_command(name: str) -> None:
    row = TABLE["methods"][name]
    codes = set(SPEC.wire["operations"][row["command"]]["errors"]) - NEVER_MET
    if name in CANNOT_BE_WRONG:
        codes.discard("VALIDATION_ERROR")
    wanted = {SPEC.categories[SPEC.codes[code]["category"]]["sdk"] for code in codes}

    assert set(row["errors"]) == wanted


def test_the_classes_are_those_of_errors_yaml() -> None:
    named = {name: row["sdk"] for name, row in SPEC.categories.items()}

    assert {name: row["python"] for name, row in TABLE["errors"].items()} == named
    assert set(TABLE["any_method"]) <= set(named.values())


def _drop(section: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        del table[section][name]

    return change


def _set(section: str, name: str, python: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        table[section][name] = {"python": python}

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("methods", "push"), "Client.push is not listed in methods"),
        (_drop("worker_methods", "worker.stop"), "AsyncWorker.stop is not listed"),
        (_drop("job_methods", "job.log"), "JobContext.log is not listed"),
        (_drop("errors", "conflict"), "jobwire has ConflictError, which is not listed"),
        (_set("methods", "steal", "()"), "AsyncClient.steal is listed in methods, and not there"),
        (
            _set("methods", "ack", "(job)"),
            "Client.ack(job, result=UNSET, *, lease=None) is listed as (job)",
        ),
        (_set("methods", "release", "(job, *, delay=1.0)"), "is listed as (job, *, delay=1.0)"),
        (_set("classes", "Worker", "()"), "is listed as ()"),
        (_set("classes", "Wroker", "()"), "Wroker is listed, and jobwire does not have it"),
        (_set("errors", "conflict", "Discard"), "Discard of conflict is no JobwireError"),
    ],
)
def test_a_table_that_differs_is_told(change: Callable[[dict[str, Any]], None], said: str) -> None:
    table = copy.deepcopy(TABLE)
    change(table)

    found = faults(table)

    assert any(said in each for each in found), found
