"""What the shim noted, as a list in the order of time. Instants are ns of CLOCK_MONOTONIC, as in history.py (there in µs)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

HEAD = struct.Struct("<IHHIIQqqq")  # struct record of shim.c
MAGIC = 0x4F494A57


class Kind(IntEnum):
    OPEN = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    FOLDER_SYNC = 5
    UNLINK = 6
    RENAME = 7
    FAULT = 8
    CALLS = 9


@dataclass(frozen=True, slots=True)
class Op:
    """
    One call. `name` is empty where an inode says it all.

    For a FAULT `inode` is the number of the call and `offset` the errno; `is_created` is true for a file that holds jobs, or its
    folder. For CALLS, at the end of a process, `inode` is how many calls could have failed.
    """

    kind: Kind
    inode: int
    offset: int
    is_created: bool
    began: int
    ended: int  # later than `began` for a sync only
    name: str
    data: bytes

    @property
    def at(self) -> int:
        """When it has its place in the history: a change when it begins, a sync when it has returned."""
        return self.ended


def read_logs(prefix: Path) -> list[Op]:
    """All that the processes of one run noted."""
    logs = sorted(prefix.parent.glob(prefix.name + ".*"))
    return sorted((op for log in logs for op in read_log(log)), key=lambda op: op.at)


def read_log(path: Path) -> Iterator[Op]:
    """A record that is cut off at the end belongs to a process that was killed; its call was never made."""
    text, place = path.read_bytes(), 0
    while place + HEAD.size <= len(text):
        magic, kind, name_bytes, data_bytes, created, inode, offset, began, ended = (
            HEAD.unpack_from(text, place)
        )
        assert magic == MAGIC, f"{path}: no record at {place}"
        data = place + HEAD.size + name_bytes
        end = data + data_bytes
        if end > len(text):
            return
        name = text[place + HEAD.size : data].decode()
        yield Op(Kind(kind), inode, offset, bool(created), began, ended, name, text[data:end])
        place = end
