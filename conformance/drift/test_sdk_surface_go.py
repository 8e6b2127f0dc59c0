"""The Go SDK has the surface of spec/sdk-surface.yaml, declaration by declaration."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance.drift.surface_go import Surface, faults, parse, read
from conformance.runner.coverage import SURFACE

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE: dict[str, Any] = yaml.safe_load(SURFACE.read_text(encoding="utf-8"))

DOC = """\
package jobwire // import "example.org/jobwire"

const NoDelay time.Duration = -1
    NoDelay stands for 0.

var (
	// ErrAuth: Limit = 5
	ErrAuth = errors.New("no")
)

func Set[T any](value T) Setting[T]
    Set is a setting.

type Client struct {
	// Has unexported fields.
}
    Client pushes.

func (c *Client) Close() error

type Page struct {
	// Jobs = some of them.
	Jobs       []*Job
	From, To string
}
"""


@pytest.fixture(scope="module")
def surface() -> Surface:
    return read()


def test_the_sdk_has_this_surface(surface: Surface) -> None:
    assert faults(TABLE, surface) == []


def test_what_go_doc_says_is_understood() -> None:
    assert parse(DOC) == Surface(
        functions={
            ("", "Set"): "Set[T any](value T) Setting[T]",
            ("Client", "Close"): "Close() error",
        },
        names={"NoDelay", "ErrAuth", "Client", "Page"},
        fields={"Client": [], "Page": ["Jobs", "From", "To"]},
    )


def _drop(section: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        del table[section][name]

    return change


def _set(section: str, name: str, go: str) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        table[section][name] = {"go": go}

    return change


def _unlist(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["names"]["go"].remove(name)


def _list(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["names"]["go"].append(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("methods", "push"), "Client.Push is not listed"),
        (_drop("worker_methods", "worker.stop"), "Worker.Stop is not listed"),
        (_drop("job_methods", "job.log"), "the package has Log, which is not listed"),
        (_drop("errors", "conflict"), "the package has ErrConflict, which is not listed"),
        (_set("methods", "steal", "Steal() error"), "Steal() error is listed, and not there"),
        (_set("methods", "close", "Close()"), "Close() error is listed as Close()"),
        (_set("classes", "Worker", "NewWorker()"), "is listed as NewWorker()"),
        (_unlist("Job"), "the package has Job, which is not listed"),
        (_list("Jbo"), "Jbo is listed, and the package does not have it"),
        (_list("Job.Steal"), "Job.Steal is listed, and the package does not have it"),
        (lambda table: table["fields"]["go"]["Config"].remove("Token"), "Config has the fields"),
        (
            lambda table: table["fields"]["go"].pop("PullOptions"),
            "the fields of PullOptions are not listed",
        ),
        (
            lambda table: table["methods"]["push"].pop("go"),
            "push without go is listed, and not there",
        ),
    ],
)
def test_a_table_that_differs_is_told(
    change: Callable[[dict[str, Any]], None], said: str, surface: Surface
) -> None:
    table = copy.deepcopy(TABLE)
    change(table)

    found = faults(table, surface)

    assert any(said in each for each in found), found
