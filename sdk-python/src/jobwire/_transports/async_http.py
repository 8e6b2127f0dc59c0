"""
HTTP on an event loop: a pool of keep-alive connections, each used by one call at a time.

Rule 1: a connection carries one request at a time, so an answer cannot reach another caller; one on which a call
        timed out, failed or was cancelled is closed, never used again.
Rule 2: a connection that the server closed while it lay idle has left the pool before it can be used.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from jobwire import _errors as errors
from jobwire._http11 import Response, ResponseReader
from jobwire._transports.base import (
    NoticeCallback,
    client_closed,
    connecting,
    connection_failed,
    connection_lost,
    timed_out,
)
from jobwire._transports.http_exchange import encode, reply_of
from jobwire._transports.sockets import set_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire._endpoint import Endpoint
    from jobwire._operations import Reply, Request

MAX_CONNECTIONS: Final = 100
MAX_IDLE_SECONDS: Final = 50.0  # below the keep-alive time of common servers and proxies


class _Connection(asyncio.Protocol):
    """A connection and the one call that it serves at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._answer: asyncio.Future[Response] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.usable = True
        self.idle_since = 0.0
        self.waits = False  # whether it carries a request that the server holds back by design
        self.interrupted = False

    async def exchange(self, data: bytes, timeout: float) -> Response:
        """Send *data* and read the response, within *timeout* seconds."""
        assert self._transport is not None
        if not self.usable:  # its end came before its first request, and nothing more will
            raise connection_failed(self._endpoint, "it was closed at once")
        self._reader, self._answer = ResponseReader(), self._loop.create_future()
        timer = self._loop.call_later(timeout, self._fail, timed_out(timeout, self._endpoint))
        keep = False
        try:
            self._transport.write(data)
            response = await self._answer
            keep = response.keep_alive
            return response
        finally:
            timer.cancel()
            self._reader = self._answer = None
            if not keep:
                self.close()

    def is_stale(self) -> bool:
        return not self.usable or self._loop.time() - self.idle_since > MAX_IDLE_SECONDS

    def interrupt(self) -> None:
        self.interrupted = True
        self._fail(connection_lost(self._endpoint, "interrupted"))

    def close(self, error: errors.JobwireError | None = None) -> None:
        """Close it at once; a call that it serves fails with *error*."""
        self.usable = False
        self._fail(error or connection_lost(self._endpoint))
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: errors.JobwireError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        set_options(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._answer is None or self._answer.done():
            self.close()  # nobody asked for this
            return
        try:
            response = self._reader.feed(data)
        except errors.ProtocolError as error:
            self._fail(error)
            return
        if response is not None:
            self._answer.set_result(response)

    def eof_received(self) -> bool:
        self.usable = False
        response = None if self._reader is None else self._reader.feed_eof()
        if response is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(response)
        return False  # and the connection is closed

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        strerror = exc.strerror if isinstance(exc, OSError) else None
        self._fail(
            connection_lost(self._endpoint, strerror or "it ended before the answer was complete")
        )
        if not self.closed.done():
            self.closed.set_result(None)


class AsyncHttpTransport:
    """
    Carries requests over HTTP/1.1, from any number of tasks of one event loop.

    *silence* is how long the server may say nothing while a request is unanswered. There is no asking beside a request,
    so it bounds the whole of one (JW-SDK-13); who sets it must not have requests wait for longer.
    """

    def __init__(self, endpoint: Endpoint, silence: float | None = None) -> None:
        self._endpoint = endpoint
        self._silence = math.inf if silence is None else silence
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()  # all that are not closed yet, idle or busy
        self._closed = False

    @property
    def polls(self) -> bool:
        return False

    async def send(self, request: Request[Any], timeout: float) -> Reply:
        data = encode(self._endpoint, request)
        timeout = min(timeout, self._silence)
        deadline = asyncio.get_running_loop().time() + timeout
        await self._acquire(timeout)
        try:
            connection = await self._take(deadline)
            connection.waits = request.wait > 0
            try:
                return reply_of(await self._exchange(connection, data, deadline))
            except errors.JobwireError:
                if not connection.interrupted or self._closed:
                    raise
        finally:
            self._free.release()
        return await self.send(request.without_wait(), timeout)

    async def _acquire(self, timeout: float) -> None:
        """Wait for one of the connections to be free."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            await asyncio.wait_for(self._free.acquire(), timeout)
        except asyncio.TimeoutError:
            raise connection_failed(
                self._endpoint, f"all {MAX_CONNECTIONS} connections are in use"
            ) from None

    async def _exchange(self, connection: _Connection, data: bytes, deadline: float) -> Response:
        loop = asyncio.get_running_loop()
        response = await connection.exchange(data, max(deadline - loop.time(), 0.0))
        if connection.usable and not self._closed:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        return response

    async def _take(self, deadline: float) -> _Connection:
        """The connection that was used last, so that surplus ones grow old; or a new one."""
        if self._closed:
            raise client_closed()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_stale():
                return connection
            connection.close()
        return await self._connect(deadline)

    async def _connect(self, deadline: float) -> _Connection:
        left = max(deadline - asyncio.get_running_loop().time(), 0.0)
        connection = _Connection(self._endpoint)
        try:
            with connecting(self._endpoint):
                await asyncio.wait_for(
                    self._create(connection), min(left, self._endpoint.connect_timeout)
                )
        except asyncio.TimeoutError:
            connection.close()
            raise connection_failed(self._endpoint, "timed out") from None
        except BaseException:
            connection.close()
            raise
        if self._closed:
            connection.close()
            raise client_closed()
        return connection

    async def _create(self, connection: _Connection) -> None:
        endpoint = self._endpoint
        await asyncio.get_running_loop().create_connection(
            lambda: connection, endpoint.host, endpoint.port, ssl=endpoint.tls
        )
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._open.discard(connection))

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        """There are no notices over HTTP."""
        return lambda: None

    def close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def interrupt(self) -> None:
        """Cut the connections that wait; their requests are sent again, with the same ids and without a wait."""
        for connection in self._open:
            if connection.waits and connection not in self._idle:
                connection.interrupt()

    async def aclose(self) -> None:
        self._closed = True
        self._idle.clear()
        connections = list(self._open)
        for connection in connections:
            connection.close(client_closed())
        if connections:
            await asyncio.wait([connection.closed for connection in connections])
