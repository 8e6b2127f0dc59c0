"""
A job as a row, and back.

A job is read as one JSON array, and many jobs as an array of those in a single result row. Each step of a statement
hands the interpreter's lock over and takes it back, which a busy event loop makes expensive: 50 rows that are stepped one
by one were measured at 250 ms beside a busy loop, as one array at 15 ms, and alike when nothing else runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec
from msgspec.structs import astuple

from jobwire_server.errors import StoreFailed
from jobwire_server.model import Job, JobError, LogLine
from jobwire_server.store.sqlite.queries import COLUMNS, INSERTED, REWRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Data above this many bytes is kept beside the row, because each transition rewrites the row.
INLINE_BYTES: Final = 2_048

_AT = {name: place for place, name in enumerate(COLUMNS)}
_DATA, _METADATA, _RESULT = _AT["data"], _AT["metadata"], _AT["result"]
_JITTER, _ERRORS, _LOGS = _AT["jitter"], _AT["errors"], _AT["logs"]
_SCHEDULE, _TAGS, _DEPENDS_ON = _AT["backoff_schedule_ms"], _AT["tags"], _AT["depends_on"]
_LIFO, _ON_COMPLETE, _ON_FAIL = _AT["lifo"], _AT["remove_on_complete"], _AT["remove_on_fail"]
_CHANGED_FROM = _AT["depth"]
_NOT_INSERTED = len(INSERTED)

# The parts of a row around OPTIONAL, whose columns stand in three places.
_DUE_AT = _AT["due_at"]
_BEFORE_SCHEDULE = slice(_DATA + 1, _SCHEDULE)
_AFTER_SCHEDULE = _SCHEDULE + 1
_OPTIONS = slice(_JITTER, _LIFO)
_AFTER_OPTIONS = slice(_LIFO, _DUE_AT)
_NO_OPTIONS = astuple(Job("", "", "", b"", 0))[_OPTIONS]
_REWRITTEN = tuple(_AT[column] for column in REWRITTEN)

_encode = msgspec.json.encode
_read_rows = msgspec.json.Decoder(list[list[Any]]).decode
_read_schedule = msgspec.json.Decoder(tuple[int, ...]).decode
_read_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_read_errors = msgspec.json.Decoder(tuple[JobError, ...]).decode
_read_logs = msgspec.json.Decoder(tuple[LogLine, ...]).decode


def _listed(items: Sequence[Any]) -> str:
    return _encode(items).decode()


def is_big(job: Job) -> bool:
    """True when the data is kept beside the row."""
    return len(job.data) > INLINE_BYTES


def plain_values(seq: int, job: Job) -> list[Any] | None:
    """What insert_plain_jobs binds for one job; None for a job with options, which insert_jobs takes."""
    values = astuple(job)
    if values[_OPTIONS] != _NO_OPTIONS or values[_SCHEDULE] or values[_DUE_AT] is not None:
        return None
    data = job.data
    return [
        seq,
        crc32(data),
        *values[:_DATA],
        None if len(data) > INLINE_BYTES else data.decode(),
        *values[_BEFORE_SCHEDULE],
        values[_AFTER_SCHEDULE],
        *values[_AFTER_OPTIONS],
        job.updated_at,
    ]


def insert_values(seq: int, job: Job) -> list[Any]:
    """What insert_jobs binds for one job."""
    values = list(astuple(job))
    _write_push_fields(values)
    data = job.data
    values[_DATA] = None if len(data) > INLINE_BYTES else data.decode()
    return [seq, crc32(data), *values[:_NOT_INSERTED]]


def change_values(seq: int, expect: int, job: Job) -> list[Any]:
    """What change_jobs binds for one job."""
    values = list(astuple(job))
    _write_transition_fields(values)
    return [seq, expect, *values[_CHANGED_FROM:]]


def rewrite_values(seq: int, expect: int, job: Job) -> list[Any]:
    """What rewrite_job binds."""
    values = list(astuple(job))
    _write_push_fields(values)
    _write_transition_fields(values)
    return [seq, expect, *(values[place] for place in _REWRITTEN)]


# These three run for each job of each operation. A loop over the places costs three times as much as what is written out.


def _write_push_fields(values: list[Any]) -> None:
    values[_JITTER] = repr(values[_JITTER]) if values[_JITTER] else None
    values[_SCHEDULE] = _listed(values[_SCHEDULE]) if values[_SCHEDULE] else None
    values[_TAGS] = _listed(values[_TAGS]) if values[_TAGS] else None
    values[_DEPENDS_ON] = _listed(values[_DEPENDS_ON]) if values[_DEPENDS_ON] else None
    if values[_METADATA] is not None:
        values[_METADATA] = values[_METADATA].decode()


def _write_transition_fields(values: list[Any]) -> None:
    values[_ERRORS] = _listed(values[_ERRORS]) if values[_ERRORS] else None
    values[_LOGS] = _listed(values[_LOGS]) if values[_LOGS] else None
    if values[_RESULT] is not None:
        values[_RESULT] = values[_RESULT].decode()


def _read_fields(row: list[Any]) -> None:
    row[_JITTER] = float(row[_JITTER]) if row[_JITTER] else 0.0
    row[_SCHEDULE] = _read_schedule(row[_SCHEDULE]) if row[_SCHEDULE] else ()
    row[_TAGS] = _read_texts(row[_TAGS]) if row[_TAGS] else ()
    row[_DEPENDS_ON] = _read_texts(row[_DEPENDS_ON]) if row[_DEPENDS_ON] else ()
    row[_ERRORS] = _read_errors(row[_ERRORS]) if row[_ERRORS] else ()
    row[_LOGS] = _read_logs(row[_LOGS]) if row[_LOGS] else ()
    row[_LIFO] = row[_LIFO] == 1
    row[_ON_COMPLETE] = row[_ON_COMPLETE] == 1
    row[_ON_FAIL] = row[_ON_FAIL] == 1
    if row[_METADATA] is not None:
        row[_METADATA] = row[_METADATA].encode()
    if row[_RESULT] is not None:
        row[_RESULT] = row[_RESULT].encode()


Row = list[Any]  # the columns of a job in their order, then the checksum of its data, then its seq


def read_rows(text: str) -> list[Row]:
    """The rows of one JSON array, without the data that is kept beside them."""
    return _read_rows(text)


def seqs_apart(rows: Iterable[Row]) -> list[int]:
    """The seqs of the rows whose data is kept beside them."""
    return [row[-1] for row in rows if row[_DATA] is None]


def is_apart(row: Row) -> bool:
    return row[_DATA] is None


def read_job(row: Row, payload: str | None) -> tuple[int, Job]:
    """
    The seq and the job of a row, which is used up; `payload` is the data when that is kept beside it.

    Raises StoreFailed when the data is not what was accepted: the file is damaged, and a wrong payload must not be handed out.
    """
    seq: int = row.pop()
    checksum: int = row.pop()
    data = row[_DATA]
    row[_DATA] = data = ((payload or "") if data is None else data).encode()
    if crc32(data) != checksum:
        raise _damaged(row[0])
    _read_fields(row)
    return seq, Job(*row)


def _damaged(job_id: str) -> StoreFailed:
    return StoreFailed(
        f"the payload of job {job_id} does not match its checksum: the file is damaged; restore it from a backup"
    )
