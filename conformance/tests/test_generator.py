"""The case files that follow from the spec are those that the spec gives today, and say what they should."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.generator import __main__ as generator
from conformance.generator import bounds, http_cells, tcp_cells
from conformance.generator.http_requests import refusal
from conformance.generator.spec import routes
from conformance.generator.values import Wrong, good_values, wrong_values


def test_the_files_are_up_to_date() -> None:
    assert generator.stale() == []


def test_every_documented_error_of_every_operation_has_a_case() -> None:
    ids = {case["id"] for cases in http_cells.suites().values() for case in cases}

    wanted = {
        f"HTTP-{route.operation_id}-{status}-{code}"
        for route in routes()
        for status, codes in route.codes.items()
        for code in codes
    }
    assert ids == wanted


def test_every_error_is_asked_for_in_both_media_types() -> None:
    for cases in http_cells.suites().values():
        for case in cases:
            types = [step["expect"].get("type") for step in case["steps"] if "http" in step]

            assert {"application/json", "application/problem+json"} <= set(types), case["id"]


def test_every_command_has_cases_in_every_version_that_has_it() -> None:
    for wire in (1, 2):
        [cases] = [
            found for suite, found in tcp_cells.suites().items() if suite.endswith(str(wire))
        ]
        for command in tcp_cells.commands():
            assert any(case["id"].startswith(f"TCP-{command}-v{wire}-") for case in cases), command


def test_a_problem_has_its_members_at_the_top() -> None:
    expected = refusal(404, "JOB_NOT_FOUND", {"id": "x"}, problem=True)

    assert expected["type"] == "application/problem+json"
    assert expected["body"]["$.details.id"] == "x"
    assert expected["body"]["$.status"] == 404


@pytest.mark.parametrize(
    ("where", "fields", "wanted"),
    [
        ("", {"a": 1}, {"a": 1}),
        ("/worker", {"a": 1}, {"worker": {"id": "w", "a": 1}}),
        ("/jobs/0", {"a": 1}, {"jobs": [{"name": "n", "a": 1}]}),
        ("/jobs/0/options", {"a": 1}, {"jobs": [{"name": "n", "options": {"a": 1}}]}),
    ],
)
def test_a_field_is_placed_where_its_pointer_leads(
    where: str, fields: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert bounds.placed(where, fields) == wanted


def test_the_values_of_an_integer_are_those_around_its_bounds() -> None:
    field = {"type": "int", "min": 0, "max": "wait_ms"}

    assert [value for _, value in good_values(field)] == [0, 60000]
    assert {wrong.value for wrong in wrong_values(field) if wrong.status == 400} == {-1, 60001}


def test_the_values_of_a_string_are_counted_in_bytes() -> None:
    field = {"type": "string", "max_bytes": 10}

    assert Wrong("a byte too long in two-byte characters", "é" * 6, 400) in wrong_values(field)
    assert ("as long as it may be in two-byte characters", "é" * 5) in good_values(field)
