"""Open the files that a power cut left, and look at what is in them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
from tests.proof.power.disk import Image
from tests.proof.power.promises import Promises

from jobwire_server.errors import StoreUnusable
from jobwire_server.store.sqlite.wal import check_wal

NAME = "jobs.db"
GARBAGE_BYTES = 32_768

ROWS = """
SELECT json_array(jobs.id, state, coalesce(jobs.data, payloads.data), result, attempt, delivery)
FROM jobs LEFT JOIN payloads USING (seq)
"""
FIELDS = ("id", "state", "data", "result", "attempt", "delivery")

MISCOUNTED = """
SELECT * FROM (
  SELECT queue, state, count(*) AS n FROM jobs WHERE state <> 'removed' GROUP BY queue, state
  EXCEPT SELECT queue, state, n FROM counts
) UNION ALL SELECT * FROM (
  SELECT queue, state, n FROM counts WHERE n <> 0
  EXCEPT SELECT queue, state, count(*) FROM jobs WHERE state <> 'removed' GROUP BY queue, state
) LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; both empty when all is well."""

    lost: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        return bool(self.lost or self.corrupt)


def lay_out(image: Image, folder: Path, chance: random.Random | None = None) -> Path:
    """Write the files into the folder; with a `chance` also a -shm that nobody ever synced."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in image.items():
        (folder / name).write_bytes(content)
    if chance is not None and chance.random() < 0.5:
        (folder / f"{NAME}-shm").write_bytes(chance.randbytes(GARBAGE_BYTES))
    return folder / NAME


def judge(path: Path, promises: Promises, *, is_synced: bool = True) -> Verdict:
    """Open the database, as a server would, and compare it with what was promised."""
    try:
        if is_synced and path.exists():
            check_wal(path, None)
        rows, paused = read(path)
    except (apsw.Error, StoreUnusable, Damaged, UnicodeDecodeError, json.JSONDecodeError) as error:
        return Verdict(corrupt=(f"{type(error).__name__}: {error}",))
    return Verdict(lost=tuple(promises.broken_by(rows, paused)))


class Damaged(Exception):  # noqa: N818 - named for what it is
    """SQLite reads the file, and it contradicts itself."""


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, str | None]]:
    """All jobs, and how queues are paused; nothing where there is no file or no schema yet. Raises for a damaged file."""
    if not path.exists() or not path.stat().st_size:
        return [], {}
    connection = apsw.Connection(str(path), statementcachesize=0)
    try:
        complaint = connection.execute("PRAGMA integrity_check(1)").get
        if complaint != "ok":
            raise Damaged(complaint)
        if not connection.table_exists("main", "jobs"):
            return [], {}
        miscounted = connection.execute(MISCOUNTED).get
        if miscounted is not None:
            raise Damaged(f"the counts are wrong: {miscounted}")
        rows = [row_of(text) for (text,) in connection.execute(ROWS)]
        return rows, dict(connection.execute("SELECT name, paused FROM queues"))
    finally:
        connection.close(True)


def row_of(text: str) -> dict[str, Any]:
    row = dict(zip(FIELDS, json.loads(text), strict=True))
    for name in ("data", "result"):
        row[name] = json.loads(row[name]) if row[name] else None  # empty in a tombstone
    return row
