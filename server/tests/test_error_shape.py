"""Every code of spec/errors.yaml through every encoder: members, statuses, details (JW-ERR-1, JW-ERR-2, JW-HTTP-2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.vectors import by_id, spec, vectors

from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.errors import JobwireError
from jobwire_server.wire.responses import (
    error_body,
    http_answer,
    problem_body,
    status_of,
    tcp_answer,
)

CODES = spec("errors")["codes"]
SERVED = [row for row in vectors("errors") if row["code"] in CODES]


def an_error(code: str) -> JobwireError:
    return JobwireError(code, "what to do", dict.fromkeys(CODES[code]["details"], "x") or None)


def test_the_catalogue_is_that_of_the_spec() -> None:
    assert set(ERROR_CODES) == set(CODES) == {row["code"] for row in SERVED}


@pytest.mark.parametrize("row", SERVED, ids=by_id)
def test_a_code_has_its_status_and_says_whether_a_repeat_may_help(row: dict[str, Any]) -> None:
    error = an_error(row["code"])

    status, body = http_answer("push", error)

    assert status == status_of(error) == row["statuses"][0]
    assert json.loads(body) == {
        "ok": False,
        "error": {
            "code": row["code"],
            "message": "what to do",
            "details": error.details,
            "retryable": row["retryable"],
        },
    }
    assert body == error_body(error) == tcp_answer("push", error, wire=2, rid=None)


@pytest.mark.parametrize("row", SERVED, ids=by_id)
def test_version_1_has_rustqueue_s_three_members(row: dict[str, Any]) -> None:
    answer = json.loads(tcp_answer("push", an_error(row["code"]), wire=1, rid=None))

    assert list(answer) == ["ok", "error"]
    assert list(answer["error"]) == ["code", "message", "details"]


@pytest.mark.parametrize("row", SERVED, ids=by_id)
def test_the_problem_of_rfc_9457_says_the_same(row: dict[str, Any]) -> None:
    error = an_error(row["code"])

    problem = json.loads(problem_body(error))

    assert problem["status"] == row["statuses"][0]
    assert (problem["title"].upper().replace(" ", "_"), problem["detail"]) == (
        row["code"],
        "what to do",
    )
    assert (problem["code"], problem["retryable"], problem["details"]) == (
        row["code"],
        row["retryable"],
        error.details,
    )


@pytest.mark.parametrize("row", [row for row in SERVED if len(row["statuses"]) > 1], ids=by_id)
def test_a_code_with_two_statuses_can_have_either(row: dict[str, Any]) -> None:
    for status in row["statuses"]:
        assert http_answer("push", JobwireError(row["code"], "m", status=status))[0] == status


def test_details_that_say_nothing_are_null() -> None:
    assert json.loads(error_body(JobwireError("UNAUTHORIZED", "m")))["error"]["details"] is None
