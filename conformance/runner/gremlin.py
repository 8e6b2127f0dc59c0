"""The body of the gremlin: a listener and its connections, over TCP or HTTP. What it does with them, its script says."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from conformance.runner.http_bytes import HttpReader
from conformance.runner.proxy import reset
from conformance.runner.sdk_wire import seen_http, seen_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.runner.sdk_signals import Signals
    from conformance.runner.sdk_wire import Seen, WireLog
    from conformance.runner.values import Variables

PATIENCE: Final = 5.0  # seconds that a step waits for the SDK
_READ: Final = 65536
_SEGMENT: Final = 0.0002  # seconds between segments, so that the peer sees them one by one
_numbers: Final = itertools.count(1)


class Unexpected(AssertionError):  # noqa: N818 - named for what was seen
    """The SDK did not do what the script expects."""


class Connection:
    """A connection of the SDK: requests come out of it one by one."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        log: WireLog,
        *,
        http: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._http = HttpReader("request") if http else None
        self._ready: deque[Seen] = deque()
        self._buffer = bytearray()
        self._pump: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.name = f"gremlin-{next(_numbers)}"
        self.unanswered: list[Seen] = []
        self.last = b""  # bytes of the last answer
        self.version = 1
        self.shown_token = False
        self.ended = False  # the SDK has ended its side
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def is_http(self) -> bool:
        return self._http is not None

    def listen(self) -> None:
        """Take in what the SDK sends, from now on."""
        self._pump = asyncio.create_task(self._read())

    def deaf(self) -> None:
        """Stop reading: what the SDK sends piles up in its socket."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(_READ):
                self._take(data)
                self._news.set()
        except ConnectionError:
            pass  # an end like any other; a script that wants a certain one says expect_close
        self.ended = True
        self._news.set()

    def _take(self, data: bytes) -> None:
        if self._http is not None:
            found = [seen_http(message, self.name) for message in self._http.feed(data)]
        else:
            self._buffer += data
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._buffer[:] = rest
            found = [seen_line(line, self.name) for line in lines]
        for seen in found:
            self._log.add(seen)
            self._ready.append(seen)

    async def request(self, what: str) -> Seen:
        """The next request. Unexpected when the SDK ends the connection or keeps silent."""
        try:
            async with asyncio.timeout(PATIENCE):
                seen = await self.next()
        except TimeoutError:
            raise Unexpected(f"the SDK sent nothing for {PATIENCE:g} s, and not {what}") from None
        if seen is None:
            raise Unexpected(f"the SDK ended {self.name} in place of {what}")
        return seen

    async def next(self) -> Seen | None:
        """The next request, whenever it comes; None when the SDK ends the connection."""
        while not self._ready:
            if self.ended:
                return None
            self._news.clear()
            await self._news.wait()
        seen = self._ready.popleft()
        self.unanswered.append(seen)
        return seen

    async def end(self) -> None:
        """Until the SDK ends it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.ended:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Unexpected(f"the SDK keeps {self.name} open") from None

    def left(self) -> list[Seen]:
        """Requests that no step has expected."""
        return list(self._ready)

    async def send(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        """Send *data*, as one piece or cut at the offsets of *cuts*. A connection that is gone is no error here."""
        self.last = data
        edges = [0, *cuts, len(data)]
        try:
            for start, end in itertools.pairwise(edges):
                self._writer.write(data[start:end])
                await self._writer.drain()
                if cuts:
                    await asyncio.sleep(_SEGMENT)
        except ConnectionError:
            return

    def close(self, how: str) -> None:
        """fin, rst, or half: the gremlin says no more, and still reads."""
        if how == "rst":
            reset(self._writer)
        elif how == "half":
            self._writer.write_eof()
        else:
            self._writer.close()

    async def release(self) -> None:
        self.deaf()
        self._writer.transport.abort()


class Peer:
    """Listens on 127.0.0.1 and keeps what comes until somebody asks for it."""

    def __init__(
        self,
        transport: str,
        variables: Variables,
        log: WireLog,
        signals: Signals,
        seed: int = 7,
    ) -> None:
        self.transport = transport
        self.variables = variables
        self.log = log
        self.signals = signals
        self.random = random.Random(seed)
        self.connections: dict[str, Connection] = {}
        self.current: Connection | None = None
        self.accepted = 0
        self._arrived: asyncio.Queue[Connection] = asyncio.Queue()
        self._all: list[Connection] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def end(self) -> None:
        """Close everything."""
        await self.shut()
        for connection in self._all:
            await connection.release()

    @property
    def url(self) -> str:
        return f"{self.transport}://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Listen, on the port of before when there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections; those that are there stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self.log, http=self.transport == "http")
        connection.listen()
        self.accepted += 1
        self._all.append(connection)
        self._arrived.put_nowait(connection)

    async def arrival(self, patience: float | None = PATIENCE) -> Connection:
        """The next connection of the SDK; with patience None, whenever it comes."""
        try:
            async with asyncio.timeout(patience):
                return await self._arrived.get()
        except TimeoutError:
            raise Unexpected(f"the SDK did not connect within {PATIENCE:g} s") from None

    def beyond(self) -> list[str]:
        """What the SDK did and nobody has asked for."""
        problems = [f"it sent {seen.command!r}" for one in self._all for seen in one.left()]
        waiting = self._arrived.qsize()
        return [*problems, *([f"it made {waiting} more connections"] if waiting else [])]
