"""
The sockets of the HTTP door: what aiohttp's protocol leaves open.

Goals: a client that sends slowly, sends rubbish, or does not read must cost little and end soon, and must get our
errors in JSON where it gets anything.

Plan: aiohttp parses, frames and writes. Connection adds three deadlines, and Listener looks at all connections once
in a while, which is cheaper than a timer a request:
- header: from the connection's start, or the first byte of a later request, until the end of the headers;
- idle: aiohttp's own keep-alive timeout, between two requests;
- stalled: while the client takes nothing of an answer that waits for it.
A body's deadline is bodies.py's.

Warning: the parser reports a broken body as a message of its own, behind the request that still waits for the rest of
that body; `data_received` passes the news on, else the request would wait for its deadline.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import _ErrInfo

from jobwire_server.errors import JobwireError

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from structlog.typing import FilteringBoundLogger

    from jobwire_server.http_api.middleware import App
    from jobwire_server.metrics import Metrics

HEADER_BYTES: Final = (
    8190  # one line or field, as in nginx and Apache; there may be HEADERS of them
)
HEADERS: Final = 64
KEEP_ALIVE_S: Final = 75.0  # longer than the 60 s that proxies and load balancers keep theirs
LINGER_S: Final = (
    2.0  # reading what a refused client still sends, so that it gets to read the refusal
)
REFUSED_S: Final = 0.5
CLEAN_UP_S: Final = 5.0  # for a cancelled request to give back what it holds


class Connection(web.RequestHandler):
    """
    One connection. `header_by` is when its headers must be complete, None while none are awaited.

    idle -> (first byte) header -> (begin) busy -> (finish_response) idle; any -> closed.
    """

    __slots__ = ("_body", "_broken", "_heard", "_listener", "_socket", "_stalled", "header_by")

    def __init__(self, listener: Listener, **options: Any) -> None:
        super().__init__(listener, **options)
        self._listener = listener
        self._heard = False  # a byte of the awaited headers has come
        self._broken = False  # the parser could not read on
        self._body: StreamReader | None = None  # of the request that is being served
        self._socket: asyncio.Transport | None = None  # also while it closes
        self._stalled: tuple[float, int] | None = None  # when unsent output last moved; its size
        self.header_by: float | None = None

    # --- the life of a connection ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)
        if not self._listener.admit(self):
            self._turn_away(self._socket)
            return
        self.header_by = self._listener.header_deadline()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.leave(self)
        super().connection_lost(exc)

    def _turn_away(self, transport: asyncio.Transport) -> None:
        """Too many connections: say so, and close once the client has had time to read it."""
        self._force_close = True  # data_received() drops whatever comes
        transport.write(self._listener.overloaded())
        self._loop.call_later(REFUSED_S, transport.close)

    def data_received(self, data: bytes) -> None:
        if not self._heard and data and self._body is None:
            self._heard = True
            self.header_by = self.header_by or self._listener.header_deadline()
        if self._broken:
            return
        super().data_received(data)
        if (
            self._messages
        ):  # complete, though the request may begin a turn later: not too late any more
            self.header_by = None
        self._note_what_broke()
        if self._messages and self._body is not None and not self._body.is_eof():
            # Nothing can follow an unfinished body but the parser's complaint about it.
            self._body.set_exception(web.RequestPayloadError("broken framing"))

    def _note_what_broke(self) -> None:
        """
        Nothing behind bytes that cannot be read counts, so it is not looked at. The parser's error, whose traceback holds those bytes in a cycle,
        lets go of them: else each piece of an endless header would stay in memory until the garbage is collected.
        """
        told = self._messages[-1][0] if self._messages else None
        if isinstance(told, _ErrInfo):
            self._broken = True
            told.exc.__traceback__ = None

    def begin(self, request: web.BaseRequest) -> None:
        """The headers are complete; the request is being served."""
        self._body = request.content
        self._heard = False
        self.header_by = None
        self._listener.work(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._body = None
            self._listener.rest(self)

    # --- what is refused -------------------------------------------------------------------------------------------

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser could not read: BAD_REQUEST, and the end of the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun; the only thing left is to close")
        return self._listener.unreadable(status, exc, request.remote)

    def sweep(self, now: float) -> None:
        """End the connection when one of its deadlines has passed."""
        if self.header_by is not None and now >= self.header_by:
            self._end_slow_header()
        else:
            self._end_when_stalled(now)

    def _end_slow_header(self) -> None:
        self.header_by = None  # from here on only a client that does not read can keep it
        if self._heard and self.transport is not None:
            self.transport.write(self._listener.header_timeout())
        self.force_close()

    def _end_when_stalled(self, now: float) -> None:
        size = self._socket.get_write_buffer_size() if self._socket else 0
        if self._socket is None or size == 0:
            self._stalled = None
        elif self._stalled is None or self._stalled[1] != size:
            self._stalled = (now, size)
        elif now - self._stalled[0] >= self._listener.read_timeout_s:
            self._socket.abort()


class Listener(web.Server):
    """Makes the connections, counts them and watches their deadlines."""

    def __init__(
        self,
        app: App,
        *,
        max_connections: int,
        read_timeout_ms: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        super().__init__(self._serve, handler_cancellation=True)
        self._app = app
        self._max_connections = max_connections
        self._metrics = metrics
        self._log = log
        self._live: set[Connection] = set()
        self._somebody = asyncio.Event()  # is connected
        self._rested = asyncio.Event()
        self._busy: dict[Connection, asyncio.Task[Any] | None] = {}
        self.draining = False
        self.read_timeout_s = read_timeout_ms / 1000
        self._read_timeout_ms = read_timeout_ms

    def __call__(self) -> Connection:
        return Connection(
            self,
            loop=self._loop,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=min(LINGER_S, self.read_timeout_s),
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        cast("Connection", request.protocol).begin(request)
        answer = await self._app(request)
        if self.draining:
            answer.force_close()
        return answer

    # --- what connections tell -------------------------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        if len(self._live) >= self._max_connections:
            return False
        self._live.add(connection)
        self._somebody.set()
        self._metrics.http_connections(len(self._live))
        return True

    def leave(self, connection: Connection) -> None:
        self._live.discard(connection)
        if not self._live:
            self._somebody.clear()
        self._metrics.http_connections(len(self._live))
        self.rest(connection)

    def work(self, connection: Connection) -> None:
        """The connection serves a request, in the current task."""
        self._busy[connection] = asyncio.current_task()

    def rest(self, connection: Connection) -> None:
        """The connection serves no request any more."""
        self._busy.pop(connection, None)
        if not self._busy:
            self._rested.set()

    def header_deadline(self) -> float:
        return self._loop.time() + self.read_timeout_s

    def overloaded(self) -> bytes:
        """What a connection too many is told."""
        return self._app.refuse_raw(_too_many(self._max_connections))

    def header_timeout(self) -> bytes:
        """What a client is told whose headers do not come."""
        return self._app.refuse_raw(_slow_header(self._read_timeout_ms))

    def unreadable(
        self, status: int, exc: BaseException | None, peer: str | None
    ) -> web.StreamResponse:
        if status == 400:
            self._log.info("http.unreadable", reason=type(exc).__name__, peer=peer)
            return self._app.refuse(_unreadable(exc))
        self._log.error("http.failed", exc_info=exc)
        return self._app.refuse(JobwireError("INTERNAL_ERROR", "Internal error"))

    # --- what the door asks ----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """
        Look at every connection's deadlines, for ever; four times in a deadline, and at least once a second. Rests while nobody is
        connected.
        """
        while True:
            await self._somebody.wait()
            await asyncio.sleep(min(1.0, self.read_timeout_s / 4))
            now = self._loop.time()
            for connection in tuple(self._live):
                self._sweep(connection, now)

    def _sweep(self, connection: Connection, now: float) -> None:
        try:
            connection.sweep(now)
        except Exception as error:  # noqa: BLE001 - a bug in one connection must not end the deadlines of all
            self._log.error("http.bug", doing="deadlines", exc_info=error)
            connection.force_close()

    @property
    def in_flight(self) -> int:
        """Requests that are being served."""
        return len(self._busy)

    async def drained(self) -> None:
        """Returns when no request is being served."""
        while self._busy:
            self._rested.clear()
            await self._rested.wait()

    async def close(self) -> None:
        """
        Cancel the requests that are being served, wait until they have cleaned up and what they changed is done, and end every
        connection.
        """
        self.pre_shutdown()
        tasks = [task for task in self._busy.values() if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLEAN_UP_S)
        await self._app.rest(CLEAN_UP_S)
        await self.shutdown(CLEAN_UP_S)


def _too_many(limit: int) -> JobwireError:
    return JobwireError(
        "OVERLOADED",
        "The server has as many connections as it takes; try again later",
        {"limit": limit},
        retry_after_ms=1000,
    )


def _slow_header(limit_ms: int) -> JobwireError:
    message = f"The headers did not arrive within {limit_ms} ms"
    return JobwireError("REQUEST_TIMEOUT", message, {"limit": limit_ms})


def _unreadable(exc: BaseException | None) -> JobwireError:
    """The parser's own message would repeat the client's bytes."""
    if isinstance(exc, LineTooLong):
        return JobwireError(
            "BAD_REQUEST", f"The request line or a header is over {HEADER_BYTES} bytes"
        )
    if "Too many headers" in str(exc):
        return JobwireError("BAD_REQUEST", f"The request has over {HEADERS} headers")
    return JobwireError("BAD_REQUEST", "The bytes are not an HTTP/1.1 request")
