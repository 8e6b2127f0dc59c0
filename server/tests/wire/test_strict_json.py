"""strict_json against a slow reference: duplicate keys, UTF-8, surrogates, numbers, depth (JW-ERR-4)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.vectors import by_id, vectors

from jobwire_server.errors import JobwireError
from jobwire_server.wire import strict_json
from jobwire_server.wire.limits import JSON_DEPTH


def accepted(text: bytes) -> bool:
    try:
        strict_json.check(text)
    except JobwireError as error:
        return error.code != "PARSE_ERROR"  # the only code there is
    return True


def reference(text: bytes) -> bool:
    """Every rule one after another, as slowly as one likes."""
    try:
        decoded = text.decode("utf-8")
        value = json.loads(
            decoded,
            object_pairs_hook=_pairs,
            parse_constant=_no,
            parse_float=_float,
            parse_int=lambda digits: 0,
        )
        return _no_surrogates(value)
    except (ValueError, RecursionError):
        return False


def _pairs(pairs: list[tuple[str, Any]]) -> list[Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("duplicate")
    return [keys, [value for _, value in pairs]]


def _no(_: str) -> None:
    raise ValueError("constant")


def _float(digits: str) -> float:
    if math.isinf(float(digits)):
        raise ValueError("range")
    return 0.0


def _no_surrogates(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, list) or all(map(_no_surrogates, value))


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
spellings = st.builds(
    lambda value, ascii_only, indent: json.dumps(
        value, ensure_ascii=ascii_only, indent=indent
    ).encode("utf-8", "surrogatepass"),
    values,
    st.booleans(),
    st.sampled_from([None, 0, 2]),
)
fragments = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"a":',
        b'"a"',
        b'"\\u0061":',
        b"1",
        b"-0",
        b"1e400",
        b"-1E+999",
        b"NaN",
        b"Infinity",
        b"01",
        b"1.",
        b".5",
        b'"\\ud800"',
        b'"\\ud83c\\udf89"',
        b'"\\udc00\\ud800"',
        b"\xed\xa0\x80",
        b"\xff",
        b"\xef\xbb\xbf",
        b" ",
        b"\t",
        b"\n",
        b"\x0b",
        b"null",
        b"nul",
        b"//",
        b"'",
        b"\x00",
        b'"\x01"',
        b'"\\x"',
    ]
)


@given(spellings)
def test_what_a_serializer_writes_is_accepted(text: bytes) -> None:
    assert accepted(text)


@given(spellings, st.data())
def test_a_mutated_text_has_the_verdict_of_the_reference(text: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 3)))
    mutated = text[:at] + data.draw(st.binary(max_size=2) | fragments) + text[until:]

    assert accepted(mutated) == reference(mutated)


@given(st.lists(fragments, max_size=10).map(b"".join))
@example(b'{"a":1,"a":2}')
@example(b'{"a":1,"\\u0061":2}')
@example(b'[{"a":{"b":1,"b":1}}]')
@example(b'{"a":1,"A":2}')
@example(b"[1e400]")
@example(b"1" * 400)
@example(b"[" + b"1" * 5000 + b"]")
@example(b'"\\ud83c\\udf89"')
@example(b'"\\ud83c"')
@example(b'{"\\ud83c":1}')
@example(b"\xef\xbb\xbf{}")
@example(b" {} ")
@example(b"")
@example(b"\x0c{}")
@example(b'{"a":1}x')
@example(b"-")
@example(b"[1,]")
def test_any_string_of_tokens_has_the_verdict_of_the_reference(text: bytes) -> None:
    assert accepted(text) == reference(text)


@pytest.mark.parametrize("row", vectors("json_values"), ids=by_id)
def test_the_valid_values_are_accepted(row: dict[str, Any]) -> None:
    assert accepted(row["text"].encode())


def test_bad_utf8_is_told_by_its_place() -> None:
    with pytest.raises(JobwireError) as caught:
        strict_json.check(b'{"a":"\xff"}')

    assert caught.value.details == {"offset": 6}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b" \t", "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'"\\ud800"', "surrogate"),
        (b"[NaN]", "Invalid JSON"),
        (b'{"a":1,"a":1}', "twice"),
        (b"[1e999]", "range"),
        (b"[" * 5000, "levels deep"),
    ],
)
def test_the_message_says_what_is_wrong(text: bytes, said: str) -> None:
    with pytest.raises(JobwireError, match=said):
        strict_json.check(text)


# --- depth ---


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


def test_a_value_may_nest_as_deep_as_the_limit() -> None:
    strict_json.check_depth(nested(JSON_DEPTH), "/data")
    for text in (
        nested(JSON_DEPTH + 1),
        nested(JSON_DEPTH + 1, b'{"a":', b"}").replace(b":}", b":1}"),
    ):
        with pytest.raises(JobwireError):
            strict_json.check_depth(text, "/data")


@given(values)
def test_the_depth_counts_nesting_and_not_brackets(value: Any) -> None:
    text = json.dumps([value] * 70).encode()

    deep = 1 + _depth_of(value)

    if deep <= JSON_DEPTH:
        strict_json.check_depth(text, "/data")
    else:
        with pytest.raises(JobwireError):
            strict_json.check_depth(text, "/data")


def _depth_of(value: Any) -> int:
    if isinstance(value, list | dict):
        inside = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth_of, inside), default=0)
    return 0


def test_brackets_in_strings_are_no_nesting() -> None:
    strict_json.check_depth(json.dumps(["[{" * 200, '\\"[' * 200]).encode(), "/data")
