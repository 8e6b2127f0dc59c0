"""
The statements of queries.sql by name, with their column lists filled in.

Rule 1: a statement is complete when this module has loaded; nothing but the number of written rows varies later.
Rule 2: values are bound, always.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from jobwire_server.model import Job

COLUMNS: Final = Job.__struct_fields__
# Model.Job is laid out so that both are one slice: what a push sets, and what a transition can change.
INSERTED: Final = COLUMNS[: COLUMNS.index("updated_at") + 1]
# What is NULL in the row of a job that was pushed with its name and data alone.
OPTIONAL: Final = (
    "backoff_schedule_ms",
    *COLUMNS[COLUMNS.index("jitter") : COLUMNS.index("lifo")],
    "due_at",
)
PLAIN: Final = tuple(column for column in INSERTED if column not in OPTIONAL)
CHANGED: Final = COLUMNS[COLUMNS.index("depth") :]
REWRITTEN: Final = tuple(column for column in COLUMNS if column not in ("id", "data"))

# A statement that writes many rows exists in these sizes, so that the statement cache holds all of them. Above 64 rows
# the text grows past the 16 KiB that apsw caches, and nothing is gained any more (measured: 64 and 256 alike).
SIZES: Final = (64, 32, 16, 8, 4, 2, 1)

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)

WIDTHS: Final = {
    "insert_jobs": 2 + len(INSERTED),
    "insert_plain_jobs": 2 + len(PLAIN),
    "insert_payloads": 2,
    "insert_dependencies": 2,
    "insert_keys": 3,
    "change_jobs": 2 + len(CHANGED),
    "change_counts": 3,
}


def _assignments(columns: tuple[str, ...], value: str) -> str:
    """`a = new.column3, b = new.column4 …`; the first two values are seq and the expected revision."""
    return ", ".join(f"{column} = {value}{place}" for place, column in enumerate(columns, start=3))


def _octets(column: str) -> str:
    return f"coalesce(octet_length({column}), 0)"  # read from the row's head, without the text


_LARGE = ("data", "result", "metadata", "errors", "logs")
_APART = "(SELECT octet_length(payloads.data) FROM payloads WHERE payloads.seq = jobs.seq)"

_FILLED = {
    "{size}": " + ".join([*map(_octets, _LARGE), f"coalesce({_APART}, 0)"]),
    "{row}": f"json_array({', '.join(COLUMNS)}, data_crc, seq)",
    "{insert_columns}": ", ".join(INSERTED),
    "{plain_columns}": ", ".join(PLAIN),
    "{change_assignments}": _assignments(CHANGED, "new.column"),
    "{rewrite_assignments}": _assignments(REWRITTEN, "?"),
}


def _load() -> dict[str, str]:
    text = files(__package__).joinpath("queries.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    return {name: _fill(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _fill(body: str) -> str:
    lines = (line for line in body.splitlines() if not line.startswith("--"))
    statement = "\n".join(lines).strip().removesuffix(";")
    for mark, filling in _FILLED.items():
        statement = statement.replace(mark, filling)
    return statement


SQL: Final = _load()


@cache
def walking(name: str, walk: str) -> str:
    """`find` or `find_end` over one of the walks."""
    return SQL[name].replace("{walk}", SQL[walk])


@cache
def sized(name: str, rows: int) -> str:
    """A statement that writes this many rows, one of SIZES."""
    marks = f"({', '.join('?' * WIDTHS[name])})"
    return SQL[name].replace("{values}", ", ".join([marks] * rows))
