"""The proxy forwards every byte, records every operation, and spoils a connection exactly as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conformance.runner.http_bytes import HttpReader
from conformance.runner.proxy import Proxy, Toxics
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_wire import WireLog

LINE = b'{"cmd":"stats","rid":2,"queue":"q"}\n'
ANSWER = b'{"rid":2,"ok":true}\n'


@asynccontextmanager
async def proxied(scheme: str = "tcp", answer: bytes = ANSWER) -> AsyncIterator[Proxy]:
    """A proxy before a server that answers each line, or each request, with *answer*."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    recorder = Recorder(None, judge=False)
    async with server, Proxy(scheme, ("127.0.0.1", port), WireLog(), recorder, "test") as proxy:
        yield proxy


async def ask(proxy: Proxy, data: bytes = LINE) -> bytes:
    """All that comes back until the end."""
    port = int(proxy.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(0.2):
            return await reader.read()
    except TimeoutError:
        return b"open"
    finally:
        writer.transport.abort()


async def test_what_crosses_is_seen_with_its_answer() -> None:
    async with proxied() as proxy:
        assert await ask(proxy) == b"open"

        (seen,) = proxy.log.of("stats")
        assert seen.fields == {"queue": "q"}
        assert seen.answer == {"rid": 2, "ok": True}


async def test_http_is_seen_as_the_same_operation() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'
    async with proxied("http", answer) as proxy:
        await ask(proxy, b"GET /api/v1/queues/a%2Fb/stats?x=1 HTTP/1.1\r\nHost: h\r\n\r\n")

        (seen,) = proxy.log.of("stats")
        assert seen.fields == {"queue": "a/b", "x": "1"}
        assert seen.answer == {"ok": True}


@pytest.mark.parametrize(
    ("toxics", "comes"),
    [
        ({"cut": {"after": 5}}, ANSWER[:5]),
        ({"cut": {"after": 5, "direction": "up"}}, b""),
        ({"slice": 1}, b"open"),
        ({"cut": {"after": 5, "how": "half"}}, b"open"),
    ],
)
async def test_toxics(toxics: dict[str, object], comes: bytes) -> None:
    async with proxied() as proxy:
        proxy.spoil(Toxics.of(toxics))

        assert await ask(proxy) == comes


@pytest.mark.parametrize("toxics", [{"refuse": True}, {"cut": {"after": 0, "how": "rst"}}])
async def test_a_reset_is_a_reset(toxics: dict[str, object]) -> None:
    async with proxied() as proxy:
        proxy.spoil(Toxics.of(toxics))

        with pytest.raises(ConnectionResetError):
            await ask(proxy)


async def test_toxics_hold_for_as_many_connections_as_is_said() -> None:
    async with proxied() as proxy:
        proxy.spoil(Toxics.of({"cut": {"after": 3}}), times=1)

        assert [await ask(proxy), await ask(proxy)] == [ANSWER[:3], b"open"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_http_messages_are_the_same_however_they_are_cut(size: int) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    data = chunked + b"HTTP/1.1 204 No\r\n\r\n" + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    reader, found = HttpReader("response"), []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])

    assert [(each.status, each.body) for each in found] == [
        (200, b"abcde"),
        (204, b""),
        (200, b"hi"),
    ]
    assert not reader.unfinished
