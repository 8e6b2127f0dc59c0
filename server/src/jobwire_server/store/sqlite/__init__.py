"""The store in one SQLite file."""

from jobwire_server.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
