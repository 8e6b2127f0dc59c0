"""One owner a file: an flock on `<db>.lock`, with the owner's pid and host inside (guarantees C12), and a lock on the file itself."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

from jobwire_server.errors import StoreInUse

# A `struct flock` for one byte far behind those that SQLite locks, which are at 1 GiB. OFD: nothing else of this process ends it.
_FAR_BYTE: Final = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 1 << 60, 1, 0)
_SET_LOCK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)  # Linux

# The files that stores of this process own.
_OWNED: Final[set[tuple[int, int] | None]] = set()


class Ownership:
    """
    Held from take() to release(). The kernel lets go of it when the process dies, however it dies.

    The lock file tells who the owner is, and stays when it is released: to remove it would let two processes lock two files of
    one name. The lock on the database holds where that file cannot be found: under a hard link or a bind mount, or once deleted.

    Warning: release() comes after SQLite has closed the database, since any close() ends the locks that SQLite has on it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = Path(os.path.realpath(database))  # a link is another name of the same file
        self.path = self._file.with_name(self._file.name + ".lock")
        self._fds: list[int] = []
        self._inode: tuple[int, int] | None = None

    def take(self) -> None:
        """Raises StoreInUse when another owner lives, also one in this process."""
        try:
            self._lock_beside()
            self._refuse_own()
            if _SET_LOCK is not None:
                fcntl.fcntl(self._opened(self._file), _SET_LOCK, _FAR_BYTE)
            self._inode = _inode_of(self._file)
            _OWNED.add(self._inode)
        except BlockingIOError:
            self.release()
            raise self._in_use("another process, by another name of the file") from None
        except BaseException:
            self.release()
            raise

    def _lock_beside(self) -> None:
        fd = self._opened(self.path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 500).decode("utf-8", "replace").strip()
            raise self._in_use(owner or "another process") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def _refuse_own(self) -> None:
        """A store of this process by another name: opening the file would end SQLite's locks on it when it is closed again."""
        if self._file.exists() and _inode_of(self._file) in _OWNED:
            raise self._in_use("this process, by another name of the file")

    def _opened(self, path: Path) -> int:
        self._fds.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        return self._fds[-1]

    def _in_use(self, owner: str) -> StoreInUse:
        return StoreInUse(
            f"{self._database} is in use by {owner}; stop that one, or give this one another file"
        )

    def release(self) -> None:
        """Idempotent."""
        _OWNED.discard(self._inode)
        self._inode = None
        while self._fds:
            os.close(self._fds.pop())


def _inode_of(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino
