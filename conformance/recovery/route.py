"""
The way between an SDK and a server, byte for byte, and what may happen to it.

It keeps its port while it is closed: whoever connects then is refused, as by a machine on which no server runs.
Nothing is recorded or checked, as runner/proxy.py does, because tens of thousands of calls cross here.
"""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Final

from conformance.runner.proxy import reset

_READ: Final = 65536
_BACKLOG: Final = 512

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Route:
    """
    `open`, any faults, `close`, `end`. `port` is where the SDK connects to.

    Attributes:
        touched: Connections that a fault has ended, swallowed or refused.
    """

    def __init__(self, seed: object) -> None:
        # Bound and never listening, it keeps the port for the next listener and refuses connections meanwhile.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self._chance = random.Random(f"route-{seed}")
        self._listener: socket.socket | None = None
        self._fresh: set[socket.socket] = set()  # accepted, and not served yet
        self._upstream = ("127.0.0.1", 0)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hole = False
        self._loss = 0.0
        self.touched = 0

    async def open(self, upstream: tuple[str, int]) -> None:
        """Take connections, and lead them to *upstream*."""
        self._upstream = upstream
        self._listener = _bound(self.port)
        self._listener.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def close(self) -> None:
        """End all connections, and refuse new ones."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        self.cut("rst")

    async def end(self) -> None:
        """Close it for good."""
        self.close()
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._fresh:
            sock.close()
        self._place.close()
        await asyncio.sleep(0)  # in which transports that were aborted close their sockets
        for error in ended:
            if isinstance(error, Exception):  # which being cancelled is not
                raise error

    # --- faults -----------------------------------------------------------------------------------------------------

    def cut(self, how: str) -> None:
        """End every connection now, on both sides, by fin or rst."""
        for link in list(self._links):
            self.touched += 1
            link.end(how)

    def half_open(self) -> None:
        """From now on nothing crosses the connections that there are, not even their end; new ones are well."""
        for link in self._links:
            self.touched += 1
            link.dead = True

    def hole(self, *, there_is: bool) -> None:
        """While there is a hole it swallows all that comes, and what has met it stays dead."""
        self._hole = there_is
        if there_is:
            self.half_open()

    def lose_replies(self, share: float) -> None:
        """Of the answers this share is lost, with its connection; the server has done what was asked."""
        self._loss = share

    def loses(self) -> bool:
        lost = self._chance.random() < self._loss
        self.touched += lost
        return lost

    # --- connections ------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; a server of asyncio would lose those that come while it closes."""
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it was there, and has gone
        sock.setblocking(False)
        self._fresh.add(sock)
        task = asyncio.create_task(self._take(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, sock: socket.socket) -> None:
        self._fresh.discard(sock)
        reader, writer = await asyncio.open_connection(sock=sock, limit=_READ)
        try:
            await self._serve((reader, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()

    async def _serve(self, here: Stream) -> None:
        there = await asyncio.open_connection(*self._upstream, limit=_READ)
        link = _Link(self, here, there)
        link.dead = self._hole
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.end("rst")


class _Link:
    """Two sockets and what flows between them. A dead one swallows all, and neither side is told."""

    def __init__(self, route: Route, here: Stream, there: Stream) -> None:
        self._route = route
        self._here, self._there = here, there
        self.dead = False

    async def run(self) -> None:
        """Until both sides have ended."""
        up = self._pump(self._here[0], self._there[1], answers=False)
        await asyncio.gather(up, self._pump(self._there[0], self._here[1], answers=True))

    def end(self, how: str) -> None:
        for _, writer in (self._here, self._there):
            if how == "fin":
                writer.close()
            elif not writer.transport.is_closing():
                reset(writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        try:
            while data := await reader.read(_READ):
                if self.dead:
                    continue
                if answers and self._route.loses():
                    self.end("rst")
                    return
                writer.write(data)
                await writer.drain()
            if not self.dead:
                writer.close()
        except OSError:
            if not self.dead:
                self.end("rst")


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock
