"""
HTTP from threads: a pool of keep-alive connections, each used by one call at a time.

Rule 1: a connection carries one request at a time, so an answer cannot reach another caller; one on which a call
        timed out or failed is closed, never used again.
Rule 2: a connection that the server closed while it lay idle is noticed before it is used.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from jobwire import _errors as errors
from jobwire._http11 import Response, ResponseReader
from jobwire._transports.base import (
    NoticeCallback,
    client_closed,
    connection_failed,
    connection_lost,
    timed_out,
)
from jobwire._transports.http_exchange import encode, reply_of
from jobwire._transports.sockets import is_readable, open_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire._endpoint import Endpoint
    from jobwire._operations import Reply, Request

MAX_CONNECTIONS: Final = 100
MAX_IDLE_SECONDS: Final = 50.0  # below the keep-alive time of common servers and proxies
_READ: Final = 256 * 1024  # bytes a read


class _Connection:
    """A socket and what is known of it."""

    def __init__(self, sock: socket.socket, endpoint: Endpoint) -> None:
        self._sock = sock
        self._endpoint = endpoint
        self.idle_since = 0.0
        self.waits = False  # whether it carries a request that the server holds back by design
        self.interrupted = False

    def exchange(self, data: bytes, timeout: float) -> Response:
        """Send *data* and read the response, within *timeout* seconds."""
        deadline = time.monotonic() + timeout
        reader = ResponseReader()
        try:
            self._send(data, deadline, timeout)
            return self._receive(reader, deadline, timeout)
        except TimeoutError as exc:
            raise timed_out(timeout, self._endpoint) from exc
        except OSError as exc:
            raise connection_lost(self._endpoint, exc.strerror or type(exc).__name__) from exc

    def _send(self, data: bytes, deadline: float, timeout: float) -> None:
        self._sock.settimeout(_left(deadline))
        try:
            self._sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse a request before it has read all of it; its answer is then there to be read.
            if not is_readable(self._sock):
                raise

    def _receive(self, reader: ResponseReader, deadline: float, timeout: float) -> Response:
        while True:
            self._sock.settimeout(_left(deadline))
            data = self._sock.recv(_READ)
            response = reader.feed(data) if data else reader.feed_eof()
            if response is not None:
                return response
            if not data:
                raise connection_lost(self._endpoint, "it ended before the answer was complete")

    def is_stale(self, now: float) -> bool:
        """Whether it lay idle for too long, or the server has closed it or said something unasked."""
        return now - self.idle_since > MAX_IDLE_SECONDS or is_readable(self._sock)

    def shut_down(self) -> None:
        """Wake the thread that reads from it."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already, which is what was wanted

    def close(self) -> None:
        self._sock.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class HttpTransport:
    """
    Carries requests over HTTP/1.1, from any number of threads.

    *silence* is how long the server may say nothing while a request is unanswered. There is no asking beside a request,
    so it bounds the whole of one (JW-SDK-13); who sets it must not have requests wait for longer.
    """

    def __init__(self, endpoint: Endpoint, silence: float | None = None) -> None:
        self._endpoint = endpoint
        self._silence = math.inf if silence is None else silence
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)

        self._lock = threading.Lock()  # guards what follows
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._closed = False

    @property
    def polls(self) -> bool:
        return False

    def send(self, request: Request[Any], timeout: float) -> Reply:
        data = encode(self._endpoint, request)
        timeout = min(timeout, self._silence)
        deadline = time.monotonic() + timeout
        if not self._free.acquire(timeout=timeout):
            raise connection_failed(self._endpoint, f"all {MAX_CONNECTIONS} connections are in use")
        try:
            connection = self._take(deadline, waits=request.wait > 0)
            try:
                return reply_of(self._exchange(connection, data, deadline))
            except errors.JobwireError:
                if not connection.interrupted or self._closed:
                    raise
        finally:
            self._free.release()
        return self.send(request.without_wait(), timeout)

    def _exchange(self, connection: _Connection, data: bytes, deadline: float) -> Response:
        keep = False
        try:
            response = connection.exchange(data, max(deadline - time.monotonic(), 0.0))
            keep = response.keep_alive
            return response
        except errors.JobwireError:
            if self._closed:
                raise client_closed() from None
            raise
        finally:
            self._give_back(connection, keep=keep)

    def _take(self, deadline: float, *, waits: bool) -> _Connection:
        connection = self._take_idle() or self._connect(deadline)
        with self._lock:
            connection.waits = waits
            self._busy.add(connection)
            closed = self._closed
        if closed:
            self._give_back(connection, keep=False)
            raise client_closed()
        return connection

    def _take_idle(self) -> _Connection | None:
        """The connection that was used last, so that surplus ones grow old."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not connection.is_stale(time.monotonic()):
                return connection
            connection.close()

    def _connect(self, deadline: float) -> _Connection:
        if self._closed:
            raise client_closed()
        left = deadline - time.monotonic()
        sock = open_socket(self._endpoint, min(self._endpoint.connect_timeout, left))
        return _Connection(sock, self._endpoint)

    def _give_back(self, connection: _Connection, *, keep: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            connection.idle_since = time.monotonic()
            if keep and not self._closed and not connection.interrupted:
                self._idle.append(connection)
                return
        connection.close()

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        """There are no notices over HTTP."""
        return lambda: None

    def interrupt(self) -> None:
        """Cut the connections that wait; their requests are sent again, with the same ids and without a wait."""
        with self._lock:
            for connection in self._busy:
                if connection.waits:
                    connection.interrupted = True
                    connection.shut_down()

    def close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in self._busy:
                connection.shut_down()  # its own thread closes it
        for connection in idle:
            connection.close()
