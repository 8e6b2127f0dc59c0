"""Connections to the file, each with its pragmas set and read back."""

from __future__ import annotations

from typing import Any, Final

import apsw

from jobwire_server.errors import StoreUnusable

# Enough for every statement of the store in every size.
STATEMENTS: Final = 300

# How long to wait for another program that holds the file, such as a backup or a person with a shell.
BUSY_MS: Final = 10_000

SYNCHRONOUS: Final = {"OFF": 0, "NORMAL": 1, "FULL": 2, "EXTRA": 3}
DURABILITY: Final = {0: "memory", 1: "os-crash-loss", 2: "fsync", 3: "fsync"}


def connect(path: str, synchronous: str, vfs: str | None) -> apsw.Connection:
    """Open the file, created when missing. Raises StoreUnusable when a pragma does not take."""
    connection = apsw.Connection(path, vfs=vfs, statementcachesize=STATEMENTS)
    try:
        connection.set_busy_timeout(BUSY_MS)
        for pragma, value, expected in _pragmas(synchronous):
            _set(connection, path, pragma, value, expected)
        # The writer makes checkpoints itself, when it has answered; SQLite would make them inside a COMMIT.
        connection.wal_autocheckpoint(0)
    except BaseException:
        connection.close(True)
        raise
    return connection


def _pragmas(synchronous: str) -> tuple[tuple[str, Any, Any], ...]:
    """(pragma, value, what must be read back)"""
    return (
        # Readers do not wait for the writer, and a commit is one append and one fsync.
        ("journal_mode", "wal", "wal"),
        # FULL: fsync the WAL before COMMIT returns (guarantees C1). Builds differ in their default.
        ("synchronous", synchronous, SYNCHRONOUS[synchronous]),
        # fsync on macOS does not reach the disk without it; nothing elsewhere.
        ("fullfsync", 1, 1),
        # A mapped file turns an I/O error into SIGBUS.
        ("mmap_size", 0, 0),
        # The schema has no foreign keys to check.
        ("foreign_keys", 0, 0),
        # 32 MiB of pages: the hot end of ten indexes; the operating system caches the rest.
        ("cache_size", -32_768, -32_768),
        ("temp_store", "memory", 2),
    )


def _set(connection: apsw.Connection, path: str, pragma: str, value: Any, expected: Any) -> None:
    connection.pragma(pragma, value)
    actual = connection.pragma(pragma)
    if actual != expected:
        raise StoreUnusable(f"{path}: SQLite answers {pragma} = {actual!r} and not {expected!r}")


def durability(connection: apsw.Connection) -> str:
    """What the connection says, not what was asked for."""
    return DURABILITY[connection.pragma("synchronous")]
