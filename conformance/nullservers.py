"""
Servers that know nothing of jobs: each answers every request, on both doors, in one way. No case may pass on one.

A case that does is no test: whatever it asserts holds for a server that does nothing. (37 of the 267 tests of another suite
of this field assert nothing, and a server that answers `[]` passes 81 % of it.)

Cases about time and faults run to their assertions by a control API that does nothing well: NullControl of runner/nulling.py.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

_HEAD_BYTES: Final = 256 * 1024
_LINE_BYTES: Final = 16 * 1024 * 1024
_SEED: Final = 20260101

Answer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    `http` makes a whole answer of a request's body, `line` a line of a line. One that is `silent` takes what comes and
    says nothing; one that `hangs_up` closes each connection as soon as it is there.
    """

    name: str
    http: Answer
    line: Answer
    manner: Literal["answers", "silent", "hangs_up"] = "answers"


def _http(status: str, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _fixed(
    name: str, body: bytes, *, status: str = "200 OK", media: str = "application/json"
) -> Kind:
    return Kind(name, lambda _: _http(status, media, body), lambda _: body)


def _echo(name: str) -> Kind:
    return Kind(name, lambda body: _http("200 OK", "application/json", body), lambda line: line)


def _random(name: str) -> Kind:
    chance = random.Random(_SEED)

    def text(_: bytes) -> bytes:
        return json.dumps(_value(chance, 3)).encode()

    return Kind(name, lambda body: _http("200 OK", "application/json", text(body)), text)


def _value(chance: random.Random, depth: int) -> object:
    """Some JSON; an object has the members that answers have, with values of any kind."""
    leaves = (
        None,
        True,
        False,
        0,
        -1,
        1.5,
        "",
        "waiting",
        "0-000000000000",
        chance.getrandbits(53),
    )
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(leaves)
    if chance.random() < 0.25:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ("ok", "id", "job", "jobs", "state", "error", "code", "outcome", "counts", "results")
    return {
        name: _value(chance, depth - 1) for name in chance.sample(names, chance.randrange(1, 6))
    }


def _nothing(_: bytes) -> bytes:
    return b""


_PAGE: Final = (
    b"<!doctype html><html><head><title>200</title></head><body><p>It works!</p></body></html>"
)
_NOT_FOUND: Final = b'{"error":"not found"}'
_FAILED: Final = b'{"error":"internal server error"}'

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        _fixed("empty_object", b"{}"),
        _fixed("ok_true", b'{"ok":true}'),
        _fixed("ok_false", b'{"ok":false}'),
        _fixed("empty_list", b"[]"),
        _fixed("empty_body", b""),
        _fixed("null", b"null"),
        _echo("echo"),
        _fixed("not_found", _NOT_FOUND, status="404 Not Found"),
        _fixed("server_error", _FAILED, status="500 Internal Server Error"),
        Kind("hangs", _nothing, _nothing, "silent"),
        Kind("closes", _nothing, _nothing, "hangs_up"),
        _fixed("html", _PAGE, media="text/html"),
        _random("random_json"),
    )
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a null server listens, on 127.0.0.1."""

    http_port: int
    tcp_port: int

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"


class NullServer:
    """Both doors of one kind; every connection is a task that ends with the server."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> Addresses:
        ports = []
        for serve in (self._serve_http, self._serve_lines):
            server = await asyncio.start_server(
                self._watched(serve), "127.0.0.1", 0, limit=_LINE_BYTES, backlog=1024
            )
            self._servers.append(server)
            ports.append(server.sockets[0].getsockname()[1])
        return Addresses(*ports)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _watched(self, serve: _Serve) -> _Accept:
        """Accept with `serve`; whatever the peer does, its connection ends and nothing is raised."""

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                pass  # the peer has left, or sent what cannot be read; there is nothing more to say to it
            finally:
                writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(run(reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._is_answering(reader):
            return
        while (body := await _request_body(reader)) is not None:
            writer.write(self._kind.http(body))
            await writer.drain()

    async def _serve_lines(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not await self._is_answering(reader):
            return
        while line := await reader.readline():
            writer.write(self._kind.line(line.rstrip(b"\r\n")) + b"\n")
            await writer.drain()

    async def _is_answering(self, reader: asyncio.StreamReader) -> bool:
        if self._kind.manner == "silent":
            while await reader.read(65_536):
                pass
        return self._kind.manner == "answers"


_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
_Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def _request_body(reader: asyncio.StreamReader) -> bytes | None:
    """The body of the next request, or None when there is none any more. Bodies have a length, or are chunked."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except asyncio.IncompleteReadError:
        return None
    if len(head) > _HEAD_BYTES:
        raise ValueError("the head of the request is too long")
    if b"\r\ntransfer-encoding: chunked" in head:
        return await _chunks(reader)
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return await reader.readexactly(int(rest.partition(b"\r\n")[0])) if found else b""


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


@asynccontextmanager
async def running(kind: Kind) -> AsyncIterator[Addresses]:
    """A null server of this kind."""
    server = NullServer(kind)
    try:
        yield await server.start()
    finally:
        await server.close()
