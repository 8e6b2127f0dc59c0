"""
The load: closed loops over plain blocking sockets, in a process that does nothing else.

One connection is a loop of send and recv. Several are served by one thread with poll(), because a thread for each would measure
the interpreter's lock: every connection still waits for its own answer before it asks again.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECEIVE_BYTES = 1 << 18
TIMEOUT_S = 60.0
# Lines of a pipelined push that are written at once; two such chunks are on the way, within the 1,000 that a server takes.
CHUNK_LINES = 500

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Work:
    """One cell: what is asked of a server. `jobs` are shared out evenly to the connections."""

    load: str  # one of wire.LOADS
    door: str  # one of wire.DOORS
    connections: int
    batch: int
    jobs: int
    queue: str


@dataclass(frozen=True, slots=True)
class Took:
    """What a load took: by the clock, and of its own process's CPU."""

    seconds: float
    cpu_s: float


class Channel:
    """One connection and what has arrived on it of the answer that it waits for."""

    def __init__(self, address: Address, door: wire.Door) -> None:
        self.socket = connect(address)
        self._body = door.body
        self._received = b""

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Read once; the answer when it is whole."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data
        body = self._body(self._received)
        if body is not None:
            self._received = b""
        return body

    def answer(self) -> bytes:
        while (body := self.receive()) is None:
            pass
        return body


def connect(address: Address) -> socket.socket:
    connection = socket.create_connection(address, TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def run(address: Address, work: Work) -> Took:
    """Carry out one cell. Connections are made, and requests encoded, before the clock starts."""
    door = wire.DOORS[work.door]
    channels = [Channel(address, door) for _ in range(work.connections)]
    share = work.jobs // work.connections
    talks = [wire.LOADS[work.load](door, work.queue, share, work.batch) for _ in channels]
    try:
        if len(channels) == 1:
            return timed(lambda: _drive_one(channels[0], talks[0]))
        return timed(lambda: _drive_many(channels, talks))
    finally:
        for channel in channels:
            channel.socket.close()


def pipeline(address: Address, queue: str, jobs: int) -> Took:
    """Single pushes on one connection, written without waiting for their answers."""
    push = wire.DOORS["tcp"].push(queue, 1)
    with connect(address) as connection:
        return timed(lambda: _pipeline(connection, push, jobs))


def timed(work: Callable[[], None]) -> Took:
    gc.collect()
    gc.disable()  # the client makes no cycles
    try:
        cpu, began = time.process_time(), time.perf_counter()
        work()
        return Took(time.perf_counter() - began, time.process_time() - cpu)
    finally:
        gc.enable()


def _drive_one(channel: Channel, talk: wire.Conversation) -> None:
    request = next(talk)
    while True:
        channel.send(request)
        try:
            request = talk.send(channel.answer())
        except StopIteration:
            return


def _drive_many(channels: Sequence[Channel], talks: Sequence[wire.Conversation]) -> None:
    open_talks = {c.socket.fileno(): (c, talk) for c, talk in zip(channels, talks, strict=True)}
    poll = select.poll()
    for descriptor, (channel, talk) in open_talks.items():
        poll.register(descriptor, select.POLLIN)
        channel.send(next(talk))
    while open_talks:
        ready = poll.poll(TIMEOUT_S * 1_000)
        if not ready:
            raise TimeoutError(f"no answer in {TIMEOUT_S} s")
        for descriptor, _ in ready:
            if not _go_on(*open_talks[descriptor]):
                poll.unregister(descriptor)
                del open_talks[descriptor]


def _go_on(channel: Channel, talk: wire.Conversation) -> bool:
    """Read what is there, and ask again when that was an answer; False when the talk is over."""
    answer = channel.receive()
    if answer is not None:
        try:
            channel.send(talk.send(answer))
        except StopIteration:
            return False
    return True


def _pipeline(connection: socket.socket, push: bytes, jobs: int) -> None:
    answers = _Answers(connection)
    for sent in range(0, jobs, CHUNK_LINES):
        connection.sendall(push * min(CHUNK_LINES, jobs - sent))
        answers.read_to(sent)  # all of the chunks before this one
    answers.read_to(jobs)


class _Answers:
    """Counts the answers to pipelined pushes; each has to say ok."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._begun = b""
        self._read = 0

    def read_to(self, count: int) -> None:
        while self._read < count:
            data = self._connection.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._take(self._begun + data)

    def _take(self, data: bytes) -> None:
        lines, newline, self._begun = data.rpartition(b"\n")
        if not newline:
            return
        count = lines.count(b"\n") + 1
        if lines.count(b'"ok":true') != count:
            raise RuntimeError(f"a push was refused: {lines[:500]!r}")
        self._read += count
