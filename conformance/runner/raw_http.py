"""Raw HTTP/1.1: bytes out exactly as a case has them, and responses read without the help of a library."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from conformance.runner.operations import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.runner.exchange import Headers

_HEAD_END: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ?[^\r\n]*")
_NO_BODY: Final = frozenset({204, 304})
PAUSE_S: Final = 0.002  # between chunks, so that the other side reads them one by one


class BrokenResponse(AssertionError):  # noqa: N818 - named for what it says
    """Bytes that are no HTTP/1.1 response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The bytes of a request, and what can be read of them."""

    data: bytes
    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of a header, joined as RFC 9110 allows; None when it is not there."""
        values = [value for each, value in self.headers if each == name.lower()]
        return ", ".join(values) if values else None


def request_of(step: Mapping[str, Any], *, host: str, base_path: str) -> list[Request]:
    """The request of an `http:` step; of `raw` bytes there may be several. Values are resolved already."""
    if "raw" in step:
        return parse_requests(str(step["raw"]).encode())
    target = step.get("target") or base_path + step["path"]
    if step.get("query"):
        target += ("&" if "?" in target else "?") + urlencode(step["query"], doseq=True)
    body, media_type = _body(step)
    headers = {"Host": host, "Content-Type": media_type, "Content-Length": _length(step, body)}
    pairs = _headers(headers, step.get("headers", {}))
    lines = [f"{step['method']} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    head = "\r\n".join(lines).encode("utf-8") + _HEAD_END
    lowered = tuple((name.lower(), value) for name, value in pairs)
    return [
        Request(data=head + body, method=step["method"], target=target, headers=lowered, body=body)
    ]


def _body(step: Mapping[str, Any]) -> tuple[bytes, str | None]:
    if "json" in step:
        return encode(step["json"]), "application/json"
    if "text" in step:
        return str(step["text"]).encode(), "application/json"
    if "hex" in step:
        return bytes.fromhex(step["hex"]), "application/json"
    return b"", None


def _length(step: Mapping[str, Any], body: bytes) -> str | None:
    has_body = bool({"json", "text", "hex"} & step.keys())
    return str(len(body)) if has_body or step["method"] not in ("GET", "HEAD", "DELETE") else None


def _headers(usual: Mapping[str, str | None], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The usual headers unless the case has them; null leaves one out, and a list repeats it."""
    names = {name.lower() for name in given}
    pairs = [
        (name, value)
        for name, value in usual.items()
        if value is not None and name.lower() not in names
    ]
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, str(each)) for each in values if each is not None]
    return pairs


def parse_requests(data: bytes) -> list[Request]:
    """What can be read of raw bytes: at least one request, with an empty method when there is none to be read."""
    requests: list[Request] = []
    rest = data
    while rest or not requests:
        head, found, behind = rest.partition(_HEAD_END)
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        headers = tuple(
            (name.strip().lower(), value.strip())
            for name, colon, value in (line.partition(":") for line in lines[1:])
            if colon
        )
        length = next((value for name, value in headers if name == "content-length"), "0")
        size = int(length) if length.isascii() and length.isdigit() else len(behind)
        requests.append(
            Request(
                data=data if not requests else b"",
                method=words[0] if len(words) > 1 else "",
                target=words[1] if len(words) > 1 else "",
                headers=headers,
                body=behind[:size],
            )
        )
        rest = behind[size:] if found else b""
    return requests


class RawConnection:
    """One socket. `eof` is set when the server has ended its side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = b""
        self.eof = False

    @classmethod
    async def open(cls, host: str, port: int) -> RawConnection:
        return cls(*await asyncio.open_connection(host, port))

    async def send(self, data: bytes, chunks: Any = None, *, half_close: bool = False) -> None:
        """Send in pieces; a server that has closed meanwhile is no error, its answer says why."""
        with contextlib.suppress(ConnectionError):
            await send_chunks(self._writer, data, chunks)
            if half_close:
                self._writer.write_eof()

    async def receive(self, *, method: str) -> Response | None:
        """The next response, None when the connection ended before its first byte. BrokenResponse for half a one."""
        head = await self._until(_HEAD_END)
        if head is None:
            return None
        status, headers = _parse_head(head)
        while status in (100, 103):  # an interim response; the real one follows
            head = await self._until(_HEAD_END)
            if head is None:
                raise BrokenResponse("the connection ended after an interim response")
            status, headers = _parse_head(head)
        response = Response(status=status, headers=headers, body=b"")
        if method == "HEAD" or status in _NO_BODY:
            return response
        return Response(status=status, headers=headers, body=await self._body(response))

    async def _body(self, response: Response) -> bytes:
        if (response.header("transfer-encoding") or "").lower() == "chunked":
            return await self._chunked()
        length = response.header("content-length")
        if length is not None:
            return await self._exactly(int(length))
        while await self._more():
            pass
        body, self._buffer = self._buffer, b""
        return body

    async def _chunked(self) -> bytes:
        body = b""
        while True:
            line = await self._until(b"\r\n")
            if line is None:
                raise BrokenResponse("the connection ended within a chunked body")
            size = int(line.split(b";")[0], 16)
            body += (await self._exactly(size + 2))[:size]
            if size == 0:
                return body

    async def closes(self, within_s: float) -> bool:
        """Whether the server ends the connection in time, without a byte more."""
        if self._buffer:
            raise BrokenResponse(f"bytes behind the response: {self._buffer[:200]!r}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if await self._more():
                    raise BrokenResponse(f"bytes behind the response: {self._buffer[:200]!r}")
        return self.eof

    async def _more(self) -> bool:
        if self.eof:
            return False
        try:
            data = await self._reader.read(65536)
        except ConnectionError:
            data = b""
        self._buffer += data
        self.eof = not data
        return bool(data)

    async def _until(self, end: bytes) -> bytes | None:
        while end not in self._buffer:
            if not await self._more():
                if self._buffer:
                    raise BrokenResponse(f"the connection ended within {self._buffer[:200]!r}")
                return None
        head, _, self._buffer = self._buffer.partition(end)
        return head

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._more():
                raise BrokenResponse(f"the body has {len(self._buffer)} of {size} bytes")
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _parse_head(head: bytes) -> tuple[int, Headers]:
    first, *lines = head.split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if not found:
        raise BrokenResponse(f"no status line: {first[:200]!r}")
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return int(found[1]), tuple((name.lower(), value.strip()) for name, _, value in pairs)


async def send_chunks(writer: asyncio.StreamWriter, data: bytes, chunks: Any) -> None:
    """Write `data` in the pieces that `chunks` says: [3, 1, rest], or `bytewise`; what is left over is a last piece."""
    for index, piece in enumerate(cut(data, chunks)):
        if index:
            await asyncio.sleep(0 if chunks == "bytewise" else PAUSE_S)
        writer.write(piece)
        await writer.drain()


def cut(data: bytes, chunks: Any) -> list[bytes]:
    """The pieces of some bytes."""
    if chunks is None:
        return [data]
    sizes = [1] * len(data) if chunks == "bytewise" else list(chunks)
    pieces = []
    for size in sizes:
        wanted = len(data) if size == "rest" else size
        pieces.append(data[:wanted])
        data = data[wanted:]
    return [piece for piece in [*pieces, data] if piece]
