"""
Whose file it is and what is in it: the application id, and migrations that are applied once, in order.

Rule 1: forward only. A file of a newer version is refused, and so is one whose applied migrations differ from ours.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import apsw
import msgspec

from jobwire_server.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Sequence

APPLICATION_ID: Final = 0x4A6F6277  # "Jobw"

# Whole files are checked up to this size, about a fifth of a second; larger ones at their edges (guarantees C11: 10^6 jobs
# are open within 3 s), and every payload again when it is read.
CHECKED_BYTES: Final = 64 * 1024 * 1024

# Up to this size, about as much time again, rows and indexes are compared too, so that no job goes missing by a damaged id.
COMPARED_BYTES: Final = 16 * 1024 * 1024

_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at INTEGER NOT NULL
)
"""


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The migrations of this version, in order: migrations/<number>_<name>.sql."""
    found: list[Migration] = []
    for file in files(__package__).joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def claim_file(connection: apsw.Connection, path: str) -> None:
    """Raises StoreUnusable for a file that belongs to another program; marks a new one as ours."""
    owner = connection.pragma("application_id")
    if owner == APPLICATION_ID:
        return
    if owner != 0 or connection.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreUnusable(
            f"{path} is the database of another program; give Jobwire a file of its own"
        )
    connection.pragma("application_id", APPLICATION_ID)


def migrate(
    connection: apsw.Connection, wanted: Sequence[Migration], path: str, now: int
) -> list[str]:
    """
    Bring the file to our schema; the names of the migrations that were applied.

    All of it is one transaction, so that a crash leaves the old schema or the new one. Raises StoreUnusable.
    """
    with connection:
        connection.execute(_LEDGER)
        applied = dict(connection.execute("SELECT version, sha256 FROM migrations"))
        _refuse_foreign(applied, wanted, path)
        missing = [migration for migration in wanted if migration.version not in applied]
        for migration in missing:
            _apply(connection, migration, now)
    return [migration.name for migration in missing]


def _apply(connection: apsw.Connection, migration: Migration, now: int) -> None:
    connection.execute(migration.sql)
    connection.execute(
        "INSERT INTO migrations VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.sha256, now),
    )


def _refuse_foreign(applied: dict[int, str], wanted: Sequence[Migration], path: str) -> None:
    known = {migration.version: migration for migration in wanted}
    newest = max(applied, default=0)
    if newest > max(known, default=0):
        raise StoreUnusable(
            f"{path} was written by a newer version of Jobwire (schema {newest}, this one knows "
            f"{max(known, default=0)}); run that version, or restore a backup from before the upgrade"
        )
    for version, sha256 in applied.items():
        if version not in known or known[version].sha256 != sha256:
            raise StoreUnusable(
                f"{path} was made with another migration {version:04d} than the one of this version; "
                "run the version that made it, or restore a backup"
            )


def check_integrity(connection: apsw.Connection, path: str, file_bytes: int | None) -> None:
    """
    Raises StoreUnusable for a damaged file, as far as a start may take time to look. `file_bytes` is None while a part of the
    file is in the WAL.
    """
    pages = connection.pragma("page_count")
    size = pages * connection.pragma("page_size")
    if file_bytes is not None and file_bytes < size:
        raise _damaged(path, f"it is {size - file_bytes} bytes too short")
    if size <= CHECKED_BYTES:
        check = "integrity_check" if size <= COMPARED_BYTES else "quick_check"
        complaint = connection.execute(f"PRAGMA {check}(1)").get
        if complaint != "ok":
            raise _damaged(path, str(complaint))
    edges = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
    )
    for index, sql in edges.fetchall():
        _touch(connection, str(index), str(sql))
    connection.execute("SELECT min(seq), max(seq) FROM jobs").fetchall()


def _touch(connection: apsw.Connection, index: str, sql: str) -> None:
    """Read the edge of an index; apsw.CorruptError when it is no tree."""
    condition = sql.partition(" WHERE ")[2] or "true"
    edge = f'SELECT seq FROM jobs INDEXED BY "{index}" WHERE {condition} LIMIT 1'
    connection.execute(edge).fetchall()


def _damaged(path: str, how: str) -> StoreUnusable:
    return StoreUnusable(
        f"{path} is damaged ({how}); restore a backup, or recover what can be read with SQLite's .recover"
    )


# Errors of the disk or of another process, which say nothing about what is in the file.
_OUT_OF_REACH: Final = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


def damaged(path: str, error: Exception) -> StoreUnusable:
    """What a start says when SQLite cannot read the file."""
    if isinstance(error, apsw.NotADBError):
        return StoreUnusable(f"{path} is not a database; give Jobwire a file of its own")
    if isinstance(error, _OUT_OF_REACH):
        return StoreUnusable(
            f"{path} cannot be used now ({error}); see to the disk, its space and this user's rights, and start again"
        )
    return _damaged(path, str(error))
