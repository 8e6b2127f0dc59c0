"""SqliteStore: the verbs of Store as calls to the writer and the reader."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import apsw

from jobwire_server.errors import StoreFailed, StoreFull, StoreUnusable
from jobwire_server.model import ANSWER_BYTES, QueueSettings
from jobwire_server.store.images import PAUSED_FOR_PULL
from jobwire_server.store.sqlite import schema
from jobwire_server.store.sqlite.board import Board
from jobwire_server.store.sqlite.connecting import connect, durability
from jobwire_server.store.sqlite.health import Health
from jobwire_server.store.sqlite.mover import Mover
from jobwire_server.store.sqlite.ownership import Ownership
from jobwire_server.store.sqlite.queries import SQL
from jobwire_server.store.sqlite.reader import Reader
from jobwire_server.store.sqlite.reading import Rows
from jobwire_server.store.sqlite.session import Session
from jobwire_server.store.sqlite.space import BALLAST_BYTES, Ballast
from jobwire_server.store.sqlite.wal import check_wal
from jobwire_server.store.sqlite.worker import Worker
from jobwire_server.store.sqlite.writer import Writer
from jobwire_server.wire.limits import DAG_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobwire_server.model import (
        Change,
        ClaimRequest,
        Job,
        JobFilter,
        Page,
        PushItem,
        QueueInfo,
        Standing,
    )
    from jobwire_server.store.base import ApplyOutcome, ChildResolver, InsertOutcome

_log = logging.getLogger(__name__)

SCAN_ROWS: Final = 5_000  # rows that one find() looks at, some 10 ms, so that a rare filter cannot hold up the reader

Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]


class SqliteStore:
    """
    Keeps jobs in one SQLite file. See Store for what each verb promises.

    One thread writes, with group commit; another one reads. Verbs may be called from any event loop.
    `on_failed` is called once, from one of these threads, when the store fails for good.
    `vfs` names an apsw VFS, for tests that let the disk fail.
    """

    def __init__(
        self,
        path: str | Path,
        resolve_child: ChildResolver,
        *,
        synchronous: Synchronous = "FULL",
        max_depth: int = DAG_DEPTH,
        scan_rows: int = SCAN_ROWS,
        ballast_bytes: int = BALLAST_BYTES,
        on_failed: Callable[[StoreFailed], None] | None = None,
        vfs: str | None = None,
    ) -> None:
        self._path = Path(path)
        self._resolve_child = resolve_child
        self._synchronous = synchronous
        self._max_depth = max_depth
        self._scan_rows = scan_rows
        self._vfs = vfs
        self._health = Health(on_failed)
        self._board = Board()
        self._ownership = Ownership(self._path)
        self._ballast = Ballast(self._path, ballast_bytes)
        self._durability = "closed"
        self._connections: list[apsw.Connection] = []
        self._writer: Worker | None = None
        self._reader: Worker | None = None
        self._mover: Mover | None = None

    # --- lifecycle ---

    async def open(self, now: int) -> None:
        await asyncio.to_thread(self._open, now)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def check(self) -> None:
        if self._health.is_full:
            raise StoreFull("the disk is full; pushes are refused until there is space")
        await self._write("check", 0)

    @property
    def durability(self) -> str:
        return self._durability

    @property
    def is_full(self) -> bool:
        return self._health.is_full

    def _open(self, now: int) -> None:
        """Step 1: own the file. Step 2: check and migrate it. Step 3: load what is known of queues. Step 4: start."""
        self._make_parent()
        self._ownership.take()
        try:
            connection = self._prepare(now)
            self._durability = durability(connection)
            self._load_board(connection)
            self._start(connection)
        except BaseException as error:
            self._let_go()
            if isinstance(error, apsw.Error):
                raise schema.damaged(str(self._path), error) from error
            raise

    def _make_parent(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(f"cannot create the directory of {self._path}: {error}") from error

    def _connect(self) -> apsw.Connection:
        connection = connect(str(self._path), self._synchronous, self._vfs)
        self._connections.append(connection)
        return connection

    def _prepare(self, now: int) -> apsw.Connection:
        # Without a sync for each commit a crash leaves what is damage here.
        if self._synchronous in ("FULL", "EXTRA"):
            check_wal(self._path, self._vfs)
        connection = self._connect()
        path = str(self._path)
        schema.claim_file(connection, path)
        # What a crash left in the WAL goes to the file first, so that the file's size can be judged.
        is_whole = _move_wal(connection)
        applied = schema.migrate(connection, schema.migrations(), path, now)
        if applied:
            _log.info("migrated %s: %s", path, ", ".join(applied))
            is_whole = _move_wal(connection)
        schema.check_integrity(connection, path, self._path.stat().st_size if is_whole else None)
        if self._synchronous in ("FULL", "EXTRA"):
            _sync_folder(self._path.parent)
        return connection

    def _load_board(self, connection: apsw.Connection) -> None:
        settings = [QueueSettings(*row) for row in connection.execute(SQL["all_settings"])]
        counts = {(queue, state): n for queue, state, n in connection.execute(SQL["all_counts"])}
        self._board.load(settings, counts)

    def _start(self, connection: apsw.Connection) -> None:
        session = Session(
            connection,
            self._board,
            self._resolve_child,
            max_depth=self._max_depth,
            scan_rows=self._scan_rows,
        )
        self._mover = mover = Mover(self._connect(), self._health)
        writer = Writer(session, mover, self._health, self._ballast)
        reader = Reader(Rows(self._connect(), self._scan_rows), self._health)
        self._health.is_full = not self._ballast.keep()
        self._writer = Worker(
            "store-writer", writer.serve, afterwards=writer.tidy, idle_seconds=writer.idle_seconds
        )
        self._reader = Worker("store-reader", reader.serve)
        mover.start()
        self._writer.start()
        self._reader.start()

    def _close(self) -> None:
        writer, reader = self._writer, self._reader
        mover = self._mover
        self._writer = self._reader = self._mover = None
        for worker in (writer, reader, mover):
            if worker is not None:
                worker.stop()
        self._let_go()

    def _let_go(self) -> None:
        """The writer's connection closes last: it leaves a file without a WAL."""
        while self._connections:
            connection = self._connections.pop()
            if not self._connections and not self._health.failed:
                self._checkpoint_last(connection)
            connection.close(
                True
            )  # whatever came before: release() ends SQLite's locks on what is still open
        self._ownership.release()

    def _checkpoint_last(self, connection: apsw.Connection) -> None:
        try:
            connection.set_busy_timeout(0)  # a reader, such as a backup, is not waited for
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:  # everything that was answered is in the WAL
            _log.warning("the last checkpoint of %s did not succeed: %s", self._path, error)

    # --- jobs ---

    async def insert(
        self, items: Sequence[PushItem], *, atomic: bool, now: int
    ) -> list[InsertOutcome]:
        outcomes: list[InsertOutcome] = await self._write(
            "insert", items, atomic, now, weight=len(items)
        )
        return outcomes

    def claim(self, request: ClaimRequest, now: int) -> asyncio.Future[list[Job]]:
        return self._write("claim", request, now, weight=request.count)

    async def apply(self, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        outcomes: list[ApplyOutcome] = await self._write("apply", changes, now, weight=len(changes))
        return outcomes

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        jobs: list[Job | None] = await self._read("get", ids, weight=len(ids))
        return jobs

    async def find(
        self,
        wanted: JobFilter,
        *,
        limit: int,
        cursor: str | None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Page:
        page: Page = await self._read(
            "find", wanted, limit, cursor, max_bytes, weight=self._scan_rows
        )
        return page

    async def oldest(self, queue: str, state: str, limit: int) -> list[Standing]:
        found: list[Standing] = await self._read("oldest", queue, state, limit, weight=limit)
        return found

    # --- time ---

    async def due(self, now: int, limit: int) -> list[Job]:
        jobs: list[Job] = await self._read("due", now, limit, weight=limit)
        return jobs

    async def next_due(self) -> int | None:
        instant: int | None = await self._read("next_due")
        return instant

    async def grace(self, now: int, shift: int = 0) -> int:
        changed: int = await self._write("grace", now, shift)
        return changed

    async def prune(self, queue: str, state: str, before: int, limit: int) -> int:
        deleted: int = await self._write("prune", queue, state, before, limit, weight=limit)
        return deleted

    async def sweep(self, now: int, tombstone_ms: int, limit: int) -> int:
        forgotten: int = await self._write("sweep", now, tombstone_ms, limit, weight=limit)
        return forgotten

    # --- queues ---

    def queues(self) -> Mapping[str, QueueInfo]:
        return self._board.queues()

    def queue(self, name: str) -> QueueInfo:
        return self._board.queue(name)

    async def set_queue(self, name: str, fields: Mapping[str, Any]) -> QueueSettings:
        settings: QueueSettings = await self._write("set_queue", name, fields)
        return settings

    def backlog(self, queue: str) -> int:
        info = self._board.queue(queue)
        return 0 if info.settings.paused in PAUSED_FOR_PULL else info.counts.get("waiting", 0)

    # --- calls ---

    def _write(self, verb: str, *arguments: Any, weight: int = 1) -> asyncio.Future[Any]:
        return _opened(self._writer).submit(verb, arguments, weight)

    def _read(self, verb: str, *arguments: Any, weight: int = 1) -> asyncio.Future[Any]:
        return _opened(self._reader).submit(verb, arguments, weight)


def _move_wal(connection: apsw.Connection) -> bool:
    """Move the WAL to the file. False when a reader of an older state, such as a backup, keeps a part of it there; no reader is waited for."""
    in_wal, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return in_wal == moved


def _sync_folder(folder: Path) -> None:
    """
    Have the names of the database and its WAL on the disk. SQLite asks for that as well, and goes on when it fails.

    Raises StoreUnusable. A file system that cannot sync folders says EINVAL, and keeps names in another way.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise StoreUnusable(f"cannot sync the directory {folder}: {error.strerror}") from error


def _opened(worker: Worker | None) -> Worker:
    if worker is None:
        raise RuntimeError("the store is not open")
    return worker
