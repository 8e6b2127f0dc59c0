"""What users hand over comes back byte for byte, and what is over a limit is refused with a pointer."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.target import push_and_take, refused, refused_at

from jobwire import Client, NotFoundError, PushItem, ValidationError
from jobwire._strict_json import raw_member

VALUES: list[tuple[Any, str]] = [
    (None, "null"),
    ({}, "{}"),
    ([1, [2, [3]]], "[1,[2,[3]]]"),
    (0, "0"),
    (2**63, "9223372036854775808"),
    (-(10**400), "-1" + "0" * 400),
    (1.0, "1.0"),
    (1e300, "1e+300"),
    (0.1 + 0.2, "0.30000000000000004"),
    ({"z": 1, "a": 2, "": 3}, '{"z":1,"a":2,"":3}'),
    ('\u0000\t"\\é\u2028😀', '"\\u0000\\t\\"\\\\é\u2028😀"'),
    ({"job": {"data": [{"jobs": []}]}}, '{"job":{"data":[{"jobs":[]}]}}'),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[text[:12] for _, text in VALUES])
def test_json_of_users_is_kept_byte_for_byte(
    client: Client, queue: str, value: Any, text: str
) -> None:
    """JW-JOB-5, JW-ERR-10."""
    job = push_and_take(client, queue, data=value, metadata=[value])
    client.ack(job, value)
    done = client.get_job(job)

    assert (job.data, job.raw_data) == (value, text)
    assert (done.raw_data, done.raw_result) == (text, text)
    assert raw_member(done.text, "metadata") == f"[{text}]"


OVER: list[tuple[dict[str, Any], str]] = [
    ({"name": "x" * 1025}, "/name"),
    ({"name": ""}, "/name"),
    ({"data": "x" * 1_048_575}, "/data"),
    ({"metadata": "é" * 32_768}, "/metadata"),
    ({"priority": 2**31}, "/priority"),
    ({"max_attempts": 10_001}, "/max_attempts"),
    ({"jitter": 1.5}, "/jitter"),
    ({"backoff": "random"}, "/backoff"),
    ({"on_conflict": "steal", "unique_key": "k"}, "/on_conflict"),
    ({"unique_key": "é" * 513}, "/unique_key"),
    ({"custom_id": "x" * 1025}, "/custom_id"),
    ({"tags": ["x"] * 33}, "/tags"),
    ({"tags": ["x", "x" * 257]}, "/tags/1"),
    ({"backoff_schedule": [1] * 65}, "/backoff_schedule_ms"),
    ({"depends_on": ["no uuid"]}, "/depends_on/0"),
    ({"id": "no uuid"}, "/id"),
]
BESIDE_OPTIONS = frozenset({"name", "data", "id"})


@pytest.mark.parametrize(("fields", "pointer"), OVER, ids=[pointer for _, pointer in OVER])
def test_a_value_over_its_limit_is_refused_by_its_pointer(
    client: Client, queue: str, fields: dict[str, Any], pointer: str
) -> None:
    """JW-LIMIT-1, JW-LIMIT-2, JW-ERR-6."""
    item = PushItem(**{"name": "job", **fields})
    where = pointer if set(fields) <= BESIDE_OPTIONS else f"/options{pointer}"

    error = refused(client.push_batch, queue, [item])

    assert isinstance(error, ValidationError)
    assert (error.code, error.details["pointer"]) == ("VALIDATION_ERROR", f"/jobs/0{where}")
    assert error.status in (None, 400)
    assert client.stats(queue).counts.waiting == 0


def test_a_value_at_its_limit_is_accepted(client: Client, queue: str) -> None:
    """JW-LIMIT-1, JW-LIMIT-2."""
    at_limit: dict[str, Any] = {
        "data": "x" * 1_048_574,
        "metadata": "é" * 32_767,
        "priority": -(2**31),
        "max_attempts": 10_000,
        "jitter": 1,
        "unique_key": "é" * 512,
        "tags": ["ü" * 128] * 32,
        "backoff_schedule": [3_155_760_000] * 64,
        "ttl": 3_155_760_000,
    }

    job = client.get_job(client.push(queue, "x" * 1024, **at_limit).id)

    assert (len(job.name), len(job.raw_data), job.ttl) == (1024, 1_048_576, 3_155_760_000)
    assert client.push("Q" * 256, "job").created


@pytest.mark.parametrize("name", ["", "a b", "ä", "q/1", "x" * 257])
def test_a_queue_to_push_to_has_a_name_of_the_alphabet(client: Client, name: str) -> None:
    """JW-LIMIT-1, JW-ERR-6."""
    error = refused(client.push_batch, name, [])

    assert isinstance(error, ValidationError if name else (ValidationError, NotFoundError))


def test_json_of_users_may_nest_so_deep_and_no_deeper(client: Client, queue: str) -> None:
    """JW-LIMIT-3."""
    depth = client.capabilities().limits["json_depth"]

    assert client.push(queue, "job", nested(depth)).created
    for bad in (depth + 1, 500):
        assert refused(client.push, queue, "job", nested(bad)).code == "PARSE_ERROR"
    assert refused(client.push, queue, "job", metadata=nested(depth + 1)).code == "PARSE_ERROR"


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_a_number_that_is_not_whole_is_no_integer(client: Client, queue: str) -> None:
    """JW-ERR-9, JW-ERR-5."""
    half: Any = 7.5

    code, pointer = refused_at(client.push, queue, "job", priority=half)

    assert code == "VALIDATION_ERROR"
    assert str(pointer).endswith("/priority")


def test_a_value_of_the_wrong_type_is_refused_by_its_pointer(client: Client, queue: str) -> None:
    """JW-ERR-5."""
    wrong: Any = "high"

    error = refused(client.push, queue, "job", priority=wrong)

    assert error.code == "VALIDATION_ERROR"
    assert str(error.details["pointer"]).endswith("/priority")
    assert error.status in (None, 422)


def test_an_error_text_over_its_limit_is_cut_by_the_client(client: Client, queue: str) -> None:
    """JW-FAIL-10."""
    job = push_and_take(client, queue)

    client.fail(job, "é" * 10_000)

    assert client.get_job(job).last_error == "é" * 5120


def test_an_error_says_whether_to_try_again_and_has_its_class(client: Client, queue: str) -> None:
    """JW-ERR-1, JW-ERR-2, JW-SDK-5."""
    missing = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"

    error = refused(client.get_job, missing)

    assert isinstance(error, NotFoundError)
    assert (error.code, error.details, error.retryable) == ("JOB_NOT_FOUND", {"id": missing}, False)
    assert error.status in (None, 404)


@pytest.mark.parametrize("operation", ["ack", "release", "heartbeat", "cancel", "retry", "promote"])
def test_an_unknown_job_is_not_found(client: Client, operation: str) -> None:
    """JW-ERR-3, JW-DEL-3."""
    call = getattr(client, operation)

    assert refused(call, "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f").code == "JOB_NOT_FOUND"
    assert refused_at(call, "no-uuid") == ("VALIDATION_ERROR", "/id")
