"""A network of two ends and no sockets: bytes arrive in order, after a while, whole or in pieces, or never.

The server's end is what asyncio hands to a Protocol, so that the server's own tcp_api Connection runs over it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from tests.proof.sim.loop import SimLoop

LATENCY_S = (0.0002, 0.004)
CUT_SHARE = 0.03  # of what is sent arrives in two pieces


class Pipe:
    """One direction. Each send arrives after those before it, some time later."""

    def __init__(self, loop: SimLoop, chance: Random, deliver: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._chance = chance
        self._deliver = deliver
        self._sent: deque[bytes] = deque()
        self._last = 0.0
        self.is_cut = False

    def send(self, data: bytes) -> None:
        if len(data) > 1 and self._chance.random() < CUT_SHARE:
            cut = self._chance.randrange(1, len(data))
            self._send(data[:cut])
            data = data[cut:]
        self._send(data)

    def _send(self, data: bytes) -> None:
        self._last = max(self._last, self._loop.time() + self._chance.uniform(*LATENCY_S))
        self._sent.append(data)
        self._loop.call_at(self._last, self._arrive)

    def _arrive(self) -> None:
        if self._sent:
            data = self._sent.popleft()
            if not self.is_cut:
                self._deliver(data)


class ServerEnd(asyncio.Transport):
    """What the server writes to; `hang_up` ends both directions."""

    def __init__(self, pipe: Pipe, hang_up: Callable[[], None]) -> None:
        super().__init__()
        self._pipe = pipe
        self._hang_up = hang_up

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._pipe.send(bytes(data))

    def close(self) -> None:
        self._hang_up()

    def abort(self) -> None:
        self._hang_up()

    def can_write_eof(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever kept back."""

    def pause_reading(self) -> None:
        """What was sent arrives all the same; the session keeps it."""

    def resume_reading(self) -> None:
        """It never stopped."""


class BrokenLinkError(ConnectionError):
    """The connection ended, or was never made: whether the call had its effect is not known."""


class Link:
    """The client's end of one connection: calls by rid, many at a time."""

    def __init__(self, loop: SimLoop, chance: Random) -> None:
        self._loop = loop
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._rid = 0
        self._buffer = b""
        self._protocol: asyncio.Protocol | None = None
        self._to_server = Pipe(loop, chance, self._to_protocol)
        self._to_client = Pipe(loop, chance, self._read)
        self.notices: list[dict[str, Any]] = []
        self.is_open = True

    def connect(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(ServerEnd(self._to_client, self._server_closes))

    # --- the client ---

    def send(self, cmd: str, **fields: Any) -> asyncio.Future[dict[str, Any]]:
        """The answer to come; it fails with BrokenLinkError when the connection ends first. Its rid is `rid`, just after."""
        future = self._loop.create_future()
        if not self.is_open:
            future.set_exception(BrokenLinkError())
            future.exception()
            return future
        self._rid += 1
        self._calls[self._rid] = future
        self._to_server.send(json.dumps({"cmd": cmd, "rid": self._rid, **fields}).encode() + b"\n")
        return future

    @property
    def rid(self) -> int:
        return self._rid

    def cut(self) -> None:
        """The connection breaks for both, and what is under way is lost."""
        if self.is_open:
            self._end()
            if self._protocol is not None:
                self._loop.call_soon(self._protocol.connection_lost, None)

    def lose_server(self) -> None:
        """The server's process is gone; it is told nothing."""
        if self.is_open:
            self._end()

    def _end(self) -> None:
        self.is_open = False
        self._to_server.is_cut = self._to_client.is_cut = True
        for future in self._calls.values():
            if not future.done():
                future.set_exception(BrokenLinkError())
                future.exception()  # a caller that gave up will not ask
        self._calls.clear()

    def _read(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "notice" in answer:
                self.notices.append(answer)
            else:
                self._answered(answer)

    def _answered(self, answer: dict[str, Any]) -> None:
        future = self._calls.pop(answer["rid"], None)
        if future is None:
            raise AssertionError(f"a second answer, or one to no call: {answer}")
        if not future.done():
            future.set_result(answer)

    # --- the server ---

    def _to_protocol(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)

    def _server_closes(self) -> None:
        """After what it has written; the order of the pipe keeps that in front."""
        self._loop.call_later(LATENCY_S[1], self.cut)
