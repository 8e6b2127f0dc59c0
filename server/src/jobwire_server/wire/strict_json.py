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
import re
from typing import Any, Final

import msgspec

from jobwire_server.errors import JobwireError
from jobwire_server.wire.limits import JSON_DEPTH

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_RUNS: Final = re.compile(rb"\(+|\)+")
_OPENING: Final = ord("(")
_AS_PARENTHESES: Final = bytes.maketrans(b"{}[]", b"()()")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))


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
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice in one object")  # which one may be private (JW-ERR-11)
    return pairs


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> None:
    if math.isinf(float(digits)):
        raise ValueError("a number is out of range")


def _depth(value: bytes) -> int:
    """
    How deep a JSON text nests. Some 50 ns a byte if each were looked at here, so whole levels are taken at once: while many brackets enclose nothing
    they are removed together, which takes one off every depth; then few runs of brackets are left to walk.
    """
    brackets = _brackets(value)
    removed = 0
    while brackets.count(b"()") * 8 > len(brackets):
        brackets = brackets.replace(b"()", b"")
        removed += 1
    depth = deepest = 0
    for run in _RUNS.findall(brackets):
        depth += len(run) if run[0] == _OPENING else -len(run)
        deepest = max(deepest, depth)
    return removed + deepest


def _brackets(value: bytes) -> bytes:
    """The brackets of a JSON text, all written as parentheses; those in strings left out."""
    if b"\\" in value:
        value = value.replace(b"\\\\", b"").replace(
            b'\\"', b""
        )  # what is left of quotes opens or closes
    return b"".join(value.split(b'"')[::2]).translate(_AS_PARENTHESES, _NO_BRACKETS)
