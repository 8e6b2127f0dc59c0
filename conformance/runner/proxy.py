"""
A proxy between an SDK and a real server, which records all that crosses and, when told to, spoils it.

Toxics hold for connections that are made after they were set, `times` of them (all, when it is left out):
    cut: {after: bytes, direction: up|down, how: fin|rst|half}   the connection ends there; half: the bytes end, the socket stays
    slice: n                                                      segments of at most n bytes, both ways
    delay_ms: n                                                   before each segment, both ways
    refuse: true                                                  the connection is reset as soon as it is made
up is from the SDK to the server.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from conformance.runner.exchange import Exchange
from conformance.runner.sdk_wire import HttpWatcher, LineWatcher, Watcher
from conformance.runner.validating import Undocumented

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.runner.http_bytes import HttpMessage
    from conformance.runner.recorder import Recorder
    from conformance.runner.sdk_wire import WireLog

_READ: Final = 65536
_numbers: Final = itertools.count(1)

Way = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxics:
    """What spoils a connection; without arguments nothing does."""

    cut_after: int | None = None
    cut_way: Way = "down"
    cut_how: str = "fin"
    slice: int = _READ
    delay_ms: int = 0
    refuse: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Toxics:
        """From a step of a case; see the top of this file."""
        known = {name: body[name] for name in ("slice", "delay_ms", "refuse") if name in body}
        cut = body.get("cut")
        if cut is not None:
            known |= {"cut_after": cut["after"], "cut_way": cut.get("direction", "down")}
            known |= {"cut_how": cut.get("how", "fin")}
        return cls(**known)


class Proxy:
    """
    Listens on 127.0.0.1 and forwards to *upstream*.

    Attributes:
        accepted: Connections so far, refused ones too.
        log: What crossed, as operations.
    """

    def __init__(
        self, scheme: str, upstream: tuple[str, int], log: WireLog, recorder: Recorder, by: str
    ) -> None:
        self._scheme = scheme
        self._upstream = upstream
        self._recorder = recorder
        self._by = by
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._toxics, self._left = Toxics(), -1
        self.log = log
        self.accepted = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_READ)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def open(self) -> int:
        """Connections of the SDK that are open now."""
        return len(self._links)

    def spoil(self, toxics: Toxics, times: int = -1) -> None:
        """*toxics* for the next *times* connections; -1 is all of them."""
        self._toxics, self._left = toxics, times

    def break_all(self, how: str) -> None:
        """End every open connection now, on both sides: fin or rst."""
        for link in list(self._links):
            link.end(how)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        toxics = self._toxics if self._left else Toxics()
        self._left = max(self._left - 1, -1) if self._left else 0
        if toxics.refuse:
            reset(writer)
            return
        there = await asyncio.open_connection(*self._upstream, limit=_READ)
        link = _Link((reader, writer), there, toxics, self._watcher())
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _watcher(self) -> _Recording:
        name = f"sdk-{next(_numbers)}"
        if self._scheme == "tcp":
            return _Recording(LineWatcher(self.log, name), self._recorder, name, self._by)

        def tell(request: HttpMessage, response: HttpMessage) -> None:
            exchange = Exchange.between(request, response, by=self._by, connection=name)
            self._recorder.http(exchange)

        return _Recording(
            HttpWatcher(self.log, name, tell), self._recorder, name, self._by, tcp=False
        )


class _Recording:
    """Hands the bytes of a connection to its watcher and, for TCP, to the recorder."""

    def __init__(
        self, watcher: Watcher, recorder: Recorder, name: str, by: str, *, tcp: bool = True
    ) -> None:
        self._watcher = watcher
        self._recorder = recorder
        self._name, self._by, self._tcp = name, by, tcp

    def crossed(self, way: Way, data: bytes) -> None:
        try:
            if self._tcp:
                direction: Literal["sent", "received"] = "sent" if way == "up" else "received"
                self._recorder.tcp_line(self._name, direction, data, by=self._by)
        except Undocumented:
            pass  # the recorder keeps it, and the item fails for it at its end
        try:
            (self._watcher.sent if way == "up" else self._watcher.received)(data)
        except Undocumented:
            return  # as above

    def closed(self) -> None:
        if self._tcp:
            self._recorder.tcp_closed(self._name, by=self._by)


class _Link:
    """Two sockets and what flows between them."""

    def __init__(self, here: Any, there: Any, toxics: Toxics, recording: _Recording) -> None:
        self._here, self._there = here, there
        self._toxics = toxics
        self._recording = recording

    async def run(self) -> None:
        """Until both directions have ended."""
        up = self._pump("up", self._here[0], self._there[1])
        down = self._pump("down", self._there[0], self._here[1])
        try:
            await asyncio.gather(up, down)
        finally:
            self._recording.closed()
            for _, writer in (self._here, self._there):
                writer.close()

    def end(self, how: str) -> None:
        for _, writer in (self._here, self._there):
            reset(writer) if how == "rst" else writer.close()

    async def _pump(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        budget = self._toxics.cut_after if way == self._toxics.cut_way else None
        try:
            while data := await reader.read(_READ):
                if budget is not None:
                    data = data[:budget]
                    budget -= len(data)
                await self._forward(way, data, writer)
                if budget == 0:
                    self._cut()
                    return
            if writer.can_write_eof():
                writer.write_eof()
        except ConnectionError:
            self.end("rst")

    async def _forward(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        self._recording.crossed(way, data)
        for at in range(0, len(data), self._toxics.slice):
            if self._toxics.delay_ms:
                await asyncio.sleep(self._toxics.delay_ms / 1000)
            writer.write(data[at : at + self._toxics.slice])
            await writer.drain()
            await asyncio.sleep(0)

    def _cut(self) -> None:
        if self._toxics.cut_how == "half":
            self._toxics = replace(self._toxics, cut_after=None)
        else:
            self.end(self._toxics.cut_how)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST in place of FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
