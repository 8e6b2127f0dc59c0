"""
Any server that speaks RustQueue's wire (JSON lines, version 1), RustQueue itself for one: started by you, named with --address.

Driven by the client that drives our own server, so the two rows differ in nothing but the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import load
from bench.load import Address, Work
from bench.peers import Asked, Missing, Peer

if TYPE_CHECKING:
    from pathlib import Path


def peers(asked: Asked) -> list[Peer]:
    return [
        RustQueueWire("Jobwire, this tree", asked.ours, "fsync before each answer"),
        RustQueueWire("RustQueue's wire", asked.other, "whatever that server was started with"),
    ]


class RustQueueWire:
    """A server that is already running."""

    def __init__(self, name: str, address: Address | None, durability: str) -> None:
        self.name, self.durability = name, durability
        self._at = address

    def start(self, _: Path) -> None:
        try:
            load.connect(self._address).close()
        except OSError as error:
            raise Missing(f"nobody answers at {self._at}: {error}") from error

    def stop(self) -> None:
        """It is not ours to stop."""

    def produce(self, queue: str, jobs: int, batch: int) -> None:
        self._run("produce", queue, jobs, batch)

    def consume(self, queue: str, jobs: int, batch: int) -> None:
        self._run("consume", queue, jobs, batch)

    def end_to_end(self, queue: str, jobs: int, batch: int) -> None:
        self._run("e2e", queue, jobs, batch)

    @property
    def _address(self) -> Address:
        if self._at is None:
            raise Missing("start one and say where it listens: --address 127.0.0.1:PORT")
        return self._at

    def _run(self, name: str, queue: str, jobs: int, batch: int) -> None:
        load.run(self._address, Work(name, "tcp", 1, batch, jobs, queue))
