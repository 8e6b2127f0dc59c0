"""
The ceiling: what bare apsw does on this machine, with the product's schema, pragmas and rows, in the same batches.

One connection, one transaction a batch, no wire, no checks, no counts, no answers: nothing that keeps the same promise on SQLite
can be faster by more than noise. README.md says why this is the honest thing to divide by.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import apsw
from jobwire_server.ids import IdMaker
from jobwire_server.store.sqlite.connecting import connect
from jobwire_server.store.sqlite.writer import CHECKPOINT_PAGES

from bench.load import Took, timed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.template import Template

# Set for each job or batch, not taken from the template.
OWN_COLUMNS = ("seq", "id", "queue")

# The next jobs of a queue. With an UPDATE by seq after it this takes a fifth less CPU than one UPDATE … RETURNING *.
FRONT = (
    "SELECT *, seq, id FROM jobs INDEXED BY waiting WHERE queue = ? AND state = 'waiting' "
    "ORDER BY priority DESC, position, seq LIMIT ?"
)


class Ceiling:
    """A file of its own that grows as the server's does."""

    def __init__(self, database: Path, template: Template) -> None:
        self._template = template
        self._ids = IdMaker()
        self._seq = 0
        self._connection = _open(database, template)
        self._columns = [*OWN_COLUMNS, *(c for c in template.pushed if c not in OWN_COLUMNS)]
        self._claim = _claim_statement(template.pulled)
        self._ack = _ack_statement(template.acked)

    def run(self, load: str, queue: str, jobs: int, batch: int) -> Took:
        """Carry out one cell; rows are ready before the clock starts."""
        self._insert = _insert_statement(self._columns, batch)
        batches = self._batches(queue, jobs, batch) if load != "consume" else []
        work = {"produce": self._produce, "consume": self._consume, "e2e": self._end_to_end}[load]
        return timed(lambda: work(queue, jobs, batch, batches))

    def _produce(self, _queue: str, _jobs: int, _batch: int, batches: Sequence[Any]) -> None:
        for rows in batches:
            self._push(rows)

    def _consume(self, queue: str, jobs: int, batch: int, _batches: Sequence[Any]) -> None:
        for _ in range(jobs // batch):
            self._finish(self._pull(queue, batch))

    def _end_to_end(self, queue: str, _jobs: int, batch: int, batches: Sequence[Any]) -> None:
        for rows in batches:
            self._push(rows)
            self._finish(self._pull(queue, batch))

    # --- one transaction each ---

    def _push(self, rows: Sequence[Any]) -> None:
        with self._transaction():
            self._connection.execute(self._insert, rows)

    def _pull(self, queue: str, batch: int) -> list[str]:
        """Read the first jobs of the queue, every column, and lease them; their ids."""
        with self._transaction():
            rows = self._connection.execute(FRONT, (queue, batch)).fetchall()
            seqs = json.dumps([row[-2] for row in rows])
            self._change(self._claim, (*_values(self._template.pulled, _now()), seqs), batch)
        return [str(row[-1]) for row in rows]

    def _finish(self, ids: list[str]) -> None:
        """Complete the jobs, each if it is still at the revision of its lease."""
        leased = self._template.pulled["revision"][0]
        with self._transaction():
            binds = (*_values(self._template.acked, _now()), json.dumps(ids), leased)
            self._change(self._ack, binds, len(ids))

    def _change(self, statement: str, binds: Sequence[Any], rows: int) -> None:
        self._connection.execute(statement, binds)
        if self._connection.changes() != rows:
            raise RuntimeError(f"{self._connection.changes()} of {rows} jobs were changed")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)

    def _batches(self, queue: str, jobs: int, batch: int) -> list[list[Any]]:
        """The values of each batch's rows, one after another; batches are a millisecond apart, as they would be, since the claim sorts by it."""
        rest = {c: v for c, v in self._template.pushed.items() if c not in OWN_COLUMNS}
        batches, now = [], _now()
        for place in range(jobs // batch):
            values = _values(rest, now + place)
            seqs = range(self._seq + 1, self._seq + batch + 1)
            batches.append([v for seq in seqs for v in (seq, self._ids.new(), queue, *values)])
            self._seq += batch
        return batches


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT; apsw's own context manager would use savepoints."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _open(database: Path, template: Template) -> apsw.Connection:
    """The product's own pragmas, by the product's own function, on a file with its page size and schema."""
    bare = apsw.Connection(str(database))
    bare.pragma("page_size", template.page_size)
    bare.close()
    connection = connect(str(database), "FULL", None)
    connection.wal_autocheckpoint(CHECKPOINT_PAGES)  # as often as the product's writer does it
    for statement in template.schema:
        connection.execute(statement)
    return connection


def _insert_statement(columns: Sequence[str], rows: int) -> str:
    """One statement for all rows of a batch: a third less CPU than executemany."""
    marks = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO jobs ({', '.join(columns)}) VALUES {', '.join([marks] * rows)}"


def _claim_statement(changes: dict[str, Any]) -> str:
    return f"UPDATE jobs SET {_assignments(changes)} WHERE seq IN (SELECT value FROM json_each(?))"


def _ack_statement(changes: dict[str, Any]) -> str:
    return (
        f"UPDATE jobs SET {_assignments(changes)} "
        "WHERE id IN (SELECT value FROM json_each(?)) AND revision = ?"
    )


def _assignments(changes: dict[str, Any]) -> str:
    return ", ".join(f"{column} = ?" for column in changes)


def _values(columns: dict[str, tuple[Any, bool]], now: int) -> tuple[Any, ...]:
    return tuple(now + value if is_instant else value for value, is_instant in columns.values())


def _now() -> int:
    return time.time_ns() // 1_000_000


# --- in the ceiling's process --------------------------------------------------------------------------------------

_ceiling: list[Ceiling] = []


def begin(database: Path, template: Template) -> None:
    _ceiling.append(Ceiling(database, template))


def run(load: str, queue: str, jobs: int, batch: int) -> Took:
    return _ceiling[-1].run(load, queue, jobs, batch)
