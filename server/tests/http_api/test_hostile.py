"""Clients that mean harm or are broken: bounded work, a 4xx in our shape where anything is answered, and a working server after."""

from __future__ import annotations

import asyncio
import math
import socket

import pytest
from tests.http_api.conftest import Serve, Served
from tests.http_api.raw_http import RawClient, request

from jobwire_server.http_api.connection import HEADER_BYTES, HEADERS, Connection

PUSH = "/api/v1/queues/emails/jobs"
HEAD = b"POST /api/v1/queues/emails/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SMALL = b'{"name":"welcome"}'
SMUGGLED = b"GET /api/v1/queues/smuggled/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def _still_serves(served: Served) -> bool:
    return (await served.ask("GET", "/health")).status == 200


RUBBISH = {
    "HTTP/0.9": b"GET /api/v1/health\r\n\r\n",
    "HTTP/3.0": b"GET /api/v1/health HTTP/3.0\r\nHost: localhost\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100a5010000a10303") + bytes(100),
    "a line of JSON": b'{"cmd":"ping"}\n',
    "a binary frame": b"\x01\x00\x00\x00\x05hello",
    "NUL bytes": bytes(64),
    "a space before a colon": b"GET /api/v1/health HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a NUL in a header": b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n",
    "a folded header": b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    "no Host": b"GET /api/v1/health HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "bare newlines": b"GET /api/v1/health HTTP/1.1\nHost: localhost\n\n",
    "a method of brackets": b"{} /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a length of words": HEAD + b"Content-Length: many\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +18\r\n\r\n" + SMALL,
    "a length of 400 digits": HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
}
SMUGGLING = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 64\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 64\r\n\r\n",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "misspelt chunks": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks after a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
}
BROKEN_CHUNKS = {
    "a size of words": b"many\r\n",
    "a size of 17 digits": b"1" + b"0" * 16 + b"\r\n",
    "a negative size": b"-1\r\n",
    "no newline after the data": b"2\r\n{}xx",
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH)
async def test_what_is_no_request_is_a_bad_request(served: Served, data: bytes) -> None:
    async with await served.open() as client:
        answer = await client.ask(data)
        rest = await client.rest()

    assert (answer.status, answer.code, answer.closes) == (400, "BAD_REQUEST", True)
    assert len(answer.headers["x-request-id"]) == 36
    assert rest == b""
    assert served.operations.calls == []
    assert await _still_serves(served)


@pytest.mark.parametrize("framing", SMUGGLING.values(), ids=SMUGGLING)
async def test_a_body_that_can_be_read_two_ways_is_refused(served: Served, framing: bytes) -> None:
    """A proxy may read it the other way: what follows must never be taken for a request of its own."""
    async with await served.open() as client:
        answer = await client.ask(HEAD + framing + SMUGGLED)
        rest = await client.rest()

    assert (answer.status, answer.code, answer.closes) == (400, "BAD_REQUEST", True)
    assert rest == b""
    assert served.operations.calls == []


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
async def test_a_body_whose_framing_breaks_is_answered_at_once(
    served: Served, chunks: bytes
) -> None:
    """The read deadline of 30 s is not waited for."""
    async with await served.open() as client:
        client.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        client.write(chunks)
        answer = await client.answer()

    assert (answer.status, answer.code, answer.closes) == (400, "BAD_REQUEST", True)
    assert served.operations.calls == []


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * HEADER_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nA: "
        + b"b" * (HEADER_BYTES + 1)
        + b"\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n"
        + b"b" * HEADER_BYTES
        + b": c\r\n\r\n",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    ],
    ids=["line", "value", "name", "10,000 fields"],
)
async def test_too_large_headers_are_refused_by_their_limit(served: Served, head: bytes) -> None:
    async with await served.open() as client:
        answer = await client.ask(head)

    assert (answer.status, answer.code, answer.closes) == (400, "BAD_REQUEST", True)
    message = answer.json["error"]["message"]
    assert str(HEADER_BYTES) in message or str(HEADERS) in message


async def test_as_many_headers_as_allowed_are_accepted(served: Served) -> None:
    extra = {f"X-{n}": "v" for n in range(HEADERS - 1)}

    assert (await served.ask("GET", "/health", headers=extra)).status == 200


async def test_http_1_0_is_served_and_closed(served: Served) -> None:
    async with await served.open() as client:
        answer = await client.ask(b"GET /api/v1/health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        rest = await client.rest()

    assert (answer.status, rest) == (200, b"")


async def test_rubbish_behind_a_good_request_ends_the_connection(served: Served) -> None:
    async with await served.open() as client:
        good = await client.ask(request("GET", "/api/v1/queues"))
        bad = await client.ask(b"\x16\x03\x01\r\n\r\n")
        rest = await client.rest()

    assert good.status == 200
    assert (bad.status, bad.code, bad.closes, rest) == (400, "BAD_REQUEST", True, b"")


async def test_an_endless_chunk_extension_ends_at_the_read_deadline(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 200})

    async with await served.open() as client:
        client.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;")
        answering = asyncio.create_task(client.answer())
        while not answering.done():
            client.write(b"x" * 4096)
            await asyncio.wait([answering], timeout=0.01)

    assert (answering.result().status, answering.result().code) == (408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST /api/v1/pull HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=["CONNECT", "websocket", "h2c"],
)
async def test_nothing_is_upgraded(served: Served, head: bytes) -> None:
    async with await served.open() as client:
        answer = await client.ask(head)

    assert answer.status in (200, 400, 403, 404, 405, 422)
    assert await _still_serves(served)


