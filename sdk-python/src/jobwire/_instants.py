"""
Instants and durations at the edge of the wire: aware datetimes ⇄ RFC 3339, float seconds ⇄ whole milliseconds.

Rule: nothing behind this module sees a naive datetime, and nothing before it sees milliseconds.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

from jobwire._errors import ValidationError
from jobwire._limits import DURATION_MS


def parse_instant(text: str) -> datetime:
    """RFC 3339 text, with up to nine fractional digits (those after the sixth are dropped), as an aware UTC datetime."""
    body, offset = _split_zone(text)
    seconds, _, fraction = body.partition(".")
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    instant = datetime.fromisoformat(seconds).replace(microsecond=micros, tzinfo=timezone.utc)
    return instant - offset if offset else instant


def _split_zone(text: str) -> tuple[str, timedelta | None]:
    if text.endswith(("Z", "z")):
        return text[:-1], None
    if len(text) > 6 and text[-3] == ":" and text[-6] in "+-":
        minutes = int(text[-5:-3]) * 60 + int(text[-2:])
        return text[:-6], timedelta(minutes=-minutes if text[-6] == "-" else minutes)
    raise ValueError(f"not an instant with a zone: {text!r}")


def format_instant(instant: datetime, name: str) -> str:
    """RFC 3339 in UTC, ending in Z, with milliseconds; *name* is the argument that a refusal names."""
    if instant.utcoffset() is None:
        raise ValidationError(
            "VALIDATION_ERROR",
            f"{name} must be an aware datetime (for example datetime.now(timezone.utc)), got a naive one",
        )
    utc = instant.astimezone(timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def to_ms(seconds: float, name: str) -> int:
    """Seconds as whole milliseconds, rounded up so that something above 0 never becomes 0."""
    if not math.isfinite(seconds) or seconds < 0:
        raise ValidationError(
            "VALIDATION_ERROR", f"{name} must be a number of seconds, 0 or more, got {seconds!r}"
        )
    ms = math.ceil(round(seconds * 1000, 3))
    if ms > DURATION_MS:
        raise ValidationError(
            "VALIDATION_ERROR", f"{name} must be at most {DURATION_MS / 1000:.0f} seconds"
        )
    return ms
