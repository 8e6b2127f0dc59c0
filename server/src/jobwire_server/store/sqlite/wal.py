"""
Whether the WAL has lost commits that had reached the disk.

SQLite reads a WAL up to the first frame whose checksum is wrong, and drops the rest without a word. After a crash the rest is at most
the one commit that was under way, because each one is synced before the next begins. More than one whole commit behind that place
means that the file has been damaged since, and that answered work would be gone (guarantees C10).
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import apsw

from jobwire_server.errors import StoreUnusable
from jobwire_server.store.sqlite.connecting import BUSY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Salts = tuple[int, int]

# sqlite.org/fileformat2.html#walformat
_HEAD: Final = struct.Struct(">8I")  # magic, version, page size, checkpoints, salt, salt, checksum
_FRAME: Final = struct.Struct(">6I")  # page, pages of the file if it ends a commit, salt, salt, …
_MAGICS: Final = {0x377F0682: "<", 0x377F0683: ">"}  # and the byte order of the checksum's words
_PAGE_BYTES: Final = 4_096  # of every file that Jobwire has made
_FRAME_BYTES: Final = _FRAME.size + _PAGE_BYTES
_SECTOR: Final = 512  # what a disk writes whole
_FLAG_BYTES: Final = (
    8  # of a frame's head: its page, and whether it ends a commit; the salts follow
)
_NOOP: Final = getattr(apsw, "SQLITE_CHECKPOINT_NOOP", apsw.SQLITE_CHECKPOINT_PASSIVE)


def check_wal(path: Path, vfs: str | None) -> None:
    """Raises StoreUnusable for a damaged WAL. Before any other connection: it opens the file as no open SQLite file may be."""
    path = path.resolve()  # where SQLite looks for the WAL
    wal = path.with_name(path.name + "-wal")
    commits = _commits(wal)
    while commits:
        in_use = _frames_in_use(path, vfs)
        dropped = sum(frame > in_use for frame in commits)
        if dropped <= 1:
            return
        before, commits = commits, _commits(wal)
        if commits == before:  # else another program has moved them to the file meanwhile
            raise StoreUnusable(
                f"{wal} is damaged, and {dropped} commits behind the damage would be lost; restore a backup, "
                'or start once with sqlite.synchronous = "normal" to go on with what came before the damage'
            )


def _commits(wal: Path) -> list[int]:
    """The numbers of the frames that end a commit of this life of the WAL, whether or not they can be reached."""
    if not wal.exists():
        return []
    with wal.open("rb", buffering=0) as file:
        head = os.pread(file.fileno(), _HEAD.size, 0)
        ends = list(_ends_of_commits(file.fileno(), wal.stat().st_size))
    salts = _salts_of(head) or _most_common(ends)
    return [frame for frame, its_salts in ends if its_salts == salts]


def _ends_of_commits(fd: int, size: int) -> Iterator[tuple[int, Salts]]:
    """The numbers of all frames that end a commit, with what marks their life."""
    for place in range(_HEAD.size, size, _FRAME_BYTES):
        head = os.pread(fd, _FRAME.size, place)
        if len(head) == _FRAME.size:
            _, pages, one, two, *_ = _FRAME.unpack(head)
            if pages and not _may_be_torn(fd, place):
                yield 1 + place // _FRAME_BYTES, (one, two)


def _may_be_torn(fd: int, place: int) -> bool:
    """
    True for a frame whose flag may be that of an older frame: the power went between two sectors, and its head stands in both.

    Its checksum, which goes on from the one before it, is wrong then.
    """
    if (place + _FLAG_BYTES) % _SECTOR:
        return False
    (magic,) = struct.unpack(">I", os.pread(fd, 4, 0))
    before = os.pread(fd, _FRAME.size, place - _FRAME_BYTES)
    frame = os.pread(fd, _FRAME_BYTES, place)
    start, wanted = _FRAME.unpack(before)[4:], _FRAME.unpack(frame[: _FRAME.size])[4:]
    text = frame[:_FLAG_BYTES] + frame[_FRAME.size :]
    return len(text) < _FLAG_BYTES + _PAGE_BYTES or wanted != _checksum(
        text, _MAGICS.get(magic, "<"), start
    )


def _salts_of(head: bytes) -> Salts | None:
    """What marks the frames of this life; None when the header cannot tell."""
    if len(head) < _HEAD.size:
        return None
    magic, *rest, one, two = _HEAD.unpack(head)
    if magic not in _MAGICS or _checksum(head[:24], _MAGICS[magic]) != (one, two):
        return None
    return rest[3], rest[4]


def _most_common(ends: Sequence[tuple[int, Salts]]) -> Salts | None:
    """
    The life that most frames are of: a WAL whose header is damaged, or is a sector of zeros, must not pass for an empty one.

    A new WAL whose header a crash kept from the disk has one commit at most, which check_wal lets pass.
    """
    return max(Counter(salts for _, salts in ends).items(), key=itemgetter(1), default=(None, 0))[0]


def _checksum(text: bytes, order: str, start: tuple[int, ...] = (0, 0)) -> tuple[int, int]:
    one, two = start
    words = struct.unpack(f"{order}{len(text) // 4}I", text)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def _frames_in_use(path: Path, vfs: str | None) -> int:
    """How many frames SQLite reads. Leaves the files as they are."""
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("PRAGMA schema_version").fetchall()
        return connection.wal_checkpoint(mode=_NOOP)[0]
    finally:
        connection.close(True)
