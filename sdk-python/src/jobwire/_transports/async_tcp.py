"""
TCP on an event loop: one connection that all tasks share.

Rule 1: which answer belongs to which call is decided by the Session alone. A call that timed out or whose task was
        cancelled leaves its rid behind, and the late answer is dropped; jobs in it are given back.
Rule 2: a connection is not mended. It is given up, and the next call makes a new one, of which all callers that
        arrive meanwhile wait for the same.
Rule 3: with a *silence*, a peer that is not heard for so long while a call is in flight is taken for gone, but asked
        first. After the last call its timer runs out, and while nothing is in flight none is set.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import TYPE_CHECKING, Any, Final

from jobwire import _errors as errors
from jobwire import _tcp as tcp
from jobwire._operations import Reply, Request
from jobwire._transports.base import (
    NoticeCallback,
    Notices,
    before_ready,
    client_closed,
    connecting,
    connection_failed,
    connection_lost,
    not_processed,
    timed_out,
)
from jobwire._transports.sockets import SILENCE, set_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobwire._endpoint import Endpoint

logger = logging.getLogger("jobwire")

# Seconds that an attempt to connect may take at least, whatever the time of the call that began it: others may share it.
_ATTEMPT_MIN: Final = 1.0


class _Call:
    """One caller and what it waits for. The future is touched by the event loop's thread only."""

    __slots__ = ("future", "rid", "sent_at", "waits")

    def __init__(self, loop: asyncio.AbstractEventLoop, rid: int, *, waits: bool) -> None:
        self.future: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self.rid = rid
        self.waits = waits
        self.sent_at = loop.time()

    def finish(self, body: Mapping[str, Any]) -> None:
        if not self.future.done():
            self.future.set_result(body)

    def fail(self, error: errors.JobwireError) -> None:
        if not self.future.done():
            self.future.set_exception(copy.copy(error))
            self.future.exception()  # its caller may have left; then nobody is to be warned


class _Draining(Exception):  # noqa: N818 - a signal to the transport, never seen outside
    """The connection takes no more requests."""