# --- slow clients ------------------------------------------------------------------------------------------------


async def test_a_silent_connection_is_closed(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 200})

    async with await served.open() as client:
        assert await client.rest() == b""


@pytest.mark.parametrize("head", [b"G", b"GET /api/v1/health HTTP/1.1\r\nHost: loc"])
async def test_half_a_header_is_cut_with_a_timeout(serve: Serve, head: bytes) -> None:
    served = await serve(server={"read_timeout_ms": 200})

    async with await served.open() as client:
        answer = await client.ask(head)
        rest = await client.rest()

    assert (answer.status, answer.code, answer.closes) == (408, "REQUEST_TIMEOUT", True)
    assert answer.headers["x-request-id"]
    assert rest == b""


async def test_a_header_that_drips_on_a_kept_connection_is_cut(serve: Serve) -> None:
    """Each byte comes well within the deadline, and the header as a whole does not."""
    served = await serve(server={"read_timeout_ms": 300})

    async with await served.open() as client:
        first = await client.ask(request("GET", "/api/v1/health"))
        answering = asyncio.create_task(client.answer())
        while not answering.done():
            client.write(b"G" if not served.log.entries else b"x")
            await asyncio.wait([answering], timeout=0.02)
        answer = answering.result()

    assert first.status == 200
    assert (answer.status, answer.code) in ((408, "REQUEST_TIMEOUT"), (400, "BAD_REQUEST"))


async def test_headers_that_are_complete_in_the_turn_of_their_deadline_are_served(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their request begins a turn later, and would find its connection closed under it."""
    arrived = Connection.data_received

    def arrived_too_late(connection: Connection, data: bytes) -> None:
        arrived(connection, data)
        connection.sweep(math.inf)

    served = await serve()
    monkeypatch.setattr(Connection, "data_received", arrived_too_late)

    async with await served.open() as client:
        answer = await client.ask(request("GET", "/api/v1/health"))
        again = await client.ask(request("GET", "/api/v1/health"))

    assert (answer.status, again.status) == (200, 200)
    assert [entry for entry in served.log.entries if entry["log_level"] == "error"] == []


async def test_a_kept_connection_outlives_the_read_deadline(serve: Serve) -> None:
    """The deadline of the headers does not run between two requests."""
    served = await serve(server={"read_timeout_ms": 100})

    async with await served.open() as kept:
        await kept.ask(request("GET", "/api/v1/health"))
        async with await served.open() as silent:
            await (
                silent.rest()
            )  # opened later than `kept`, and cut: the deadline has passed for both
        answer = await kept.ask(request("GET", "/api/v1/health"))

    assert answer.status == 200


async def test_a_request_may_take_longer_than_the_read_deadline(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 100})
    served.operations.hold = asyncio.Event()

    async with await served.open() as waiting:
        waiting.write(request("GET", "/api/v1/queues"))
        await served.operations.entered.wait()
        async with await served.open() as silent:
            await silent.rest()
        served.operations.hold.set()
        answer = await waiting.answer()

    assert answer.status == 200


async def test_a_client_that_does_not_read_its_answer_is_cut(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 200})
    lost = asyncio.Event()
    _tell_when_lost(served, lost)
    quiet = socket.socket()
    quiet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    quiet.setblocking(False)
    loop = asyncio.get_running_loop()

    with quiet:
        await loop.sock_connect(quiet, ("127.0.0.1", served.door.port))
        await loop.sock_sendall(quiet, request("GET", "/api/v1/openapi.json") * 200)
        async with asyncio.timeout(10):
            await lost.wait()

    assert await _still_serves(served)


def _tell_when_lost(served: Served, lost: asyncio.Event) -> None:
    listener = served.door._listener
    assert listener is not None
    leave = listener.leave

    def tell(connection: object) -> None:
        leave(connection)  # type: ignore[arg-type]
        lost.set()

    listener.leave = tell  # type: ignore[method-assign]


async def test_slow_clients_do_not_hold_up_the_others(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 30_000})
    slow = [await RawClient.open(served.door.port) for _ in range(200)]
    for n, client in enumerate(slow):
        client.write(
            (b"", b"G", b"GET /a HTTP/1.1\r\nA", HEAD + b"Content-Length: 9\r\n\r\n{")[n % 4]
        )

    answer = await served.ask("GET", "/queues")

    assert answer.status == 200
    for client in slow:
        await client.close()
