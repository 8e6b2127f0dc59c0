"""
JSON as the wire wants it: compact UTF-8, no NaN, no lone surrogates; and answers read without losing the text of jobs.

Rule 1: whatever cannot be sent is refused here, as a ValidationError, before a byte leaves.
Rule 2: jobs in an answer keep their own text, so that `Job.raw_data` is what was pushed, byte for byte.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Final, NoReturn, TypeAlias

from jobwire._errors import ValidationError

JSONValue: TypeAlias = Any  # str, int, float, bool, None, and lists and dicts of them

_WS: Final = r"[ \t\r\n]*"
_OPEN: Final = re.compile(_WS + r"([\[{])" + _WS)
_KEY: Final = re.compile(r'("(?:[^"\\]|\\.)*")' + _WS + ":" + _WS)
_NEXT: Final = re.compile(_WS + r"([,\]}])" + _WS)


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON. Dataclasses and pydantic models are written as objects."""
    try:
        return _encoder.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as exc:  # UnicodeEncodeError is a ValueError
        raise ValidationError(
            "VALIDATION_ERROR", f"the value cannot be sent as JSON: {_why(exc)}"
        ) from exc


def _why(exc: Exception) -> str:
    """What is wrong, without the payload, which the text of a UnicodeEncodeError would show in part."""
    if isinstance(exc, UnicodeEncodeError):
        return "it contains a lone surrogate"
    return str(exc) or type(exc).__name__


def _to_json(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_encoder: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json
)
_decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def loads(text: str) -> JSONValue:
    """Strict JSON; ValueError when it is not (also for NaN, and for nesting beyond Python's stack)."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class JobObject(dict[str, Any]):
    """A job of an answer, together with its text."""

    __slots__ = ("text",)
    text: str

    def __init__(self, members: dict[str, Any], text: str) -> None:
        super().__init__(members)
        self.text = text


def loads_answer(text: str) -> JSONValue:
    """As loads(), but the objects in the members `job` and `jobs` are JobObjects."""
    if '"job' not in text or not text.lstrip(" \t\r\n").startswith("{"):
        return loads(text)
    try:
        return _answer(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _answer(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at, more = enter(text, 0, "}")
    while more:
        key, at = member_key(text, at)
        found[key], at = _member(text, at, key)
        at, more = after(text, at, "}")
    if at != len(text):
        raise ValueError(f"text after the end of the object, at {at}")
    return found


def _member(text: str, at: int, key: str) -> tuple[JSONValue, int]:
    if key == "job":
        return _job(text, at)
    if key == "jobs" and text.startswith("[", at):
        return _jobs(text, at)
    return _value(text, at)


def _jobs(text: str, at: int) -> tuple[list[JSONValue], int]:
    jobs: list[JSONValue] = []
    at, more = enter(text, at, "]")
    while more:
        job, at = _job(text, at)
        jobs.append(job)
        at, more = after(text, at, "]")
    return jobs, at


def _job(text: str, at: int) -> tuple[JSONValue, int]:
    value, end = _value(text, at)
    return (JobObject(value, text[at:end]) if isinstance(value, dict) else value), end


def raw_member(text: str, name: str) -> str | None:
    """The text of the member *name* of the object in *text*, exactly as it stands there; None when it is absent."""
    found = None
    at, more = enter(text, 0, "}")
    while more:
        key, at = member_key(text, at)
        _, end = _value(text, at)
        if key == name:
            found = text[at:end]
        at, more = after(text, end, "}")
    return found


# Each step of the walk takes a position and gives the one behind what it read; white space is passed over.


def enter(text: str, at: int, close: str) -> tuple[int, bool]:
    match = _OPEN.match(text, at)
    if match is None:
        raise ValueError(f"expected an object or an array at {at}")
    if text.startswith(close, match.end()):
        return _skip(text, match.end() + 1), False
    return match.end(), True


def member_key(text: str, at: int) -> tuple[str, int]:
    match = _KEY.match(text, at)
    if match is None:
        raise ValueError(f"expected a member at {at}")
    return str(loads(match.group(1))), match.end()


def _value(text: str, at: int) -> tuple[JSONValue, int]:
    return _decoder.raw_decode(text, at)


def after(text: str, at: int, close: str) -> tuple[int, bool]:
    match = _NEXT.match(text, at)
    if match is None or match.group(1) not in ("," + close):
        raise ValueError(f"expected ',' or '{close}' at {at}")
    return match.end(), match.group(1) == ","


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
