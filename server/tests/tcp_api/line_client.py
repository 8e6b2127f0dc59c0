"""A client that speaks lines, and only when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any

PATIENCE = 10.0  # seconds for what must come; a test that meets it has failed


def line(cmd: str, **fields: Any) -> bytes:
    return json.dumps({"cmd": cmd, **fields}).encode() + b"\n"


def push(**fields: Any) -> bytes:
    return line("push", queue="q", **{"name": "n", **fields})


def pull(**fields: Any) -> bytes:
    return line("pull", queue="q", **fields)


class LineClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, **options: Any) -> LineClient:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24, **options))

    async def __aenter__(self) -> LineClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Away at once, whatever is unread."""
        if not self.writer.transport.is_closing():
            self.writer.transport.abort()
        with contextlib.suppress(OSError):  # reset by the server: as away as one can be
            await self.writer.wait_closed()

    async def reset(self) -> None:
        """Break the connection, so that the other side notices at once and not only when it writes."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    def send(self, *lines: bytes) -> None:
        self.writer.write(b"".join(lines))

    async def read(self) -> dict[str, Any]:
        """The next line; fails when the server closed instead."""
        text = await asyncio.wait_for(self.reader.readline(), PATIENCE)
        assert text.endswith(b"\n"), f"closed after {text!r}"
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def read_many(self, count: int) -> list[dict[str, Any]]:
        return [await self.read() for _ in range(count)]

    async def ask(self, *lines: bytes) -> dict[str, Any]:
        self.send(*lines)
        return await self.read()

    async def hello(self, **fields: Any) -> dict[str, Any]:
        return await self.ask(line("hello", v=[1, 2], rid=0, **fields))

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)
