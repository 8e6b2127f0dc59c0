"""
What is done about a full disk: 16 MiB are set aside, so that acks and reads can go on when pushes cannot (guarantees C10).

Rule 1: only the ballast file is touched here, never the database's own files.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

BALLAST_BYTES: Final = 16 * 1024 * 1024
_BLOCK = b"\0" * (1024 * 1024)


class Ballast:
    """The file `<db>.ballast`: real blocks that can be given back to the file system at once."""

    def __init__(self, database: Path, size: int = BALLAST_BYTES) -> None:
        self.path = database.with_name(database.name + ".ballast")
        self._size = size

    def keep(self) -> bool:
        """Set the space aside. False, leaving nothing, when there is none, or so little left that the disk is as good as full."""
        if self._is_whole():
            return True
        if self._free_bytes() < 2 * self._size:
            self.release()
            return False
        try:
            self._write()
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the space back."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _is_whole(self) -> bool:
        try:
            return self.path.stat().st_size == self._size
        except OSError:
            return False

    def _free_bytes(self) -> int:
        space = os.statvfs(self.path.parent)
        return space.f_bavail * space.f_frsize

    def _write(self) -> None:
        """Written out, because a sparse or compressed file would set nothing aside; fsync tells whether it is true."""
        with self.path.open("wb") as file:
            for start in range(0, self._size, len(_BLOCK)):
                file.write(_BLOCK[: self._size - start])
            file.flush()
            os.fsync(file.fileno())
