"""
JSON as the doors of the fake server read and write it: what the wire refuses is refused here too, and the JSON of users stays
the text that it was.

Rule: the first member on the way down that is called `data`, `result` or `metadata` is a Payload; no operation has a field of
that name which is anything else.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from jobwire import _strict_json as walk
from jobwire.testing._fake_job import Refused

PAYLOADS: Final = frozenset({"data", "result", "metadata"})
# What stands for a payload until its text is put there; nobody can send it.
_MARK: Final = secrets.token_hex(16)
_MARKED: Final = re.compile(f'"{_MARK}:([0-9]+)"')


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """JSON of a user, byte for byte, and what it says."""

    text: str
    value: Any

    __hash__ = None  # type: ignore[assignment]  # as its value, it may be a list

    def __eq__(self, other: object) -> bool:
        return bool(self.value == plain(other))


def strict_loads(content: bytes) -> Any:
    """
    One JSON value, with Payloads in it; PARSE_ERROR for bad UTF-8, a duplicate key, NaN, a lone surrogate or bottomless
    nesting.
    """
    try:
        text = content.decode()
        value = _decoder.decode(text)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
        return _read(text, len(text) - len(text.lstrip(" \t\r\n")))[0]
    except (ValueError, RecursionError) as exc:
        raise Refused("PARSE_ERROR", f"Invalid JSON: {type(exc).__name__}: {exc}") from None


def dumps(value: object) -> bytes:
    """Compact UTF-8, with payloads as they came (JW-JOB-5)."""
    payloads: list[str] = []

    def marked(payload: Payload) -> str:
        payloads.append(payload.text)
        return f"{_MARK}:{len(payloads) - 1}"

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=marked)
    return _MARKED.sub(lambda match: payloads[int(match[1])], text).encode()


def plain(value: Any) -> Any:
    """*value* with payloads as what they say."""
    if isinstance(value, Payload):
        return value.value
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


def _read(text: str, at: int) -> tuple[Any, int]:
    """The value that stands at a place of a text that is known to be JSON, and the place behind it."""
    if text[at] == "{":
        return _read_object(text, at)
    if text[at] == "[":
        return _read_list(text, at)
    return _decoder.raw_decode(text, at)


def _read_object(text: str, at: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    at, more = walk.enter(text, at, "}")
    while more:
        key, at = walk.member_key(text, at)
        members[key], at = (_read_payload if key in PAYLOADS else _read)(text, at)
        at, more = walk.after(text, at, "}")
    return members, at


def _read_list(text: str, at: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    at, more = walk.enter(text, at, "]")
    while more:
        item, at = _read(text, at)
        items.append(item)
        at, more = walk.after(text, at, "]")
    return items, at


def _read_payload(text: str, at: int) -> tuple[Payload | None, int]:
    value, end = _decoder.raw_decode(text, at)
    return (None if value is None else Payload(text[at:end], value)), end


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is there twice")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is out of range")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite
)
