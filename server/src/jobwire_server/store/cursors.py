"""The cursors of find(): opaque to callers, one shape for every backend."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobwire_server.model import JobFilter

_SHAPE = re.compile(r"s(-?\d{1,19})(?:\.(\d{1,19}))?")

# The place after which the next page starts: (sequence,) or, for dead letters, (finished_at, sequence).
Place = tuple[int, ...]


def by_end(wanted: JobFilter) -> bool:
    """True for the dead letters of one queue alone, which are listed by the time of their end (JW-DLQ-1)."""
    return wanted.queue is not None and wanted.states == ("dlq",)


def write(place: Place) -> str:
    return "s" + ".".join(map(str, place))


def read(cursor: str | None, wanted: JobFilter) -> Place | None:
    """The place that a cursor names; None at the start. Raises ValueError for a cursor that find() never gave."""
    if cursor is None:
        return None
    found = _SHAPE.fullmatch(cursor)
    if found is None or (found[2] is not None) != by_end(wanted):
        raise ValueError(f"unknown cursor {cursor!r}")
    return tuple(int(part) for part in found.groups() if part is not None)
