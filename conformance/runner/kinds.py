"""The kinds of values that `{type: …}` knows, and the one rule for what a time is."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.paths import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def time_ms(value: Any) -> float | None:
    """Milliseconds since 1970 of an RFC 3339 time in UTC or of a number, None for what is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return (datetime.fromisoformat(value) - _EPOCH) / timedelta(milliseconds=1)
    except ValueError:
        return None


def _is_uuid(value: Any, version: int | None = None) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parsed = uuid.UUID(value)
    except ValueError:
        return False
    return str(parsed) == value and version in (None, parsed.version)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "uuid7": lambda value: _is_uuid(value, 7),
    "uuid": _is_uuid,
    "string": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "number": is_number,
    "bool": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "time": lambda value: isinstance(value, str) and time_ms(value) is not None,
    "null": lambda value: value is None,
    "lease": lambda value: isinstance(value, str) and 0 < len(value.encode()) <= 1024,
}


def type_name(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is MISSING:
        return "nothing"
    names = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "object"}
    return names.get(type(value), "null")
