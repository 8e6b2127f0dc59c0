"""
One TCP connection: bytes from the socket into the session, its events to operations, its bytes to the socket.

What may be said when is the session's business (wire/tcp_session.py). Here are the socket, the tasks and the deadlines.
A task exists only while a batch of requests is carried out; a connection that is idle is this object and its session.

Back-pressure: reading stops while the session has lines that it cannot take yet, and while more output than
`write_buffer_bytes` is unread; no new request is begun in the latter case.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, cast

from jobwire_server.errors import JobwireError
from jobwire_server.operations.core import Caller
from jobwire_server.wire import responses, tcp_events
from jobwire_server.wire.requests import HeartbeatBatch
from jobwire_server.wire.tcp_events import Batch
from jobwire_server.wire.tcp_session import Session
from jobwire_server.wire.tcp_verdicts import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobwire_server.tcp_api.shared import Shared

# How long what a peer still sends is thrown away, so that it gets to read why it was cut off.
LINGER_MS: Final = 2_000
# Connections over the limit that are told so at a time; those beyond are cut off without a word.
REFUSED_AT_ONCE: Final = 128
# A connection whose requests are in flight is looked at at least this often.
RECHECK_MS: Final = 60_000
CLIENT_NAME_LENGTH: Final = 200

# A dead peer is noticed after about two minutes even when nothing is sent to it.
_SOCKET_OPTIONS: Final = tuple(
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 15),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
    )
    if hasattr(socket, name)
)


class Work:
    """
    A batch that is being carried out, and the aborts that wait for its end.

    A task that is cancelled before its first step never runs at all, so `stop` cancels only what has started.
    """

    __slots__ = ("aborts", "batch", "started", "stopped", "task")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.task: asyncio.Task[None] | None = None
        self.started = False
        self.stopped = False
        self.aborts: list[tcp_events.Abort] = []

    def stop(self) -> None:
        if self.started and not self.stopped and self.task is not None:
            self.task.cancel()
        self.stopped = True


class Connection(asyncio.Protocol):
    """The asyncio side of one connection. `slot` belongs to Deadlines."""

    __slots__ = (
        "_abandoned",
        "_blocked_since",
        "_caller",
        "_gone",
        "_greeting_task",
        "_hanging_up",
        "_line_since",
        "_opened",
        "_peer",
        "_pumping",
        "_reading",
        "_session",
        "_shared",
        "_touched",
        "_transport",
        "_works",
        "slot",
    )

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        limits = shared.limits
        self._shared = shared
        self._session = Session(
            authenticated=not shared.gate.enabled,
            max_in_flight=limits.max_in_flight,
            max_response_bytes=limits.max_response_bytes,
        )
        self._peer = ""
        self._caller = Caller("tcp1", "")
        self._works: dict[Batch, Work] = {}
        self._greeting_task: asyncio.Task[None] | None = None
        self._reading = True
        self._pumping = False
        self._hanging_up = False
        self._gone = False
        self._abandoned = False
        self._blocked_since: int | None = None
        self._opened = self._touched = self._line_since = shared.deadlines.now
        self.slot: int | None = None

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports have the methods of asyncio.Transport without being one.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        has_room = self._shared.enter(self)
        host, port = _peer_of(transport)
        self._peer = host
        self._caller.peer = f"{host}:{port}"
        transport.set_write_buffer_limits(high=self._shared.limits.write_buffer_bytes)
        _set_options(transport)
        if self._shared.draining:
            self._abort()
        elif not has_room:
            self._turn_away()
        else:
            self._plan_look()

    def data_received(self, data: bytes) -> None:
        if self._hanging_up:
            return
        session = self._session
        was_in_line = session.in_line
        completed = session.receive_data(data)
        self._touched = self._shared.deadlines.now
        if session.in_line and (completed or not was_in_line):
            self._line_begins()
        self._pump()

    def eof_received(self) -> bool:
        """Half-closed: answers still go out. True keeps the transport open, which TLS cannot do."""
        if self._hanging_up:
            return False
        self._session.receive_eof()
        self._pump()
        return self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Nothing is answered any more. Pulls are given up, so that no job is handed to nobody; what else had arrived
        is carried out, since a worker that sent its acks and left has done its part.
        """
        self._gone = self._hanging_up = True
        self._shared.deadlines.drop(self)
        self._shared.operations.forget(self._caller)
        if self._abandoned:
            self._shared.leave(self)
            return
        self._stop(lambda batch: batch.waits or batch.name == "pull")
        self._session.receive_eof()
        self._pump()

    def pause_writing(self) -> None:
        self._blocked_since = self._shared.deadlines.now
        self._look_in(self._shared.limits.idle_timeout_ms)

    def resume_writing(self) -> None:
        self._blocked_since = None
        self._pump()

    # --- called by the door ---

    def drain(self, reason: str) -> None:
        """Finish what was begun, then close."""
        self._session.drain(reason)
        self._pump()

    def abort(self) -> None:
        """Close now, with whatever is in flight or unsent."""
        self._abandoned = True
        self._abort()
        for task in self.tasks():
            task.cancel()
        if self._gone:
            self._shared.leave(self)

    def tasks(self) -> list[asyncio.Task[None]]:
        """What is still at work for this connection."""
        tasks = [work.task for work in self._works.values()]
        return [task for task in (*tasks, self._greeting_task) if task is not None]

    def look(self) -> None:
        """A deadline may have passed: act on it, or plan the next look."""
        now = self._shared.deadlines.now
        if self._hanging_up:
            self._abort()
            return
        for due, act in self._deadlines():
            if due <= now:
                act()
                return
        self._plan_look()

    # --- deadlines ---

    def _deadlines(self) -> list[tuple[int, Callable[[], None]]]:
        limits, session = self._shared.limits, self._session
        found: list[tuple[int, Callable[[], None]]] = []
        if session.wants_token:
            found.append((self._opened + limits.unauthenticated_timeout_ms, self._unauthenticated))
        if session.in_line and self._reading:
            found.append((self._line_since + limits.read_timeout_ms, self._line_late))
        if limits.idle_timeout_ms and self._blocked_since is not None:
            found.append((self._blocked_since + limits.idle_timeout_ms, self._output_unread))
        elif limits.idle_timeout_ms and session.in_flight == 0:
            found.append((self._touched + limits.idle_timeout_ms, self._idle))
        return found

    def _plan_look(self) -> None:
        deadlines = [due for due, _ in self._deadlines()]
        if idle_ms := self._shared.limits.idle_timeout_ms:
            deadlines.append(self._shared.deadlines.now + min(RECHECK_MS, idle_ms))
        if deadlines:
            self._shared.deadlines.look_by(self, min(deadlines))

    def _look_in(self, ms: int) -> None:
        if ms:
            self._shared.deadlines.look_by(self, self._shared.deadlines.now + ms)

    def _line_begins(self) -> None:
        self._line_since = self._shared.deadlines.now
        self._look_in(self._shared.limits.read_timeout_ms)

    def _unauthenticated(self) -> None:
        self._cut_off("no token in time")
        self.drain("unauthenticated")

    def _line_late(self) -> None:
        limit = self._shared.limits.read_timeout_ms
        self._cut_off("line not finished in time")
        message = f"The line was not finished within {limit} ms"
        self._session.fail(JobwireError("REQUEST_TIMEOUT", message, {"limit": limit}))
        self._pump()

    def _idle(self) -> None:
        self._cut_off("idle")
        self.drain("idle")

    def _output_unread(self) -> None:
        self._cut_off("output not read")
        self._abort()

    def _cut_off(self, reason: str) -> None:
        self._shared.log.debug("tcp.cut_off", peer=self._caller.peer, reason=reason)

    # --- the session's events ---

    def _pump(self) -> None:
        """Do what the session wants done, as far as the peer reads what is said."""
        if self._pumping:  # answering an event may bring on the next; the outer call deals with it
            return
        self._pumping = True
        try:
            while self._blocked_since is None or self._gone:
                event = self._session.next_event()
                if event is None:
                    break
                _ACTIONS[type(event)](self, event)
                if type(event) is tcp_events.Write:  # a flood of bad lines: let others have a turn
                    asyncio.get_running_loop().call_soon(self._pump)
                    break
        except Exception as error:  # noqa: BLE001 - a bug in one conversation must not take down the door
            self._log_bug(error, "session")
            self._abort()
        finally:
            self._pumping = False
        self._flush()
        self._regulate_reading()
        if self._gone and self._session.state is State.CLOSED:
            self._shared.leave(self)

    def _on_batch(self, batch: Batch) -> None:
        work = Work(batch)
        work.stopped = self._gone and batch.name == "pull"
        self._works[batch] = work
        work.task = asyncio.get_running_loop().create_task(self._carry_out(work))

    def _on_hello(self, hello: tcp_events.Hello) -> None:
        session = self._session
        check = hello.token is not None and session.wants_token
        error = self._shared.gate.check(hello.token, self._peer) if check else None
        session.greet(hello, error or self._shared.operations.welcome(hello.version))
        if error is not None:
            return
        self._caller.client = _client_name(hello.request.client)
        if session.wire >= 2:
            self._caller.door = "tcp2"
            self._caller.notify = self._notify
        if hello.request.worker is not None and not session.wants_token:
            self._greeting_task = asyncio.get_running_loop().create_task(
                self._report_worker(HeartbeatBatch(items=[], worker=hello.request.worker))
            )

    def _on_authenticate(self, event: tcp_events.Authenticate) -> None:
        self._session.authenticate(event, self._shared.gate.check(event.token, self._peer))

    def _on_abort(self, event: tcp_events.Abort) -> None:
        work = self._works[event.batch]
        work.aborts.append(event)
        work.stop()

    def _on_peer_done(self, _: tcp_events.PeerDone) -> None:
        self._stop(lambda batch: batch.waits)

    def _on_write(self, _: tcp_events.Write) -> None:
        self._flush()

    def _on_close(self, event: tcp_events.Close) -> None:
        self._flush()
        if self._gone:
            return
        self._hanging_up = True
        self._hang_up(linger=event.unread)

    # --- work ---

    async def _carry_out(self, work: Work) -> None:
        """Run a batch and answer it, exactly once."""
        work.started = True
        try:
            results, ended = await self._outcome(work)
        finally:
            del self._works[work.batch]
        self._conclude(work, results, ended)

    async def _outcome(self, work: Work) -> tuple[Sequence[Any] | None, bool]:
        """The results, None for a pull that was ended; and whether it was ended before it had them."""
        batch = work.batch
        try:
            if not work.stopped:
                return await self._run(batch.name, batch.requests), False
        except asyncio.CancelledError:
            if not work.stopped:
                raise
            _forgive_cancel()
        return (None if batch.name == "pull" else await self._run_unwaiting(batch)), True

    async def _run(self, name: str, requests: Sequence[Any]) -> Sequence[Any]:
        try:
            return await self._shared.operations.run(name, requests, self._caller)
        except Exception as error:  # noqa: BLE001 - operations raise only bugs; this is where they are reported
            self._log_bug(error, name)
            return [_internal_error()] * len(requests)

    async def _run_unwaiting(self, batch: Batch) -> Sequence[Any]:
        """What the answer would be had the wait run out: nothing but a pull loses by being asked again."""
        for request in batch.requests:
            request.wait_ms = 0
        return await self._run(batch.name, batch.requests)

    def _conclude(self, work: Work, results: Sequence[Any] | None, ended: bool) -> None:
        session = self._session
        if results is None:
            session.abandon(work.batch)
        else:
            session.answer(work.batch, results)
        for event in work.aborts:
            session.aborted(event, ended)
        self._touched = self._shared.deadlines.now
        self._pump()

    async def _report_worker(self, report: HeartbeatBatch) -> None:
        await self._run("heartbeat_batch", [report])
        self._greeting_task = None

    def _stop(self, which: Callable[[Batch], bool]) -> None:
        for work in list(self._works.values()):
            if which(work.batch):
                work.stop()

    def _log_bug(self, error: Exception, doing: str) -> None:
        self._shared.log.error("tcp.bug", peer=self._caller.peer, doing=doing, exc_info=error)

    # --- the socket ---

    def _notify(self, fields: dict[str, Any]) -> None:
        """Pass on a notice. A peer that does not read loses it: notices are hints, heartbeats say the same."""
        if not self._hanging_up and self._blocked_since is None and self._session.notice(fields):
            self._flush()

    def _flush(self) -> None:
        data = self._session.data_to_send()
        if data and not self._gone:
            self._transport.write(data)

    def _regulate_reading(self) -> None:
        if self._hanging_up:
            return
        wanted = self._blocked_since is None and not self._session.backlogged
        if wanted is self._reading:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
            if self._session.in_line:  # its time does not run while it cannot be read
                self._line_begins()
        else:
            self._transport.pause_reading()

    def _turn_away(self) -> None:
        self._hanging_up = True
        if len(self._shared.refused) > REFUSED_AT_ONCE:
            self._abort()
            return
        limit = self._shared.limits.max_connections
        error = JobwireError(
            "OVERLOADED", f"The server has its {limit} connections; try again", {"limit": limit}
        )
        self._transport.write(responses.tcp_answer("", error, wire=1, rid=None) + b"\n")
        self._hang_up(linger=True)

    def _hang_up(self, *, linger: bool) -> None:
        """Close when all output is written; `look` cuts off a peer that does not take it."""
        self._shared.deadlines.drop(self)
        if not (linger and self._transport.can_write_eof()):
            self._transport.close()
            self._look_in(self._shared.limits.read_timeout_ms)
            return
        self._transport.write_eof()
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        self._look_in(LINGER_MS)

    def _abort(self) -> None:
        self._hanging_up = True
        if not self._gone:
            self._transport.abort()


_ACTIONS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    Batch: Connection._on_batch,
    tcp_events.Hello: Connection._on_hello,
    tcp_events.Authenticate: Connection._on_authenticate,
    tcp_events.Abort: Connection._on_abort,
    tcp_events.PeerDone: Connection._on_peer_done,
    tcp_events.Write: Connection._on_write,
    tcp_events.Close: Connection._on_close,
}


def _peer_of(transport: asyncio.Transport) -> tuple[str, int]:
    name = transport.get_extra_info("peername")
    return (str(name[0]), int(name[1])) if name else ("unknown", 0)


def _set_options(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):  # the peer may be gone already, and then it does not matter
        for option in _SOCKET_OPTIONS:
            sock.setsockopt(*option)


def _client_name(client: Any) -> str | None:
    if client is None or not client.name:
        return None
    return f"{client.name}/{client.version}".rstrip("/")[:CLIENT_NAME_LENGTH]


def _forgive_cancel() -> None:
    """The cancellation was ours and has done its work; the task goes on."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _internal_error() -> JobwireError:
    return JobwireError("INTERNAL_ERROR", "A fault of the server; its log says more")
