"""
What a JSON text must be besides well formed (JW-ERR-4): UTF-8, every key once, no lone surrogate, no number out of range.

Goals: the same verdict on every door, at about a microsecond a job.
Plan: decode the text to plain objects and encode them again. Equal bytes prove that no key was lost, since an object that was encoded has every
key once; that is what our own SDKs send. Any other spelling (spaces, escapes, 1e3) goes through the slow check, which looks at each object's keys.
Warning: msgspec reports bad UTF-8 as UnicodeDecodeError and deep nesting as RecursionError, and a Raw field checks neither
UTF-8 nor keys; so nothing may skip this check.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from jobwire_server.errors import JobwireError
from jobwire_server.wire.limits import JSON_DEPTH

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def check(text: bytes) -> None:
    """Raise PARSE_ERROR unless `text` is strict JSON."""
    try:
        if not _is_canonical(text):
            _check_slowly(text)
    except UnicodeDecodeError as exc:
        start = _bad_byte(text)
        raise parse_error(f"Invalid JSON: not UTF-8 at byte {start}", start) from exc
    except UnicodeEncodeError as exc:
        raise parse_error(
            "Invalid JSON: a lone surrogate (\\ud800 to \\udfff) is no character"
        ) from exc
    except RecursionError as exc:
        raise parse_error(f"Invalid JSON: nested more than {JSON_DEPTH} levels deep") from exc
    except (msgspec.DecodeError, ValueError) as exc:
        raise parse_error(f"Invalid JSON: {_reason(text, exc)}") from exc


def _is_canonical(text: bytes) -> bool:
    """Whether nothing is left to check. An integer with more digits than Python converts is left to the slow check."""
    try:
        return _encode(_decode(text)) == text
    except UnicodeDecodeError:
        raise
    except ValueError:
        return False


def _check_slowly(text: bytes) -> None:
    parsed = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=_every_key_once,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=len,  # any number of digits is fine, and none need be converted
    )
    _encode(parsed)  # refuses lone surrogates


def _bad_byte(text: bytes) -> int:
    """Where the text stops being UTF-8; msgspec counts from the start of the string that it is in."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start
    raise AssertionError("the text is UTF-8")


def check_depth(value: bytes, pointer: str) -> None:
    """Raise PARSE_ERROR when the user's JSON `value` (already checked) nests deeper than JSON_DEPTH."""
    if len(value) <= JSON_DEPTH or value.count(b"{") + value.count(b"[") <= JSON_DEPTH:
        return
    if _depth(value) > JSON_DEPTH:
        raise parse_error(f"Invalid JSON: {pointer} is nested more than {JSON_DEPTH} levels deep")


def parse_error(message: str, offset: int | None = None) -> JobwireError:
    """PARSE_ERROR; `offset` is the byte at which the text stops making sense, where it is known."""
    return JobwireError("PARSE_ERROR", message, None if offset is None else {"offset": offset})


def _reason(text: bytes, exc: Exception) -> str:
    if not text.strip():
        return "empty; send one JSON object"
    if text.startswith(b"\xef\xbb\xbf"):
        return "starts with a byte order mark; send plain UTF-8"
    if b"\\u" in text and "truncated" in str(exc):
        return "truncated, or a lone surrogate (\\ud800 to \\udfff)"
    return str(exc).removeprefix("JSON is malformed: ")


def _every_key_once(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")  # which one may be private (JW-ERR-11)
    return pairs


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> None:
    if math.isinf(float(digits)):
        raise ValueError("a number is out of range")


def _depth(value: bytes) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for byte in value:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest
