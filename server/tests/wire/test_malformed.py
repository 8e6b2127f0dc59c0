"""Requests that are refused: spec/vectors/malformed.json, and the same verdict on both doors (JW-ERR-3, JW-ERR-4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import by_id, vectors

from jobwire_server.errors import JobwireError
from jobwire_server.wire import limits
from jobwire_server.wire.requests import TCP_COMMANDS, BadRequest, from_http, parse_line
from jobwire_server.wire.responses import status_of


def bytes_of(row: dict[str, Any]) -> bytes:
    if row.get("parts") is not None:
        return b"".join(bytes.fromhex(part) * times for part, times in row["parts"])
    return bytes.fromhex(row["hex"])


def refusal_of(door: str, data: bytes) -> JobwireError:
    if door == "tcp":
        with pytest.raises(BadRequest) as bad:
            parse_line(data)
        return bad.value.error
    with pytest.raises(JobwireError) as caught:
        from_http("push", data, {"queue": "emails"}, {})
    return caught.value


# Whether a command is of version 2 is for the session to say, which is tested in test_tcp_session.py.
@pytest.mark.parametrize(
    "row", [row for row in vectors("malformed") if row["id"] != "tcp/cmd/of version 2"], ids=by_id
)
def test_the_vector_is_refused_with_its_code_and_status(row: dict[str, Any]) -> None:
    error = refusal_of(row["door"], bytes_of(row))

    assert error.code == row["code"]
    if "status" in row:
        assert status_of(error) == row["status"]
    if row.get("pointer") is not None:
        assert (error.details or {})["pointer"] == row["pointer"]


def code_of(line: bytes) -> str:
    """Either ok, or the code of the refusal; any other exception is a bug."""
    try:
        parse_line(line)
    except BadRequest as bad:
        return bad.error.code
    return "ok"


def verdict_of_line(member: bytes) -> str:
    return code_of(b'{"cmd":"push","queue":"q","name":"n",' + member + b"}")


def verdict_of_body(member: bytes) -> str:
    try:
        from_http("push", b'{"name":"n",' + member + b"}", {"queue": "q"}, {})
    except JobwireError as error:
        return error.code
    return "ok"


NAMES = st.sampled_from(
    [
        "data",
        "priority",
        "delay_ms",
        "tags",
        "metadata",
        "jitter",
        "lifo",
        "unique_key",
        "depends_on",
        "nonsense",
        "options",
        "id",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(NAMES, st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=12)))
def test_both_doors_have_one_verdict(name: str, value: bytes) -> None:
    member = b'"%b":%b' % (name.encode(), value)

    assert verdict_of_line(member) == verdict_of_body(member)


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_line_is_a_command_or_a_bad_request_and_nothing_else(line: bytes) -> None:
    assert code_of(line) in ("ok", "PARSE_ERROR", "VALIDATION_ERROR", "UNKNOWN_COMMAND")


@given(
    st.sampled_from(sorted(TCP_COMMANDS)),
    st.dictionaries(
        st.sampled_from(
            [
                "id",
                "lease",
                "queue",
                "count",
                "items",
                "ids",
                "jobs",
                "v",
                "wait_ms",
                "worker",
                "limit",
                "cursor",
                "state",
                "created_after",
                "weights",
                "queues",
                "names",
                "mode",
                "token",
                "target",
                "atomic",
                "error",
                "result",
                "rid",
            ]
        ),
        JSON,
        max_size=5,
    ),
)
def test_the_fields_of_any_command_are_accepted_or_refused_and_nothing_else(
    command: str, fields: dict[str, Any]
) -> None:
    line = json.dumps({"cmd": command, **fields}).encode()

    assert code_of(line) in ("ok", "PARSE_ERROR", "VALIDATION_ERROR")


# --- the rid of a line that is refused (JW-TCP-19) ---


@pytest.mark.parametrize(
    "line",
    [
        {"cmd": 5},
        {},
        {"cmd": "nonsense"},
        {"cmd": "push"},
        {"cmd": "push", "queue": 1},
        {"cmd": None},
    ],
)
def test_the_rid_of_a_line_that_is_refused_is_known(line: dict[str, Any]) -> None:
    for rid in (0, 7, limits.RID_MAX):
        with pytest.raises(BadRequest) as caught:
            parse_line(json.dumps({**line, "rid": rid}).encode())
        assert caught.value.rid == rid


@pytest.mark.parametrize("rid", [-1, limits.RID_MAX + 1, "7", 1.5, True, [], {}])
def test_a_rid_that_is_none_is_refused_and_not_echoed(rid: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_line(json.dumps({"cmd": "ping", "rid": rid}).encode())

    assert caught.value.rid is None
    assert caught.value.error.code == "VALIDATION_ERROR"
    assert (caught.value.error.details or {})["pointer"] == "/rid"


def test_a_line_that_is_no_object_has_no_rid() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_line(b'[{"cmd":"ping","rid":1}]')

    assert (caught.value.rid, caught.value.error.code) == (None, "VALIDATION_ERROR")


# --- numbers (JW-ERR-9) ---


@pytest.mark.parametrize(
    "text", ["5.5", "5e-1", '"5"', "true", "[5]", "1e20", "99999999999999999999"]
)
def test_what_is_no_whole_number_in_range_is_refused(text: str) -> None:
    assert verdict_of_line(b'"priority":%b' % text.encode()) == "VALIDATION_ERROR"


def test_null_means_the_same_as_leaving_a_field_out() -> None:
    line = b'{"cmd":"push","queue":"q","name":"n"'
    options = b"".join(
        b',"%b":null' % name
        for name in (
            b"id",
            b"options",
            b"priority",
            b"run_at",
            b"metadata",
            b"tags",
            b"unique_key",
            b"depends_on",
            b"rid",
        )
    )

    assert parse_line(line + options + b"}").request == parse_line(line + b"}").request


def test_an_error_says_nothing_of_the_payload() -> None:
    secret = "hunter2"
    for line in (
        '{"cmd":"push","queue":"q","name":"n","data":{"%s":1,"%s":2}}',
        '{"cmd":"push","queue":"q","name":"n","data":{"%s":"%s"',
        '{"cmd":"push","queue":"q","name":"n","data":"%s %s}',
        '{"cmd":"auth","token":{"%s":"%s"}}',
        '{"cmd":"hello","v":[1],"token":["%s","%s"]}',
    ):
        with pytest.raises(BadRequest) as caught:
            parse_line((line % (secret, secret)).encode())
        assert secret not in caught.value.error.message + str(caught.value.error.details)


# --- instants ---


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.9999-00:01", "10000-01-01T00:00:00Z"]
)
def test_an_instant_that_cannot_be_written_in_an_answer_is_refused(text: str) -> None:
    assert verdict_of_line(b'"run_at":"%b"' % text.encode()) == "VALIDATION_ERROR"
    assert verdict_of_body(b'"options":{"run_at":"%b"}' % text.encode()) == "VALIDATION_ERROR"


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59"])
def test_an_instant_that_is_far_away_is_accepted(text: str) -> None:
    assert verdict_of_line(b'"run_at":"%b"' % text.encode()) == "ok"


@pytest.mark.parametrize("text", ["1700000000", "1.7e9", "2030-01-01", "tomorrow", "null"])
def test_an_instant_in_a_query_is_spelled_as_in_a_body(text: str) -> None:
    with pytest.raises(JobwireError) as caught:
        from_http("find", None, {}, {"created_after": text})

    assert caught.value.code == "VALIDATION_ERROR"
    assert (caught.value.details or {})["pointer"] == "/created_after"
    assert status_of(caught.value) == 400
