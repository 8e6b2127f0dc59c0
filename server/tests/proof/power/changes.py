"""What is changed in a server under test, by name: sizes that make rare things frequent, and the defects of the controls.

Only in the process that calls it. None of it exists in the product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from jobwire_server.store.sqlite import rows, space, store, writer
from jobwire_server.store.sqlite.ownership import Ownership
from jobwire_server.store.sqlite.session import Session


def checkpoint_pages(pages: int) -> None:
    """Move the WAL to the file each time that it has this many pages."""
    writer.CHECKPOINT_PAGES = pages  # type: ignore[misc]


def ballast_bytes(size: int) -> None:
    """Set this much aside for a full disk."""
    original = space.Ballast.__init__
    store.Ballast.__init__ = lambda self, path, _: original(self, path, size)  # type: ignore[method-assign]


def answer_anyway(_: int) -> None:
    """A defect: what could not be written is answered as if it had been. Checkpoints, which would notice, do not come."""
    checkpoint_pages(1 << 40)
    original = Session.transact

    def transact(self: Session, work: Callable[[], Any]) -> Any:
        done: list[Any] = []
        try:
            return original(self, lambda: done.append(work()) or done[-1])
        except (apsw.IOError, apsw.FullError):
            return done[-1]

    Session.transact = transact  # type: ignore[method-assign]


def no_checksum(_: int) -> None:
    """A defect: the checksum of a payload is the same for all."""
    rows.crc32 = lambda data: 0


def no_lock(_: int) -> None:
    """A defect: nobody asks whose file it is."""
    Ownership.take = lambda self: None  # type: ignore[method-assign]


CHANGES: dict[str, Callable[[int], None]] = {
    "checkpoint_pages": checkpoint_pages,
    "ballast_bytes": ballast_bytes,
    "answer_anyway": answer_anyway,
    "no_checksum": no_checksum,
    "no_lock": no_lock,
}
