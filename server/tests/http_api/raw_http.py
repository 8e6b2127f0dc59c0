"""A socket that sends exactly the bytes it is told to, and reads HTTP answers back."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any, Self

READ_S = 10.0  # a bound for a test that would hang, not a pause


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code, of an answer in the one shape of an error; anything else fails the test."""
        assert self.headers["content-type"] == "application/json", self
        body = self.json
        assert body.keys() == {"ok", "error"}, body
        assert body["ok"] is False
        assert {"code", "message", "details", "retryable"} <= body["error"].keys()
        assert body["error"].keys() <= {
            "code", "message", "details", "retryable", "retry_after_ms",
        }  # fmt: skip
        code: str = body["error"]["code"]
        return code

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> Self:
        name = "localhost" if context else None
        return cls(
            *await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def transport(self) -> asyncio.WriteTransport:
        return self._writer.transport

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def answer(self) -> Answer:
        """The next answer. Interim ones (100 Continue) have an empty body."""
        async with asyncio.timeout(READ_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("ascii")
            status_line, *lines = head.strip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status_line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(READ_S):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return  # the server was first


def request(
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    host: str | None = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> bytes:
    """The bytes of a request; JSON and its length are declared when there is a body, and `headers` win."""
    lines = {"Host": host} if host is not None else {}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + (
        body or b""
    )
