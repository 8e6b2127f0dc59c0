"""
TCP from threads: one connection that all threads share, and one thread that reads it.

    caller ── submit ──▶ socket ──▶ server
      ▲                                │
      └── call.finish ◀── reader thread ◀── socket

Rule 1: which answer belongs to which call is decided by the Session alone, under the connection's lock.
Rule 2: the socket never blocks; the lock is held for short, and a slow peer cannot stop callers from timing out.
Rule 3: a connection is not mended. It is given up, and the next call makes a new one, of which all callers that
        arrive meanwhile wait for the same.
Rule 4: with a *silence*, a peer that is not heard for so long while a call is in flight is taken for gone; the reader
        thread asks it first. A while after the last call it sleeps without an end, and the next call wakes it.
"""

from __future__ import annotations

import copy
import logging
import selectors
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from jobwire import _errors as errors
from jobwire import _tcp as tcp
from jobwire._operations import Reply, Request
from jobwire._transports.base import (
    NoticeCallback,
    Notices,
    before_ready,
    client_closed,
    connection_failed,
    connection_lost,
    not_processed,
    timed_out,
)
from jobwire._transports.sockets import SILENCE, open_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobwire._endpoint import Endpoint

logger = logging.getLogger("jobwire")

_READ: Final = 256 * 1024  # bytes a read
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Call:
    """One caller and what it waits for. `finish` is called once, with an answer or an error."""

    __slots__ = ("_done", "body", "error", "rid", "sent_at", "waits")

    def __init__(self, rid: int, *, waits: bool) -> None:
        self.rid = rid
        self.waits = waits
        self.sent_at = time.monotonic()
        self.body: Mapping[str, Any] | None = None
        self.error: errors.JobwireError | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def finish(
        self, body: Mapping[str, Any] | None, error: errors.JobwireError | None = None
    ) -> None:
        self.body, self.error = body, error
        self._done.release()

    def wait(self, timeout: float) -> bool:
        return self._done.acquire(timeout=max(timeout, 0.0))

    def reply(self) -> Reply:
        if self.error is not None:
            raise copy.copy(self.error)  # several calls may share it, and raising writes to it
        assert self.body is not None
        return Reply(self.body)


class _Draining(Exception):  # noqa: N818 - a signal to the transport, never seen outside
    """The connection takes no more requests."""


