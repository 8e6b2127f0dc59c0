"""spec/vectors/transcripts.json against a real server: every conversation with its writes whole, a line each, and a byte each (JW-TCP-12)."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from conformance.runner.processes import ServerProcess
from conformance.runner.transcripts import (
    CHUNKINGS,
    Said,
    Transcript,
    difference,
    pieces,
    transcripts,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conformance.runner.target import Control

PATIENCE_S: Final = 20
TOKEN: Final = "secret"
ROWS: Final = transcripts("server")
# What takes long in virtual time would close them.
SETTINGS: Final = {"server.idle_timeout_ms": 0}


class Talk:
    """One replay on one connection: `known` is what names such as <lease> stand for."""

    def __init__(self, server: ServerProcess, chunking: str) -> None:
        self._server = server
        self._chunking = chunking
        self._known: dict[str, Any] = {}

    async def __aenter__(self) -> Talk:
        self._reader, self._writer = await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(
            *self._server.target.tcp_address, limit=2**24
        )
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer

    async def send(self, sent: tuple[Said, ...]) -> None:
        for piece in pieces(sent, self._chunking, self._known):
            self._writer.write(piece)
            await asyncio.sleep(0)

    async def send_no_more(self, _: tuple[Said, ...]) -> None:
        self._writer.write_eof()

    async def expect(self, wanted: tuple[Said, ...]) -> None:
        """One line, or several in any order."""
        left = [said.body for said in wanted]
        for _ in wanted:
            found = await self._line()
            fitting = [each for each in left if not difference(each, found, dict(self._known))]
            assert fitting, difference(left[0], found, dict(self._known)) + f"\n{found}"
            difference(fitting[0], found, self._known)
            left.remove(fitting[0])

    async def _line(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            line = await self._reader.readline()
        assert line.endswith(b"\n"), f"the server ended the connection: {line!r}"
        return json.loads(line)

    async def expect_close(self, _: tuple[Said, ...]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            assert await self._reader.read() == b""

    async def ask_elsewhere(self, asked: tuple[Said, ...]) -> None:
        reader, writer = await self._connect()
        for piece in pieces(asked, "whole", self._known):
            writer.write(piece)
        async with asyncio.timeout(PATIENCE_S):
            answer = json.loads(await reader.readline())
        assert answer["ok"], answer
        writer.close()

    async def let_pass(self, time: tuple[Said, ...]) -> None:
        await self._control.advance(int(time[0].text))

    async def stop_server(self, _: tuple[Said, ...]) -> None:
        await self._control.barrier()  # the server has read what was sent before
        self._server.tell_to_stop()

    @property
    def _control(self) -> Control:
        assert self._server.target.control is not None
        return self._server.target.control


DOES: Final = {
    "C": Talk.send,
    "C.": Talk.send_no_more,
    "S:": Talk.expect,
    "S*": Talk.expect,
    "S.": Talk.expect_close,
    "A:": Talk.ask_elsewhere,
    "T:": Talk.let_pass,
    "T.": Talk.stop_server,
}


async def replay(server: ServerProcess, row: Transcript, chunking: str) -> None:
    """Play the row on a server without any job."""
    control = server.target.control
    assert control is not None
    await control.reset()
    if any(said.mark == "T:" for said in row.lines):
        await control.freeze()
    async with Talk(server, chunking) as talk:
        for kind, group in row.turns():
            await DOES[kind](talk, group)


@asynccontextmanager
async def running(folder: Path, *, token: bool) -> AsyncIterator[ServerProcess]:
    settings = {**SETTINGS, "auth.tokens": [TOKEN]} if token else SETTINGS
    server = ServerProcess(folder, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.mark.parametrize("token", [False, True], ids=["open", "token"])
def test_every_conversation_is_answered_as_it_stands_however_it_is_cut(
    tmp_path: Path, token: bool
) -> None:
    rows = [row for row in ROWS if row.token is token and not row.stops_the_server]
    asyncio.run(_replay_all(tmp_path, rows, token))


async def _replay_all(folder: Path, rows: list[Transcript], token: bool) -> None:
    async with running(folder, token=token) as server:
        wrong = []
        for row in rows:
            for chunking in CHUNKINGS:
                try:
                    await replay(server, row, chunking)
                except (AssertionError, TimeoutError) as problem:
                    wrong.append(f"{row.id} ({chunking}): {problem!r}")
    assert rows
    assert wrong == []


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.stops_the_server], ids=lambda r: r.id)
def test_a_conversation_with_a_server_that_stops(
    tmp_path: Path, row: Transcript, chunking: str
) -> None:
    async def once() -> None:
        async with running(tmp_path, token=row.token) as server:
            await replay(server, row, chunking)

    asyncio.run(once())
