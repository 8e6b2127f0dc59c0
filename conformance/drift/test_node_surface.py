"""The Node SDK has the surface of spec/sdk-surface.yaml, argument by argument and option by option, as its built declarations show it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance.drift.surface_node import Declarations, build, faults
from conformance.runner.coverage import SURFACE

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE: dict[str, Any] = yaml.safe_load(SURFACE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found() -> Declarations:
    build()
    return Declarations()


def test_the_node_sdk_has_this_surface(found: Declarations) -> None:
    assert faults(TABLE, found) == []


def _drop(section: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        del table[section][name]

    return change


def _set(section: str, name: str, node: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        table[section][name] = {"node": node}

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("methods", "push"), "Client.push(queue, name, data?, {backoff='exponential',"),
        (_drop("methods", "get_job"), "Client.getJob(job, {signal?}?) is not listed in methods"),
        (_drop("worker_methods", "worker.stop"), "Worker.stop({timeoutMs?}?) is not listed"),
        (_drop("job_methods", "job.log"), "JobContext.log(message) is not listed"),
        (_drop("errors", "conflict"), "jobwire has ConflictError, which is not listed"),
        (_set("methods", "steal", "()"), "Client.steal is listed in methods, and not there"),
        (_set("methods", "ack", "(job)"), "Client.ack(job, {lease?, result?, signal?}?) is listed"),
        (
            _set("methods", "release", "(job, {delayMs=1, signal?}?)"),
            "(job, {delayMs=0, signal?}?)",
        ),
        (_set("classes", "Worker", "()"), "concurrency=8, graceMs=30000,"),
        (_set("classes", "Wroker", "()"), "Wroker is listed, and jobwire does not have it"),
        (_set("errors", "conflict", "Discard"), "Discard of conflict is no JobwireError"),
    ],
)
def test_a_table_that_differs_is_told(
    change: Callable[[dict[str, Any]], None], said: str, found: Declarations
) -> None:
    table = copy.deepcopy(TABLE)
    change(table)

    told = faults(table, found)

    assert any(said in each for each in told), told
