"""JSON as the doors of the fake server read it: what the wire refuses is refused here too."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from jobwire.testing._fake_job import Refused


def strict_loads(content: bytes) -> Any:
    """One JSON value; PARSE_ERROR for bad UTF-8, a duplicate key, NaN, a lone surrogate or bottomless nesting."""
    try:
        text = content.decode()
        value = json.loads(
            text, object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError) as exc:
        raise Refused("PARSE_ERROR", f"Invalid JSON: {type(exc).__name__}: {exc}") from None
    return value


def dumps(value: object) -> bytes:
    """Compact UTF-8, as the client writes it: so a job's data comes back byte for byte (JW-JOB-5)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


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
