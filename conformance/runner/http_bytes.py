"""HTTP/1.1 messages out of a stream of bytes, for peers that watch or play a part; no sockets here, and no judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from conformance.runner.exchange import Headers, headers_of

_CHUNK: Final = re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n")
_NO_BODY: Final = frozenset({204, 304})

Side = Literal["request", "response"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMessage:
    """A request (`method`, `target`) or a response (`status`) that is whole."""

    method: str = ""
    target: str = ""
    status: int = 0
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)


class HttpReader:
    """Feed it the bytes of one direction of a connection; each whole message comes out once."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._buffer = bytearray()

    @property
    def unfinished(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[HttpMessage]:
        self._buffer += data
        found = []
        while (message := self._take()) is not None:
            found.append(message)
        return found

    def _take(self) -> HttpMessage | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *fields = bytes(self._buffer[:end]).split(b"\r\n")
        headers = headers_of(tuple(field.partition(b":")[::2]) for field in fields)  # type: ignore[misc]
        headers = tuple((name, value.strip()) for name, value in headers)
        sized = self._body(first, headers, end + 4)
        if sized is None:
            return None
        body, length = sized
        del self._buffer[:length]
        words = first.decode("latin-1").split(" ", 2)
        if self._side == "request":
            return HttpMessage(method=words[0], target=words[1], headers=headers, body=body)
        return HttpMessage(status=int(words[1]), headers=headers, body=body)

    def _body(self, first: bytes, headers: Headers, start: int) -> tuple[bytes, int] | None:
        """The body and where it ends; None while it is not whole."""
        known = dict(headers)
        if "chunked" in known.get("transfer-encoding", ""):
            return self._chunked(start)
        if self._side == "response" and int(first.split(b" ")[1]) in _NO_BODY:
            return b"", start
        end = start + int(known.get("content-length", "0"))
        return (bytes(self._buffer[start:end]), end) if len(self._buffer) >= end else None

    def _chunked(self, at: int) -> tuple[bytes, int] | None:
        body = bytearray()
        while (size := _CHUNK.match(self._buffer, at)) is not None:
            at, length = size.end(), int(size[1], 16)
            if len(self._buffer) < at + length + 2:
                return None
            body += self._buffer[at : at + length]
            at += length + 2
            if length == 0:
                return bytes(body), at
        return None
