"""Faults of the Python SDK between its calls and its sockets: lines, answers, connections, tokens."""

from __future__ import annotations

import json
from typing import Any

from jobwire import _endpoint, _http11, _tcp
from jobwire import _errors as errors
from jobwire import _operations as operations
from jobwire import _strict_json as strict_json
from jobwire._transports import async_http, sync_http
from jobwire._transports.base import timed_out

from conformance.mutants.fault import around, fault, put

# --- which answer belongs to which call ---------------------------------------------------------------------------------


@fault("SDKF-CORR-002", "SDKF-CORR-001")
def answers_go_by_their_order() -> None:
    """The next answer is taken for that of the oldest request, whatever its rid says."""
    put(_tcp.Session, "_rid_of", lambda self, body: next(iter(self._waiting), None))


@fault("SDKF-SESS-010")
def old_wire_forgets_who_left() -> None:
    """In version 1 the connection goes on after a request was given up, and its late answer is the next one's."""

    def careless(original: Any, self: Any, rid: int, *, cancelled: bool = False) -> bool:
        if self.version == 1 and rid in self._waiting:
            del self._waiting[rid]
            return False
        return bool(original(self, rid, cancelled=cancelled))

    around(_tcp.Session, "abandon", careless)


@fault("SDKF-CORR-004", "SDKF-CORR-003")
def http_keeps_what_timed_out() -> None:
    """An HTTP connection on which a request was given up is used for the next one."""

    def kept(original: Any, self: Any, connection: Any, *, keep: bool) -> None:
        original(self, connection, keep=True)

    around(sync_http.HttpTransport, "_give_back", kept)

    async def kept_async(self: Any, data: bytes, timeout: float) -> Any:
        self._reader, self._answer = _http11.ResponseReader(), self._loop.create_future()
        late = timed_out(timeout, self._endpoint)
        timer = self._loop.call_later(timeout, self._fail, late)
        self._transport.write(data)
        try:
            return await self._answer
        finally:
            timer.cancel()

    def usable(original: Any, self: Any, error: Any) -> None:
        original(self, error)
        if getattr(error, "code", "") == "TIMEOUT" and self._answer is not None:
            put(self, "usable", True)

    put(async_http._Connection, "exchange", kept_async)
    around(async_http._Connection, "_fail", usable)

    async def back(original: Any, self: Any, connection: Any, data: bytes, deadline: float) -> Any:
        try:
            return await original(self, connection, data, deadline)
        except errors.RequestTimeout:
            connection.idle_since = connection._loop.time()
            self._idle.append(connection)
            raise

    around(async_http.AsyncHttpTransport, "_exchange", back)


# --- reading ------------------------------------------------------------------------------------------------------------


@fault("SDKF-BYTES-005")
def long_lines_are_refused() -> None:
    """An answer over TCP may have 64 KiB, as the default limit of asyncio's streams is."""

    def short(original: Any, self: Any, **options: Any) -> None:
        original(self, **{**options, "max_answer": 64 * 1024})

    around(_tcp.Session, "__init__", short)


@fault("SDKF-BYTES-003", "SDK-JOBS-001")
def other_line_ends_count() -> None:
    """An answer is cut at U+2028 as well as at its newline."""

    def cutting(original: Any, self: Any, data: bytes) -> Any:
        return original(self, data.replace("\u2028".encode(), b"\n"))

    around(_tcp.Session, "feed", cutting)


@fault("SDKF-BYTES-003")
def pieces_are_decoded_alone() -> None:
    """A character whose bytes come in two pieces is lost."""

    def lossy(original: Any, self: Any, data: bytes) -> Any:
        return original(self, data.decode("utf-8", "replace").encode())

    around(_tcp.Session, "feed", lossy)


@fault("SDK-JOBS-008")
def integers_become_floats() -> None:
    """Integers in data are read as floating point."""
    put(
        strict_json,
        "_decoder",
        json.JSONDecoder(parse_int=lambda text: float(text) if len(text) > 15 else int(text)),
    )


@fault("SDKF-HTTP-005")
def chunked_answers_are_refused() -> None:
    """An HTTP answer that a proxy has cut into chunks cannot be read."""

    def strict(self: Any, coding: str, length: Any) -> None:
        raise _http11._refused("chunks are not read")

    put(_http11.ResponseReader, "_expect_chunked", strict)


@fault("SDKF-BYTES-014")
def unknown_notice_is_garbage() -> None:
    """A notice of a newer server ends the connection."""

    def strict(original: Any, self: Any, body: Any, events: Any) -> None:
        if body["notice"] in ("goaway", "job.cancel", "lease.lost"):
            original(self, body, events)
        else:
            self._break(_tcp._garbage("an unknown notice"), events)

    around(_tcp.Session, "_receive_notice", strict)


# --- connections --------------------------------------------------------------------------------------------------------


@fault("SDKF-SESS-003")
def old_servers_are_refused() -> None:
    """A server that does not know hello cannot be used."""

    def strict(self: Any, events: Any) -> None:
        self._break(_tcp._garbage("the server does not know hello"), events)

    put(_tcp.Session, "_fall_back", strict)


@fault("SDKF-SESS-002", "SDKF-SESS-001")
def goaway_is_ignored() -> None:
    """Requests go on over a connection on which the server has said goodbye."""
    put(_tcp.Session, "_drain", lambda self, last_rid, events: None)


@fault("SDKF-SESS-001")
def goaway_loses_what_was_not_read() -> None:
    """What the server did not read before its goaway waits for an answer until its time is over."""

    def half(self: Any, last_rid: Any, events: Any) -> None:
        self.draining = True

    put(_tcp.Session, "_drain", half)


@fault("SDKF-CONN-011")
def stale_connection_is_used() -> None:
    """A pooled HTTP connection that the server has closed is used, and trusted to be good: its failure is final."""
    put(sync_http._Connection, "is_stale", lambda self, now: False)
    put(async_http._Connection, "is_stale", lambda self: False)

    def final(original: Any, where: Any, why: Any = "") -> Any:
        error = original(where, why)
        error.retryable = False
        return error

    for module in (sync_http, async_http):
        around(module, "connection_lost", final)


@fault("SDK-NET-002", "SDK-NET-005")
def sockets_leak() -> None:
    """An HTTP connection that failed is not closed."""
    kept: list[Any] = []

    def leaking(original: Any, self: Any, connection: Any, *, keep: bool) -> None:
        if keep:
            original(self, connection, keep=keep)
            return
        self._busy.discard(connection)
        kept.append(connection)

    around(sync_http.HttpTransport, "_give_back", leaking)


# --- requests -----------------------------------------------------------------------------------------------------------


@fault("SDK-ERR-005", "SDKF-CONN-012")
def token_is_in_the_errors() -> None:
    """What a client is connected to is told with its token."""

    def frank(original: Any, self: Any) -> str:
        return f"{original(self)} (token {self.token})"

    around(_endpoint.Endpoint, "__str__", frank)


@fault("SDK-ERR-001", "SDK-READ-002")
def paths_are_not_quoted() -> None:
    """A `/` or `%` in a name stands in the path as it is."""
    put(operations, "quote", lambda text, safe="": text.replace(" ", "%20"))


@fault("SDK-JOBS-004")
def leases_are_not_sent() -> None:
    """Who speaks for a pulled job does not show its lease."""
    put(operations, "_job_ref", lambda job: {"id": operations.job_id(job)})


@fault("SDK-JOBS-001")
def durations_are_seconds() -> None:
    """A delay in seconds is sent as so many milliseconds."""
    put(operations, "_ms", lambda seconds, name: None if seconds is None else int(seconds))
