"""Ids and instants as they are written on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_HEX = re.compile(r"[0-9a-f]{32}")
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
# 9999-12-31T23:59:59.999Z: a later instant has no spelling in RFC 3339.
LAST_MS = 253_402_300_799_999


def parse_id(text: str) -> str | None:
    """
    The canonical spelling of a UUID (hyphenated, lower case) given hyphenated, as 32 hex digits, braced or as urn:uuid:, in any case; None when it
    is no UUID (JW-JOB-2).
    """
    if _CANONICAL.fullmatch(text):
        return text
    bare = text.lower().removeprefix("urn:uuid:")
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    if _CANONICAL.fullmatch(bare):
        return bare
    if not _HEX.fullmatch(bare):
        return None
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"


def ms_of(instant: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime, fractions of a millisecond dropped."""
    return (instant - _EPOCH) // _MS


# The jobs of a batch have most of their instants in common, and each job has most of its own twice: 0.1 µs in place of 0.5.
@lru_cache(maxsize=4096)
def rfc3339(ms: int) -> str:
    """An instant as RFC 3339 UTC with milliseconds and Z, e.g. 2026-05-22T10:11:12.123Z."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
