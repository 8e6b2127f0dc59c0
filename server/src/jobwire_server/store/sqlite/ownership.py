"""One owner a file: an flock on `<db>.lock`, with the owner's pid and host inside (guarantees C12)."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

from jobwire_server.errors import StoreInUse

if TYPE_CHECKING:
    from pathlib import Path


class Ownership:
    """
    Held from take() to release(). The kernel lets go of it when the process dies, however it dies.

    The file stays when it is released: to remove it would let two processes lock two files of one name.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self.path = database.with_name(database.name + ".lock")
        self._fd: int | None = None

    def take(self) -> None:
        """Raises StoreInUse when another owner lives, also one in this process."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 500).decode("utf-8", "replace").strip()
            os.close(fd)
            raise StoreInUse(
                f"{self._database} is in use by {owner or 'another process'}; "
                "stop that one, or give this one another file"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
