"""Disks that fail on command: an apsw VFS between SQLite and the operating system."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import apsw

_numbers = itertools.count(1)


class Disk(apsw.VFS):
    """
    Hands everything to the real VFS, until told to fail.

    `fail_sync`: xSync raises an I/O error. `budget`: bytes that the database, its WAL and the ballast file may have together;
    a write beyond it finds the disk full.
    """

    def __init__(self, database: Path) -> None:
        self.name = f"disk{next(_numbers)}"
        self.fail_sync = False
        self.syncs = 0
        self.budget: int | None = None
        self._files = [database.with_name(database.name + end) for end in ("", "-wal", ".ballast")]
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        return _File(self, name, flags)

    def used(self) -> int:
        return sum(file.stat().st_size for file in self._files if file.exists())

    def free(self) -> int:
        return 1 << 40 if self.budget is None else self.budget - self.used()

    def would_overflow(self, size: int, end: int) -> bool:
        growth = max(0, end - size)
        return self.budget is not None and growth > 0 and self.used() + growth > self.budget


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        if self._disk.would_overflow(self.xFileSize(), offset + len(data)):
            raise apsw.FullError("the disk is full")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.syncs += 1
        if self._disk.fail_sync:
            error = apsw.IOError("fsync failed")
            error.extendedresult = apsw.SQLITE_IOERR_FSYNC
            raise error
        super().xSync(flags)
