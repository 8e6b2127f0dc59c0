"""A server that tells when it has come to a moment, and lingers there: `python -m tests.proof.crash.announcing MOMENT PLACE FIFO serve …`.

MOMENT is `checkpoint`, and PLACE the number of pages that it has written to the database file, or `migrating` with the number of statements
that it has carried out of a migration to the next schema. It writes a byte to FIFO, and waits to be killed.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw
from tests.proof.crash.next_schema import next_migrations

from jobwire_server import app
from jobwire_server.cli import main
from jobwire_server.store.sqlite import SqliteStore, schema, writer
from jobwire_server.store.sqlite.session import Session

LINGER_S = 60.0  # far longer than the parent waits; nothing stays behind when that is gone
SOON_PAGES = 40  # a WAL that is long enough for a checkpoint
ORPHANED = 70
VFS = "watched"


def announce(fd: int) -> None:
    os.write(fd, b"!")
    time.sleep(LINGER_S)
    os._exit(ORPHANED)


class Countdown:
    """Announces at the n-th step once it is armed."""

    def __init__(self, steps: int, fd: int) -> None:
        self.is_armed = False
        self._left = steps
        self._fd = fd

    def step(self) -> None:
        if self.is_armed:
            self._left -= 1
            if self._left < 0:
                announce(self._fd)


class Watched(apsw.VFS):
    """The file system, counting writes to the database file: in WAL mode only a checkpoint makes them."""

    def __init__(self, countdown: Countdown) -> None:
        self.countdown = countdown
        super().__init__(VFS, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        is_database = flags[0] & apsw.SQLITE_OPEN_MAIN_DB
        return (
            WatchedFile(self.countdown, name, flags)
            if is_database
            else apsw.VFSFile("", name, flags)
        )


class WatchedFile(apsw.VFSFile):
    def __init__(self, countdown: Countdown, name: Any, flags: list[int]) -> None:
        self._countdown = countdown
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        self._countdown.step()
        super().xWrite(data, offset)


def linger_in_checkpoint(countdown: Countdown) -> Watched:
    """Of the writer, under load: not the one of the start. The caller keeps the VFS."""
    checkpoint = Session.checkpoint

    def armed(session: Session) -> None:
        countdown.is_armed = True
        checkpoint(session)
        countdown.is_armed = False

    vfs = Watched(countdown)
    Session.checkpoint = armed  # type: ignore[method-assign,assignment]
    writer.CHECKPOINT_PAGES = SOON_PAGES  # type: ignore[misc]
    vars(app)["SqliteStore"] = functools.partial(SqliteStore, vfs=VFS)
    return vfs


def linger_in_migration(countdown: Countdown) -> None:
    apply = schema._apply

    def traced(connection: apsw.Connection, migration: schema.Migration, now: int) -> None:
        def before_statement(_cursor: Any, _sql: str, _binds: Any) -> bool:
            countdown.step()
            return True

        countdown.is_armed = True
        connection.exec_trace = before_statement
        apply(connection, migration, now)
        countdown.step()  # all is done but the COMMIT
        connection.exec_trace = None

    schema._apply = traced
    schema.migrations = next_migrations


def linger_in_torn_migration(countdown: Countdown) -> None:
    """The control of T7: a migration that is no transaction."""

    def torn(
        connection: apsw.Connection, wanted: Sequence[schema.Migration], path: str, now: int
    ) -> list[str]:
        schema._apply(connection, wanted[-1], now)
        return []

    linger_in_migration(countdown)
    schema.migrate = torn


MOMENTS: dict[str, Callable[[Countdown], Any]] = {
    "checkpoint": linger_in_checkpoint,
    "migrating": linger_in_migration,
    "torn": linger_in_torn_migration,
}

if __name__ == "__main__":
    kept = MOMENTS[sys.argv[1]](Countdown(int(sys.argv[2]), os.open(sys.argv[3], os.O_WRONLY)))
    main(sys.argv[4:])
