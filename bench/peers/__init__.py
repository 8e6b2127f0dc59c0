"""
Other queues, measured with the same loads: one file each, and one line in PEERS.

A peer says in words what its answer means for durability, because rates of unlike promises cannot be compared. One that is not
here raises Missing, and the table says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.load import Address


class Missing(Exception):  # noqa: N818 - a state of things, not a fault
    """The peer cannot be measured on this machine; the text says what it would take."""


class Peer(Protocol):
    """A queue that runs on this machine. Jobs are `wire.DATA`; `batch` is how many go into one call."""

    name: str
    durability: str

    def start(self, folder: Path) -> None:
        """Raises Missing."""

    def stop(self) -> None: ...

    def produce(self, queue: str, jobs: int, batch: int) -> None: ...

    def consume(self, queue: str, jobs: int, batch: int) -> None:
        """Take jobs and settle them, so that a consumer that dies in between loses none."""

    def end_to_end(self, queue: str, jobs: int, batch: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Servers that are running: ours, and the one of the command line."""

    ours: Address
    other: Address | None


# (module of this package, what it says for itself when its module cannot be imported)
PEERS = (("redis_lists", "Redis lists"), ("rustqueue_wire", "RustQueue's wire"))


@dataclass(frozen=True, slots=True)
class PeerRow:
    """Jobs a second, medians of the rounds; or why there are none."""

    name: str
    durability: str
    batch: int
    missing: str = ""
    produce: int = 0
    consume: int = 0
    e2e: int = 0


def measure(folder: Path, asked: Asked, jobs: int, batch: int, rounds: int) -> list[PeerRow]:
    rows: list[PeerRow] = []
    for module, title in PEERS:
        try:
            peers: list[Peer] = import_module(f"bench.peers.{module}").peers(asked)
        except (Missing, ImportError) as error:
            rows.append(PeerRow(title, "", batch, missing=str(error)))
            continue
        rows += [_measure_one(peer, folder, jobs, batch, rounds) for peer in peers]
    return rows


def _measure_one(peer: Peer, folder: Path, jobs: int, batch: int, rounds: int) -> PeerRow:
    try:
        peer.start(folder)
    except Missing as error:
        return PeerRow(peer.name, peer.durability, batch, missing=str(error))
    try:
        rates = [_round(peer, f"peer-{number}", jobs, batch) for number in range(rounds)]
    finally:
        peer.stop()
    produce, consume, e2e = (sorted(column)[len(rates) // 2] for column in zip(*rates, strict=True))
    return PeerRow(peer.name, peer.durability, batch, produce=produce, consume=consume, e2e=e2e)


def _round(peer: Peer, queue: str, jobs: int, batch: int) -> tuple[int, int, int]:
    return (
        _rate(jobs, lambda: peer.produce(queue, jobs, batch)),
        _rate(jobs, lambda: peer.consume(queue, jobs, batch)),
        _rate(jobs, lambda: peer.end_to_end(f"{queue}-e2e", jobs, batch)),
    )


def _rate(jobs: int, work: Callable[[], None]) -> int:
    began = time.perf_counter()
    work()
    return round(jobs / (time.perf_counter() - began))
