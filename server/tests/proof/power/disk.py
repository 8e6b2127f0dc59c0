"""What a disk may hold after the power went at some instant, from what the shim noted before it.

Only what a sync had made sure of by then must be there. A change that no sync came after may have happened or not, in any order and
by the sector; a file that no sync of its folder came after may be missing, and a deleted one may be back.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tests.proof.power.io_log import Kind, Op

Mode = Literal["drop", "torn"]

SECTOR = 512
KEPT = (0.1, 0.5, 0.9)  # the share of what was not synced that a torn disk keeps
GROWN = 0.3  # the share of torn files that have their full length, with zeros where data is missing

Image = dict[str, bytes]  # the files by name


@dataclass(slots=True)
class Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)

    def sync(self, began: int) -> None:
        """What was changed before the sync began is durable."""
        while self.pending and self.pending[0].began < began:
            apply(self.durable, self.pending.pop(0))


class Disk:
    """The disk as time goes on; `advance` only forwards."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self._coming = list(ops)
        self._place = 0
        self._inodes: dict[int, Inode] = {}
        self._names: dict[str, Inode] = {}  # durable
        self._renamed: dict[str, list[Inode | None]] = defaultdict(
            list
        )  # what became of a name since

    def advance(self, instant: int) -> None:
        """Everything that began, and every sync that had returned, up to this instant in ns."""
        while self._place < len(self._coming) and self._coming[self._place].at <= instant:
            self._do(self._coming[self._place])
            self._place += 1

    def _do(self, op: Op) -> None:
        match op.kind:
            case Kind.OPEN if op.is_created:
                self._inodes[op.inode] = inode = Inode()
                self._renamed[os.path.basename(op.name)].append(inode)
            case Kind.WRITE | Kind.TRUNCATE:
                self._inodes[op.inode].pending.append(op)
            case Kind.SYNC:
                self._inodes[op.inode].sync(op.began)
            case Kind.FOLDER_SYNC:
                self._names = self._present()
                self._renamed.clear()
            case Kind.UNLINK:
                self._renamed[os.path.basename(op.name)].append(None)
            case Kind.RENAME:
                source, target = map(os.path.basename, op.name.split("\0"))
                self._renamed[target].append(self._present()[source])
                self._renamed[source].append(None)
            case _:
                pass

    def _present(self) -> dict[str, Inode]:
        newest = {name: inodes[-1] for name, inodes in self._renamed.items() if inodes}
        return {name: inode for name, inode in {**self._names, **newest}.items() if inode}

    # --- what is left ---

    def whole(self) -> Image:
        """What the operating system shows while the power is on."""
        return {name: played(inode, inode.pending) for name, inode in self._present().items()}

    def cut(self, mode: Mode, chance: random.Random) -> Image:
        """What may be left when the power goes now."""
        if mode == "drop":
            return {name: bytes(inode.durable) for name, inode in self._names.items()}
        share = chance.choice(KEPT)
        return {
            name: torn(inode, share, chance) for name, inode in self._some_names(chance).items()
        }

    def _some_names(self, chance: random.Random) -> dict[str, Inode]:
        """What happened to each name, up to some point."""
        names: dict[str, Inode | None] = dict(self._names)
        for name, inodes in self._renamed.items():
            done = chance.randrange(len(inodes) + 1)
            if done:
                names[name] = inodes[done - 1]
        return {name: inode for name, inode in names.items() if inode}


def torn(inode: Inode, share: float, chance: random.Random) -> bytes:
    by_sector = chance.random() < 0.5
    kept: list[Op] = []
    for op in inode.pending:
        if op.kind is Kind.WRITE and by_sector:
            kept += (part for part in sectors(op) if chance.random() < share)
        elif chance.random() < share:
            kept.append(op)
    content = played(inode, kept)
    if chance.random() < GROWN:
        content = content.ljust(len(played(inode, inode.pending)), b"\0")
    return content


def sectors(op: Op) -> list[Op]:
    """A write as one write for each sector that it touches."""
    edges = [
        op.offset,
        *range((op.offset // SECTOR + 1) * SECTOR, op.offset + len(op.data), SECTOR),
    ]
    return [
        Op(op.kind, op.inode, start, False, op.began, op.ended, "", data)
        for start in edges
        if (data := op.data[start - op.offset : (start // SECTOR + 1) * SECTOR - op.offset])
    ]


def played(inode: Inode, ops: Iterable[Op]) -> bytes:
    content = bytearray(inode.durable)
    for op in ops:
        apply(content, op)
    return bytes(content)


def apply(content: bytearray, op: Op) -> None:
    if op.kind is Kind.TRUNCATE:
        del content[op.offset :]
        content.extend(bytes(op.offset - len(content)))
    else:
        content.extend(bytes(max(0, op.offset - len(content))))
        content[op.offset : op.offset + len(op.data)] = op.data
