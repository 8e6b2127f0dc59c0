"""
What the product itself writes for a job, read from its file: the schema, the row of a push, and what a pull and an ack change.

The ceiling writes the same without the product. Everything here is observed on a server that is started for it, so that a new
column, index or trigger is part of the ceiling from the day on which it is part of the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from bench import load, wire
from bench.server import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]

# An integer this close to the job's own time is an instant, and is written relative to now.
INSTANT_WITHIN_MS = 24 * 3_600 * 1_000


@dataclass(frozen=True, slots=True)
class Template:
    """The statements of the schema, and the columns with a value of one job after each step: (value, is an instant)."""

    schema: tuple[str, ...]
    page_size: int
    pushed: dict[str, tuple[Any, bool]]
    pulled: dict[str, tuple[Any, bool]]  # what the pull changed
    acked: dict[str, tuple[Any, bool]]  # what the ack changed


def observe(folder: Path) -> Template:
    """Push, pull and ack one job on a fresh server, and look at its row in between."""
    with ServerProcess(folder, "template") as server:
        file = apsw.Connection(str(server.database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            rows = _rows(load.Channel(("127.0.0.1", server.tcp), wire.DOORS["tcp"]), file)
            statements = file.execute(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'trigger', type = 'index'"
            )
            schema = tuple(str(sql) for (sql,) in statements)
            page_size = int(file.pragma("page_size"))
        finally:
            file.close()
    nothing = dict.fromkeys(rows[0])
    pushed, pulled, acked = map(_changes, [nothing, *rows], rows)
    return Template(schema, page_size, pushed, pulled, acked)


def _rows(channel: load.Channel, file: apsw.Connection) -> list[Row]:
    """The job's row when it was pushed, pulled and acked."""
    door, rows = wire.DOORS["tcp"], []

    def say(request: bytes) -> wire.Answer:
        channel.send(request)
        answer = wire.checked(channel.answer())
        rows.append(_row(file))
        return answer

    say(door.push("template", 1))
    held = say(door.pull("template", 1)).job
    assert held is not None
    say(door.ack([held]))
    channel.socket.close()
    return rows


def _row(file: apsw.Connection) -> Row:
    cursor = file.execute("SELECT * FROM jobs")
    names = [name for name, _ in cursor.getdescription()]
    (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def _changes(before: Row, after: Row) -> dict[str, tuple[Any, bool]]:
    """Columns that got another value; instants as milliseconds from the row's updated_at."""
    now = after["updated_at"]
    return {
        column: (value - now, True) if _is_instant(value, now) else (value, False)
        for column, value in after.items()
        if value != before[column]
    }


def _is_instant(value: Any, now: int) -> bool:
    return isinstance(value, int) and abs(value - now) < INSTANT_WITHIN_MS
