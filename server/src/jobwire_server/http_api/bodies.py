"""
Reading a request's body: within a size, within a deadline, within a total for all connections.

aiohttp has no deadline for a body, and its size limit answers in plain text; so neither is used. What can be refused by
the headers is refused before a byte of the body is read or asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from jobwire_server.errors import JobwireError
from jobwire_server.wire import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_BYTES: Final = limits.LINE_BYTES
# All bodies that are being read, together: 10,000 connections with 4 MiB each would be 40 GiB.
TOTAL_BYTES: Final = 64 * BODY_BYTES
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyReader:
    """Reads bodies. `deadline_ms` is the time that a body may take from its headers to its end."""

    def __init__(
        self, *, deadline_ms: int, limit: int = BODY_BYTES, total: int = TOTAL_BYTES
    ) -> None:
        self._deadline_ms = deadline_ms
        self._limit = limit
        self._total = total
        self._held = 0

    async def read(self, request: web.BaseRequest) -> bytes | None:
        """
        The body, or None when there is none or it is empty.

        Raises JobwireError: UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, OVERLOADED, BAD_REQUEST.
        """
        if not request.body_exists:
            return None
        _check_encoding(request.headers)
        _check_media_type(request.headers)
        self._check_declared(request.content_length)
        if request.content.is_eof():  # it came along with the headers, as small ones do
            return self._checked(request.content.read_nowait())
        await _invite(request)
        return await self._read_within_deadline(request)

    def _check_declared(self, size: int | None) -> None:
        if size is not None and size > self._limit:
            raise self._too_large()

    def _checked(self, body: bytes) -> bytes | None:
        if len(body) > self._limit:
            raise self._too_large()
        return body or None

    async def _read_within_deadline(self, request: web.BaseRequest) -> bytes | None:
        try:
            async with asyncio.timeout(self._deadline_ms / 1000):
                return await self._collect(request)
        except TimeoutError as exc:
            raise JobwireError(
                "REQUEST_TIMEOUT",
                f"The body did not arrive within {self._deadline_ms} ms",
                {"limit": self._deadline_ms},
            ) from exc
        except web.RequestPayloadError as exc:
            raise JobwireError("BAD_REQUEST", "The body's framing is broken") from exc

    async def _collect(self, request: web.BaseRequest) -> bytes | None:
        body = bytearray()
        try:
            while chunk := await request.content.readany():
                self._hold(len(chunk))
                body += chunk
                if len(body) > self._limit:
                    raise self._too_large()
            return bytes(body) or None
        finally:
            self._held -= len(body)

    def _hold(self, size: int) -> None:
        if self._held + size > self._total:
            raise JobwireError(
                "OVERLOADED",
                "The server is reading too much at a time; try again later",
                {"limit": self._total},
                retry_after_ms=1000,
            )
        self._held += size

    def _too_large(self) -> JobwireError:
        return JobwireError(
            "PAYLOAD_TOO_LARGE",
            f"The body is over {self._limit} bytes; send smaller batches",
            {"limit": self._limit},
        )


async def _invite(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`, which a client sends to learn of a refusal before it sends a large body."""
    expect = request.headers.get("Expect")
    if expect is None:
        return
    if expect.lower() != "100-continue":
        raise JobwireError("BAD_REQUEST", "The Expect header asks for something unknown")
    await request.writer.write(CONTINUE)
    request.writer.output_size = 0  # the answer itself has not begun


def _check_encoding(headers: Mapping[str, str]) -> None:
    """Bodies are never decompressed: a few kilobytes could stand for gigabytes."""
    encoding = headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise JobwireError(
            "UNSUPPORTED_MEDIA_TYPE", "Compressed bodies are not accepted; send the JSON as it is"
        )


def _check_media_type(headers: Mapping[str, str]) -> None:
    if not is_json(headers.get("Content-Type", "")):
        raise JobwireError(
            "UNSUPPORTED_MEDIA_TYPE",
            "Expected request with `Content-Type: application/json`",
        )


def is_json(content_type: str) -> bool:
    """application/json or application/*+json, in UTF-8."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {
        part.removeprefix("charset=").strip('"') for part in parameters if "charset" in part
    }
    kind, _, subtype = media_type.partition("/")
    json_type = kind == "application" and (
        subtype == "json" or (subtype.endswith("+json") and len(subtype) > 5)
    )
    return json_type and charsets <= {"utf-8", "utf8"}