class _Link(asyncio.Protocol):
    """A connection, from its handshake to its end."""

    def __init__(self, endpoint: Endpoint, notices: Notices, silence: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._notices = notices
        self._session = tcp.Session(client_name=endpoint.client_name, token=endpoint.token)
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, _Call] = {}
        self._ready = _Call(self._loop, 0, waits=False)
        self._writable = asyncio.Event()
        self._writable.set()
        self._heard_at = 0.0
        self._silence = None if silence is None else tcp.Silence(silence)
        self._watching: asyncio.TimerHandle | None = None
        self.error: errors.JobwireError | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def version(self) -> int:
        return self._session.version

    @property
    def usable(self) -> bool:
        return self.error is None and not self._session.draining

    async def shake_hands(self) -> None:
        """Wait until the handshake is over."""
        try:
            await self._ready.future
        except errors.JobwireError as error:
            raise before_ready(self._endpoint, error) from None

    async def until_writable(self, timeout: float) -> None:
        """Wait for a slow peer, which is not sent more than it takes; one that takes nothing is given up."""
        if self._writable.is_set():
            return
        try:
            await asyncio.wait_for(self._writable.wait(), timeout)
        except asyncio.TimeoutError:
            self.end(connection_lost(self._endpoint, "the server stopped reading"))
            raise connection_failed(self._endpoint, "it takes no more requests") from None

    def submit(self, cmd: str, payload: bytes, *, waits: bool) -> _Call:
        """Send a request. Raises _Draining when it was not sent and must go elsewhere."""
        if not self.usable:
            raise _Draining
        rid, line = self._session.send(cmd, payload)
        call = self._calls[rid] = _Call(self._loop, rid, waits=waits)
        if self._silence is not None and len(self._calls) == 1:
            self._silence.begin(call.sent_at)
            if self._watching is None:
                self._watch(self._silence)
        self._write(line)
        return call

    async def wait(self, call: _Call) -> Reply:
        """The answer to *call*; a caller that leaves without it is forgotten, its answer is not given to another."""
        try:
            return Reply(await call.future)
        except asyncio.CancelledError:
            self._leave(call)
            raise

    def expire(self, call: _Call, timeout: float) -> None:
        """
        The time of *call* is up.

        A peer of which nothing was heard since the call was sent, or lately, is taken for gone, and the connection with
        it: it may be half open.
        """
        if self._calls.pop(call.rid, None) is None:
            return
        call.fail(timed_out(timeout, self._endpoint))
        trusted_since = max(call.sent_at, self._loop.time() - SILENCE)
        if self._session.abandon(call.rid) or self._heard_at <= trusted_since:
            self.end(connection_lost(self._endpoint, "the server stopped answering"))

    def _leave(self, call: _Call) -> None:
        """The task of *call* was cancelled; a pull that waits is called off, so that it takes no job with it."""
        if self._calls.pop(call.rid, None) is None:
            self._give_back(call)
        elif self._session.abandon(call.rid, cancelled=True):
            self.end(connection_lost(self._endpoint, "a call in flight was cancelled"))
        elif call.waits:
            self._write(self._session.abort(call.rid))

    def _give_back(self, call: _Call) -> None:
        """Its answer had come, in the very turn in which the task was cancelled."""
        future = call.future
        if self.error is None and not future.cancelled() and future.exception() is None:
            self._write(self._session.give_back(future.result()))

    def _watch(self, silence: tcp.Silence) -> None:
        """Ask a peer that is quiet, or give it up, and look again in time. JW-SDK-13, JW-SDK-14."""
        verdict, due = silence.look(self._loop.time(), can_ping=self._session.version == 2)
        self._watching = None
        if verdict != "wait" and not self._calls:
            return
        if verdict == "ping":
            self._write(self._session.ping())
        if verdict == "give up":
            why = f"nothing was heard for {silence.limit:.3g} s"
            self.end(connection_lost(self._endpoint, why))
        else:
            self._watching = self._loop.call_at(due, self._watch, silence)

    def interrupt(self) -> None:
        for call in self._calls.values():
            if call.waits:
                self._write(self._session.abort(call.rid))

    def end_if_idle(self) -> None:
        if self.version and not self._calls:
            self.end(connection_lost(self._endpoint, "it was idle, and another one dead"))

    def end(self, error: errors.JobwireError) -> None:
        """Give the connection up; all calls fail with *error*."""
        if self.error is not None:
            return
        self.error = error
        if self._watching is not None:
            self._watching.cancel()
        calls, self._calls = list(self._calls.values()), {}
        for call in (*calls, self._ready):
            call.fail(error)
        self._writable.set()
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and self.error is None:
            self._transport.write(data)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        set_options(transport.get_extra_info("socket"))
        self._write(self._session.hello())

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self._silence is not None:
            self._silence.begin(self._heard_at)
        for event in self._session.feed(data):
            self._handle(event)
        self._write(self._session.outgoing())
        if self._session.draining and not self._session.in_flight:
            self.end(connection_lost(self._endpoint, "the server said goodbye"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else "the server closed it"
        self.end(connection_lost(self._endpoint, why))
        if not self.closed.done():
            self.closed.set_result(None)

    def _handle(self, event: tcp.Event) -> None:
        match event:
            case _ if self.error is not None:
                return
            case tcp.Answered(rid, body):
                self._calls.pop(rid).finish(body)
            case tcp.Unprocessed(rid):
                self._calls.pop(rid).fail(not_processed())
            case tcp.Late(body):
                self._write(self._session.give_back(body))
            case tcp.Ready():
                self._ready.finish({})
            case tcp.Noticed(name, fields):
                self._tell(name, fields)
            case tcp.Broken(error):
                self.end(error)

    def _tell(self, name: str, fields: Mapping[str, Any]) -> None:
        try:
            self._notices.tell(name, fields)
        except Exception:
            logger.exception("a callback for notices failed", extra={"notice": name})


class AsyncTcpTransport:
    """
    Carries requests over one TCP connection at a time, from any number of tasks of one event loop.

    *silence* is how long the server may say nothing while a request is unanswered; None bounds only the calls.
    """

    def __init__(self, endpoint: Endpoint, silence: float | None = None) -> None:
        self._endpoint = endpoint
        self._silence = silence
        self._notices = Notices()
        self._attempt: asyncio.Task[_Link] | None = None
        self._current: _Link | None = None
        self._links: set[_Link] = set()  # all that are not closed yet
        self._closed = False

    @property
    def polls(self) -> bool:
        return self._current is not None and self._current.version == 1

    async def send(self, request: Request[Any], timeout: float) -> Reply:
        payload = request.tcp_payload()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            link = await self._usable_link(deadline)
            await link.until_writable(deadline - loop.time())
            try:
                call = link.submit(request.cmd, payload, waits=request.wait > 0)
            except _Draining:
                continue  # it ended in this very moment; nothing was sent
            timer = loop.call_at(deadline, link.expire, call, timeout)
            try:
                return await link.wait(call)
            finally:
                timer.cancel()

    async def _usable_link(self, deadline: float) -> _Link:
        if self._closed:
            raise client_closed()
        if self._current is not None and self._current.usable:
            return self._current
        left = deadline - asyncio.get_running_loop().time()
        if self._attempt is None:
            self._attempt = asyncio.create_task(
                self._connect(max(left, _ATTEMPT_MIN)), name="jobwire-connect"
            )
            self._attempt.add_done_callback(self._forget_attempt)
        attempt = self._attempt
        # The task is ours: a caller that is cancelled, or out of time, leaves it to the others.
        done, _ = await asyncio.wait([attempt], timeout=max(left, 0.0))
        if not done:
            raise connection_failed(self._endpoint, "timed out")
        if attempt.cancelled():
            raise client_closed()
        error = attempt.exception()
        if isinstance(error, errors.JobwireError):
            raise copy.copy(error)
        return attempt.result()

    def _forget_attempt(self, attempt: asyncio.Task[_Link]) -> None:
        self._attempt = None
        if not attempt.cancelled() and attempt.exception() is None:
            self._current = attempt.result()

    async def _connect(self, timeout: float) -> _Link:
        link = _Link(self._endpoint, self._notices, self._silence)
        try:
            await asyncio.wait_for(self._open(link), min(self._endpoint.connect_timeout, timeout))
        except asyncio.TimeoutError:
            link.end(connection_failed(self._endpoint, "timed out"))
            raise connection_failed(self._endpoint, "timed out") from None
        except BaseException:
            link.end(client_closed())
            raise
        return link

    async def _open(self, link: _Link) -> None:
        endpoint = self._endpoint
        with connecting(endpoint):
            await asyncio.get_running_loop().create_connection(
                lambda: link, endpoint.host, endpoint.port, ssl=endpoint.tls
            )
        self._links.add(link)
        link.closed.add_done_callback(lambda _: self._links.discard(link))
        await link.shake_hands()

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        return self._notices.subscribe(callback)

    def interrupt(self) -> None:
        for link in self._links:
            link.interrupt()

    def close_idle(self) -> None:
        for link in self._links:
            link.end_if_idle()

    async def aclose(self) -> None:
        self._closed = True
        self._current = None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        links = list(self._links)
        for link in links:
            link.end(client_closed())
        if links:
            await asyncio.wait([link.closed for link in links])