class _Link:
    """A connection, from its handshake to its end."""

    def __init__(
        self, sock: socket.socket, endpoint: Endpoint, notices: Notices, silence: float | None
    ) -> None:
        self._sock = sock
        self._endpoint = endpoint
        self._notices = notices
        self._wake_in, self._wake_out = socket.socketpair()
        self._ready = _Call(0, waits=False)
        self._thread = threading.Thread(target=self._run, name="jobwire-tcp", daemon=True)

        self._lock = (
            threading.Lock()
        )  # guards what follows, and all reading and writing of the socket
        self._session = tcp.Session(client_name=endpoint.client_name, token=endpoint.token)
        self._calls: dict[int, _Call] = {}
        self._unsent = bytearray()
        self._heard_at = 0.0
        self._silence = None if silence is None else tcp.Silence(silence)
        self._dozes = True  # the reader thread sleeps without an end
        self._shaken = False
        self._error: errors.JobwireError | None = None

    @property
    def version(self) -> int:
        return self._session.version

    @property
    def usable(self) -> bool:
        return self._error is None and not self._session.draining

    def shake_hands(self, timeout: float) -> None:
        """Start reading, and wait until the handshake is over."""
        self._sock.setblocking(False)
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread.start()
        with self._lock:
            self._write(self._session.hello())
        if not self._ready.wait(timeout):
            error = connection_failed(self._endpoint, "no answer to hello in time")
            self.end(error)
            raise error
        if self._ready.error is not None:
            raise before_ready(self._endpoint, self._ready.error)

    def submit(self, cmd: str, payload: bytes, *, waits: bool) -> _Call:
        """Send a request. Raises _Draining, or the connection's error."""
        with self._lock:
            if self._error is not None or self._session.draining:
                raise _Draining
            rid, line = self._session.send(cmd, payload)
            call = self._calls[rid] = _Call(rid, waits=waits)
            if self._silence is not None and len(self._calls) == 1:
                self._silence.begin(call.sent_at)
                if self._dozes:
                    self._wake()
            self._write(line)
            return call

    def wait(self, call: _Call, timeout: float) -> Reply:
        """The answer to *call*; a caller that leaves without it is forgotten, its answer is not given to another."""
        try:
            answered = call.wait(timeout)
        except BaseException:  # KeyboardInterrupt: the caller leaves
            self._leave(call)
            raise
        if answered or not self._leave(call):
            return call.reply()
        raise timed_out(timeout, self._endpoint)

    def _leave(self, call: _Call) -> bool:
        """
        Forget *call*; False when its answer came at the last moment.

        A peer of which nothing was heard since the call was sent, or lately, is taken for gone, and the connection with
        it: it may be half open.
        """
        with self._lock:
            if self._calls.pop(call.rid, None) is None:
                return False
            trusted_since = max(call.sent_at, time.monotonic() - SILENCE)
            poisoned = self._session.abandon(call.rid) or self._heard_at <= trusted_since
        if poisoned:
            self.end(connection_lost(self._endpoint, "the server stopped answering"))
        return True

    def interrupt(self) -> None:
        with self._lock:
            if self._error is None:
                for call in self._calls.values():
                    if call.waits:
                        self._write(self._session.abort(call.rid))

    def end(self, error: errors.JobwireError, *, if_idle: bool = False) -> None:
        """
        Give the connection up; all calls fail with *error*. The reader thread closes the socket.

        With *if_idle* only when there are none.
        """
        with self._lock:
            if self._error is not None or (if_idle and self._calls):
                return
            self._error = error
            calls, self._calls = list(self._calls.values()), {}
            shaken, self._shaken = self._shaken, True
        for call in calls:
            call.finish(None, error)
        if not shaken:
            self._ready.finish(None, error)
        self._wake()

    def join(self) -> None:
        """Wait until the reader thread has closed the socket."""
        if self._thread is not threading.current_thread():
            self._thread.join()

    # --- the socket; the lock is held -----------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self._unsent += data
        if len(self._unsent) == len(data):
            self._flush()
        if self._unsent:
            self._wake()  # the reader thread sends the rest when the peer takes it

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent)
                del self._unsent[:sent]
        except _NOT_NOW:
            return
        except OSError:
            # Reading finds out what happened, and maybe the server's last words.
            self._unsent.clear()

    def _wake(self) -> None:
        try:
            self._wake_in.send(b"\0")
        except OSError:
            return  # it is full, so the thread will wake; or closed, so the thread has ended

    # --- the reader thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._wake_out, selectors.EVENT_READ)
                while self._error is None:
                    self._turn(selector)
        finally:
            self.end(
                connection_lost(self._endpoint)
            )  # for an error in here; nothing happens after an orderly end
            for sock in (self._sock, self._wake_in, self._wake_out):
                sock.close()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        patience = None if self._silence is None else self._watch(self._silence)
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        selector.modify(self._sock, mask)
        ready = {key.fileobj for key, _ in selector.select(patience)}
        if self._wake_out in ready:
            self._wake_out.recv(4096)
        if self._sock in ready:
            self._pump()

    def _watch(self, silence: tcp.Silence) -> float | None:
        """Ask a peer that is quiet, or give it up; how long this thread may sleep, None without an end. JW-SDK-13, -14."""
        with self._lock:
            now = time.monotonic()
            verdict, due = silence.look(now, can_ping=self._session.version == 2)
            self._dozes = verdict != "wait" and not self._calls
            if self._dozes:
                return None
            if verdict == "ping":
                self._write(self._session.ping())
        if verdict == "give up":
            why = f"nothing was heard for {silence.limit:.3g} s"
            self.end(connection_lost(self._endpoint, why))
        return max(due - now, 0.0)

    def _pump(self) -> None:
        notices: list[tcp.Noticed] = []
        with self._lock:
            if self._error is not None:  # another thread gave it up while this one woke
                return
            self._flush()
            error = self._read(notices)
            if error is None and self._session.draining and not self._session.in_flight:
                error = connection_lost(self._endpoint, "the server said goodbye")
        for notice in notices:
            self._tell(notice)
        if error is not None:
            self.end(error)

    def _tell(self, notice: tcp.Noticed) -> None:
        try:
            self._notices.tell(notice.name, notice.fields)
        except Exception:
            logger.exception("a callback for notices failed", extra={"notice": notice.name})

    def _read(self, notices: list[tcp.Noticed]) -> errors.JobwireError | None:
        """Read until nothing is left; what ended the connection, if anything did."""
        while True:
            try:
                data = self._sock.recv(_READ)
            except _NOT_NOW:
                return None
            except OSError as exc:
                return connection_lost(self._endpoint, exc.strerror or type(exc).__name__)
            if not data:
                return connection_lost(self._endpoint, "the server closed it")
            self._heard_at = time.monotonic()
            if self._silence is not None:
                self._silence.begin(self._heard_at)
            for event in self._session.feed(data):
                if isinstance(event, tcp.Broken):
                    return event.error
                self._handle(event, notices)
            self._write_handshake()

    def _write_handshake(self) -> None:
        data = self._session.outgoing()
        if data:
            self._write(data)

    def _handle(self, event: tcp.Event, notices: list[tcp.Noticed]) -> None:
        match event:
            case tcp.Answered(rid, body):
                self._calls.pop(rid).finish(body)
            case tcp.Unprocessed(rid):
                self._calls.pop(rid).finish(None, not_processed())
            case tcp.Ready():
                self._shaken = True
                self._ready.finish({})
            case tcp.Noticed():
                notices.append(event)


