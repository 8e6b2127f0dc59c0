"""The thread that moves the WAL: it holds nobody up, the WAL starts over, and what goes wrong in it is not passed over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from tests.store.jobs import NOW, a_job, push

from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import StoreFailed, StoreFull
from jobwire_server.store.sqlite import SqliteStore, store, writer
from jobwire_server.store.sqlite.health import Health
from jobwire_server.store.sqlite.mover import Mover

PAGES: Final = 20
LIMIT_S: Final = 30


class Connection:
    """Stands in for the mover's connection: a move begins when it is told, and goes on, or fails, when the test says so."""

    error: Exception | None = None

    def __init__(self) -> None:
        self.real: Any = None
        self.began, self.go_on = threading.Event(), threading.Event()

    def wal_checkpoint(self, **arguments: Any) -> Any:
        self.began.set()
        assert self.go_on.wait(LIMIT_S)
        if self.error is not None:
            raise self.error
        return self.real.wal_checkpoint(**arguments)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Connection:
    """What the next store's mover uses; a store whose WAL is long after a few pages."""
    held = Connection()

    def mover(real: apsw.Connection, health: Health) -> Mover:
        held.real = real
        return Mover(held, health)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "Mover", mover)
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", PAGES)
    return held


@pytest.fixture
async def opened(tmp_path: Path, connection: Connection) -> AsyncIterator[SqliteStore]:
    sqlite = SqliteStore(tmp_path / "jobs.db", resolve_child, ballast_bytes=1 << 20)
    await sqlite.open(NOW)
    yield sqlite
    connection.go_on.set()
    await sqlite.close()


async def until_it_moves(sqlite: SqliteStore, connection: Connection) -> None:
    while not connection.began.is_set():
        await push(sqlite, a_job())


async def test_jobs_are_accepted_while_the_wal_is_moved(
    opened: SqliteStore, connection: Connection
) -> None:
    await until_it_moves(opened, connection)

    for _ in range(PAGES):
        await push(opened, a_job())

    assert not connection.go_on.is_set()


async def test_a_wal_that_was_moved_starts_over(
    opened: SqliteStore, connection: Connection, tmp_path: Path
) -> None:
    connection.go_on.set()
    await until_it_moves(opened, connection)

    for _ in range(20 * PAGES):  # each writes several pages
        await push(opened, a_job())

    wal = (tmp_path / "jobs.db-wal").stat().st_size
    assert wal < 8 * PAGES * 4_096


async def test_a_wal_that_outgrew_a_slow_mover_is_moved_again_when_that_is_done(
    opened: SqliteStore, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_PAGES", 2 * PAGES)
    await until_it_moves(opened, connection)
    for _ in range(4 * PAGES):
        await push(opened, a_job())
    connection.go_on.set()

    moves = 0
    for _ in range(20 * PAGES):
        connection.began.clear()
        await push(opened, a_job())
        moves += connection.began.is_set()

    assert moves > 0


async def test_a_move_that_fails_stops_the_store_though_nobody_calls_it(
    tmp_path: Path, connection: Connection
) -> None:
    connection.error = apsw.IOError("fsync failed")
    failed = asyncio.Event()
    tell = asyncio.get_running_loop().call_soon_threadsafe
    sqlite = SqliteStore(
        tmp_path / "jobs.db",
        resolve_child,
        ballast_bytes=1 << 20,
        on_failed=lambda error: tell(failed.set),
    )
    await sqlite.open(NOW)
    await until_it_moves(sqlite, connection)

    connection.go_on.set()

    await asyncio.wait_for(failed.wait(), LIMIT_S)
    with pytest.raises(StoreFailed):
        await push(sqlite, a_job())
    await sqlite.close()


async def test_a_move_that_finds_the_disk_full_refuses_pushes_and_does_not_stop_the_store(
    opened: SqliteStore, connection: Connection
) -> None:
    connection.error = apsw.FullError("the disk is full")
    await until_it_moves(opened, connection)
    connection.go_on.set()

    async def push_for_ever() -> None:
        while True:
            await push(opened, a_job())

    with pytest.raises(StoreFull):
        await asyncio.wait_for(push_for_ever(), LIMIT_S)


async def test_the_mover_ends_with_the_store(tmp_path: Path) -> None:
    sqlite = SqliteStore(tmp_path / "jobs.db", resolve_child, ballast_bytes=1 << 20)
    await sqlite.open(NOW)
    await sqlite.close()

    assert "store-mover" not in {thread.name for thread in threading.enumerate()}
