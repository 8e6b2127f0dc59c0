"""
A thread that moves the WAL into the file while the writer goes on.

A checkpoint of thousands of pages takes tens of milliseconds; between two commits every caller would wait for it. The mover takes all but what is
appended meanwhile; that rest is small, and the writer moves it itself, between two commits, so that the WAL starts over.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from jobwire_server.store.sqlite.health import Health


class Mover:
    """
    Moves what is in the WAL, when told. All of it is called by one thread.

    A move that fails is the end of the store at once: the next call that the writer could tell it to may be long in coming.
    """

    def __init__(self, connection: apsw.Connection, health: Health) -> None:
        self._connection = connection
        self._health = health
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._full: apsw.FullError | None = None
        self._moved = False
        self.is_busy = False
        self._thread = threading.Thread(target=self._run, name="store-mover", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the move under way, then end. Blocks."""
        self._orders.put(False)
        self._thread.join()

    def begin(self) -> None:
        self._moved, self.is_busy = False, True
        self._orders.put(True)

    def take_moved(self) -> bool:
        """True once after each move that came to its end. Raises FullError, once, after one that found the disk full."""
        full, self._full = self._full, None
        if full is not None:
            raise full
        moved, self._moved = self._moved, False
        return moved

    def _run(self) -> None:
        while self._orders.get():
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self._moved = True
            except apsw.FullError as error:
                self._full = error
            except Exception as error:  # noqa: BLE001 - whatever it is, the file cannot be trusted, or judge() says that it can
                self._health.judge(error)
            self.is_busy = False