class _Attempt:
    """A connection in the making, for which any number of callers wait."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.link: _Link | None = None
        self.error: errors.JobwireError | None = None


class TcpTransport:
    """
    Carries requests over one TCP connection at a time, from any number of threads.

    *silence* is how long the server may say nothing while a request is unanswered; None bounds only the calls.
    """

    def __init__(self, endpoint: Endpoint, silence: float | None = None) -> None:
        self._endpoint = endpoint
        self._silence = silence
        self._notices = Notices()

        self._lock = threading.Lock()  # guards what follows
        self._attempt: _Attempt | None = None
        self._current: _Link | None = None
        self._links: set[_Link] = set()  # the current one, and those that finish what is in flight
        self._closed = False

    @property
    def polls(self) -> bool:
        link = self._current
        return link is not None and link.version == 1

    def send(self, request: Request[Any], timeout: float) -> Reply:
        payload = request.tcp_payload()
        deadline = time.monotonic() + timeout
        while True:
            link = self._usable_link(deadline)
            try:
                call = link.submit(request.cmd, payload, waits=request.wait > 0)
            except _Draining:
                continue  # it ended in this very moment; nothing was sent
            return link.wait(call, deadline - time.monotonic())

    def _usable_link(self, deadline: float) -> _Link:
        with self._lock:
            if self._closed:
                raise client_closed()
            if self._current is not None and self._current.usable:
                return self._current
            attempt, mine = self._attempt or _Attempt(), self._attempt is None
            self._attempt = attempt
        if mine:
            self._make(attempt, deadline)
        elif not attempt.done.wait(max(deadline - time.monotonic(), 0.0)):
            raise connection_failed(self._endpoint, "timed out")
        if attempt.link is None:
            raise copy.copy(attempt.error or connection_failed(self._endpoint, "interrupted"))
        return attempt.link

    def _make(self, attempt: _Attempt, deadline: float) -> None:
        """Fill *attempt*, whatever happens."""
        link: _Link | None = None
        try:
            link = self._connect(deadline)
        except errors.JobwireError as error:
            attempt.error = error
        finally:
            with self._lock:
                self._attempt = None
                self._links = {one for one in self._links if one._error is None}
                if link is not None:
                    attempt.link = self._current = link
                    self._links.add(link)
                closed = self._closed
            attempt.done.set()
        if closed and link is not None:
            link.end(client_closed())
            link.join()

    def _connect(self, deadline: float) -> _Link:
        end = min(deadline, time.monotonic() + self._endpoint.connect_timeout)
        sock = open_socket(self._endpoint, end - time.monotonic())
        link = _Link(sock, self._endpoint, self._notices, self._silence)
        try:
            link.shake_hands(end - time.monotonic())
        except BaseException:
            link.end(client_closed())
            link.join()
            raise
        return link

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        return self._notices.subscribe(callback)

    def interrupt(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.interrupt()

    def close_idle(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end(
                connection_lost(self._endpoint, "it was idle, and another one dead"), if_idle=True
            )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            links, self._links = list(self._links), set()
            self._current = None
        for link in links:
            link.end(client_closed())
        for link in links:
            link.join()
