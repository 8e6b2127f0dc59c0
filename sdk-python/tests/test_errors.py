"""The exceptions: which class, what they carry, and what they never show."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from jobwire import _errors as errors
from jobwire._error_codes import CATEGORIES, ERROR_CODES

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "spec" / "vectors" / "errors.json").read_text(encoding="utf-8")
)["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_error_of_the_specification_has_its_class(vector: dict[str, Any]) -> None:
    wire = {"code": vector["code"], "message": "x", "details": None}

    for status in [*vector["statuses"], None]:
        error = errors.from_response(wire, status=status)
        assert (type(error).__name__, error.retryable) == (vector["sdk"], vector["retryable"])


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_each_code_of_the_catalogue_has_the_class_of_its_category(code: str) -> None:
    error = errors.error_for(code)

    assert type(error).__name__ == CATEGORIES[ERROR_CODES[code].category]
    assert error.retryable is ERROR_CODES[code].retryable


@pytest.mark.parametrize(
    ("status", "retryable", "expected"),
    [
        (404, None, errors.NotFoundError),
        (409, None, errors.ConflictError),
        (418, None, errors.JobwireError),
        (503, None, errors.UnavailableError),
        (None, True, errors.UnavailableError),
        (None, None, errors.JobwireError),
    ],
)
def test_a_code_of_a_newer_server_goes_by_its_status(
    status: int | None, retryable: bool | None, expected: type
) -> None:
    """JW-SDK-5."""
    assert type(errors.error_for("A_NEW_CODE", status=status, retryable=retryable)) is expected


def test_a_refusal_keeps_what_the_server_said() -> None:
    error = errors.from_response(
        {
            "code": "QUEUE_FULL",
            "message": "full",
            "details": {"queue": "q"},
            "retryable": True,
            "retry_after_ms": 1500,
        },
        status=429,
        request_id="r1",
        retry_after=2.0,
    )

    assert isinstance(error, errors.RateLimitedError)
    assert str(error) == "QUEUE_FULL: full"
    assert (error.details, error.retry_after) == ({"queue": "q"}, 1.5)
    assert (error.status, error.request_id) == (429, "r1")


def test_an_answer_of_rustqueue_has_no_details() -> None:
    error = errors.from_response({"code": "INVALID_STATE", "message": "x", "details": None})

    assert isinstance(error, errors.ConflictError)
    assert error.details == {}


@pytest.mark.parametrize("wire", [None, "no", {}, {"code": 7}, []])
def test_an_error_without_a_code_is_a_protocol_error(wire: object) -> None:
    assert isinstance(errors.from_response(wire), errors.ProtocolError)


@pytest.mark.parametrize("value", [-1, "1", True, None, float("inf"), float("nan")])
def test_a_senseless_wish_to_wait_is_passed_over(value: Any) -> None:
    assert errors.from_response({"code": "OVERLOADED", "retry_after_ms": value}).retry_after is None


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("CONNECTION_FAILED", True),
        ("SHUTTING_DOWN", True),
        ("OVERLOADED", True),
        ("QUEUE_PAUSED", True),
        ("RATE_LIMITED", True),
        ("CONNECTION_LOST", False),
        ("TIMEOUT", False),
        ("INTERNAL_ERROR", False),
        ("STORAGE_UNAVAILABLE", False),
        ("HTTP_ERROR", False),
        ("VALIDATION_ERROR", False),
    ],
)
def test_safe_to_retry_means_provably_not_carried_out(code: str, safe: bool) -> None:
    assert errors.safe_to_retry(errors.error_for(code)) is safe


def test_a_certificate_that_does_not_verify_is_not_safe_to_retry() -> None:
    error = errors.error_for("CONNECTION_FAILED", retryable=False)

    assert errors.safe_to_retry(error) is False


def test_another_exception_is_not_safe_to_retry() -> None:
    assert errors.safe_to_retry(OSError()) is False


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_copies_and_pickles(again: Any) -> None:
    error = errors.error_for("DUPLICATE_KEY", "x", details={"existing_id": "i"}, status=409)

    twin = again(error)

    assert type(twin) is errors.ConflictError
    assert vars(twin) == vars(error)


def test_handler_outcomes_say_what_they_want() -> None:
    assert errors.Discard("why").reason == "why"
    assert (errors.RetryIn(5, "why").seconds, errors.RetryIn(5).reason) == (5, "")
    assert (errors.Release().delay, errors.Release(2.5).delay) == (0.0, 2.5)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_senseless_delay_is_refused_where_it_is_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        errors.RetryIn(seconds)
    with pytest.raises(ValueError, match="0 or more"):
        errors.Release(seconds)
