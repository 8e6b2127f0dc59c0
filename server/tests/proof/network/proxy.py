"""A TCP proxy that does to connections what networks do: delay, trickle, drop without a word, reset, cut at a chosen byte.

`up` is what clients send and `down` what the server sends; each has a `Way` that may be changed at any time. A `Cut` is armed for one
request, known by a piece of its text, and says where the connection ends. The proxy runs in a thread of its own; all chance is seeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal

PIECE: Final = 64 * 1024  # bytes a read
PATIENCE_S: Final = 10.0
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST and forgets what is unsent
_LENGTH: Final = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)

Side = Literal["up", "down"]
When = Literal["in request", "after request", "before reply", "in reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What becomes of the bytes of one direction.

    A connection that there was while there was a hole stays dead in that direction, its end included, also when new ones pass again:
    a device on the way has forgotten it.
    """

    hole: bool = False
    delay_s: float = 0.0  # each piece waits for up to so long
    piece: int = PIECE  # bytes a write
    reset_share: float = 0.0  # of the pieces end their connection


OPEN: Final = Way()


@dataclass(slots=True, kw_only=True)
class Cut:
    """The end of the connection that carries the next request with `marker` in it; `share` of the request or reply still passes."""

    marker: bytes
    when: When
    share: float = 0.5
    reset: bool = False  # RST in place of FIN, on both sides
    reply: bytes = b""  # what the server answered, of which the client saw a part at most
    done: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on `port` of 127.0.0.1 and forwards to `target`, from `__enter__` to `__exit__`."""

    def __init__(self, target: int, seed: object = 0) -> None:
        self.target = target
        self.port = 0
        self.ways: dict[Side, Way] = {"up": OPEN, "down": OPEN}
        self.chance = random.Random(f"proxy-{seed}")
        self.connections = self.resets = self.dropped = 0  # dropped counts bytes
        self._armed: list[Cut] = []
        self._pipes: set[_Pipe] = set()
        self._accepted: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proof-proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the proxy did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the proxy did not end"

    def set(self, *, up: Way = OPEN, down: Way = OPEN) -> None:
        """From now on; without arguments everything passes."""
        self.ways = {"up": up, "down": down}
        for pipe in tuple(self._pipes):
            pipe.dead.update(side for side, way in self.ways.items() if way.hole)

    def arm(self, cut: Cut) -> Cut:
        self._armed.append(cut)
        return cut

    def close_all(self) -> None:
        """End every connection, also the dead ones."""
        self._loop.call_soon_threadsafe(self._end_pipes)

    def _end_pipes(self) -> None:
        for pipe in list(self._pipes):
            pipe.end(reset=True)

    def taken(self, data: bytes) -> Cut | None:
        """The armed cut that this request meets; it is armed no more."""
        for cut in self._armed:
            if cut.marker in data:
                self._armed.remove(cut)
                return cut
        return None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=PIECE)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        self._end_pipes()
        await asyncio.gather(*self._accepted)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        self.connections += 1
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target, limit=PIECE)
        except OSError:
            _close(writer, reset=True)
            return
        pipe = _Pipe(self, (reader, writer), server)
        self._pipes.add(pipe)
        try:
            await pipe.run()
        finally:
            self._pipes.discard(pipe)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pipe:
    """One connection of a client and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self._proxy = proxy
        self._sources: dict[Side, asyncio.StreamReader] = {"up": client[0], "down": server[0]}
        self._sinks: dict[Side, asyncio.StreamWriter] = {"up": server[1], "down": client[1]}
        self.dead: set[Side] = set()
        self._request = b""
        self._cut: Cut | None = None
        self._pumps: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until both directions have ended."""
        self._pumps = [asyncio.create_task(self._pump(side)) for side in ("up", "down")]
        await asyncio.wait(self._pumps)
        self.end()

    def end(self, *, reset: bool = False) -> None:
        for pump in self._pumps:
            pump.cancel()
        for writer in self._sinks.values():
            _close(writer, reset=reset)

    async def _pump(self, side: Side) -> None:
        with contextlib.suppress(OSError):  # the ends of connections are this module's business
            while data := await self._sources[side].read(PIECE):
                await self._pass(side, data)
        if side not in self.dead:
            self.end()

    async def _pass(self, side: Side, data: bytes) -> None:
        if self._cut is not None or self._meets_cut(side, data):
            await self._go_towards_cut(side, data)
            return
        way = self._proxy.ways[side]
        if way.hole:
            self.dead.add(side)
        if side in self.dead:
            self._proxy.dropped += len(data)
        elif self._proxy.chance.random() < way.reset_share:
            self._proxy.resets += 1
            self.end(reset=True)
        else:
            await self._forward(side, data, way)

    async def _forward(self, side: Side, data: bytes, way: Way = OPEN) -> None:
        if way.delay_s:
            await asyncio.sleep(self._proxy.chance.uniform(0, way.delay_s))
        for start in range(0, len(data), way.piece):
            self._sinks[side].write(data[start : start + way.piece])
            await self._sinks[side].drain()
            if way.piece < PIECE:
                await asyncio.sleep(0)  # so that the piece leaves by itself

    # --- cuts ---

    def _meets_cut(self, side: Side, data: bytes) -> bool:
        self._cut = self._proxy.taken(data) if side == "up" else None
        return self._cut is not None

    async def _go_towards_cut(self, side: Side, data: bytes) -> None:
        """Gather the whole request and, where the cut lies behind it, the whole reply; then let pass what should, and end."""
        cut = self._cut
        assert cut is not None
        if side == "up":
            self._request += data
            if is_whole(self._request):
                await self._cut_request(cut)
            return
        cut.reply += data
        if is_whole(cut.reply):
            if cut.when == "in reply":
                await self._forward("down", cut.reply[: _part(cut.reply, cut.share)])
            self._finish(cut)

    async def _cut_request(self, cut: Cut) -> None:
        request = self._request
        whole = cut.when != "in request"
        await self._forward("up", request if whole else request[: _part(request, cut.share)])
        if cut.when in ("in request", "after request"):
            self._finish(cut)

    def _finish(self, cut: Cut) -> None:
        cut.done.set()
        self.end(reset=cut.reset)


def is_whole(data: bytes) -> bool:
    """Whether this ends a line, or an HTTP message with its body."""
    if b"HTTP/1.1" not in data.partition(b"\n")[0]:
        return data.endswith(b"\n")
    head, _, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return b"\r\n\r\n" in data and len(body) >= (int(length[1]) if length else 0)


def _part(data: bytes, share: float) -> int:
    """Some bytes of it, but never all."""
    return min(len(data) - 1, max(1, round(len(data) * share)))


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    sock = writer.get_extra_info("socket")
    if reset and sock is not None and not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    else:
        writer.close()
