"""
Lines out of a stream of bytes (wire.md, framing).

A line is what stands before a newline; a carriage return before the newline is dropped. `LineDecoder` is fed whatever the
socket had and gives back the lines that are now complete. It keeps at most one unfinished line, of at most `limit`
bytes, and costs time linear in the input however that is cut: a newline is looked for in new bytes only.

A stream that opens in another protocol is recognised by its first bytes, before a newline is waited for: RustQueue's binary
frames, a TLS handshake, and an HTTP request (which could otherwise smuggle commands in its body).
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Flaw(Enum):
    """Why a stream cannot be read any further. The connection is answered once and closed."""

    TOO_LONG = "too_long"
    BINARY = "binary"
    TLS = "tls"
    HTTP = "http"


# The first bytes that other protocols send; none of them may begin a JSON text.
_FOREIGN_BYTES: Final = {
    0x01: Flaw.BINARY,
    0x02: Flaw.BINARY,
    0x03: Flaw.BINARY,
    0x10: Flaw.BINARY,
    0x16: Flaw.TLS,
}
_HTTP_WORDS: Final = tuple(
    word + b" "
    for word in (
        b"GET",
        b"POST",
        b"PUT",
        b"HEAD",
        b"DELETE",
        b"OPTIONS",
        b"PATCH",
        b"CONNECT",
        b"TRACE",
        b"PRI",  # HTTP/2 with prior knowledge
    )
)
_LONGEST_WORD: Final = max(map(len, _HTTP_WORDS))


class LineDecoder:
    """
    Cuts a stream into lines.

    `limit` is the longest line in bytes, without its newline and the carriage return before that (JW-TCP-2). When `flaw` is set the stream is over: the lines that `feed` has
    returned stand before the flaw, everything after is dropped.
    """

    __slots__ = ("_begun", "_partial", "flaw", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._partial = bytearray()
        self._begun = False  # the first bytes of the stream have been judged
        self.flaw: Flaw | None = None

    @property
    def buffered(self) -> int:
        """Bytes of the line that has begun and is not finished; 0 between lines."""
        return len(self._partial)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, in order, without their newlines."""
        if self.flaw is not None or not data:
            return []
        if not self._begun and self._opens_badly(data):
            return []
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines:
            lines = self._complete(lines, data)
        if rest and self.flaw is None:
            self._keep(rest)
        return lines

    def eof(self) -> list[bytes]:
        """The last line when the stream ended without a newline; nothing otherwise."""
        if self.flaw is not None or not self._partial:
            return []
        return [self._take(b"").removesuffix(b"\r")]

    def _complete(self, lines: list[bytes], data: bytes) -> list[bytes]:
        if self._partial:
            lines[0] = self._take(lines[0])
            if self._too_long(lines[0]):
                return self._fail(Flaw.TOO_LONG)
        if len(data) > self.limit:
            lines = self._within_limit(lines)
        if b"\r" in data or (lines and lines[0].endswith(b"\r")):
            lines = [line.removesuffix(b"\r") for line in lines]
        return lines

    def _within_limit(self, lines: list[bytes]) -> list[bytes]:
        for index, line in enumerate(lines):
            if self._too_long(line):
                self._fail(Flaw.TOO_LONG)
                return lines[:index]
        return lines

    def _too_long(self, line: bytes) -> bool:
        size = len(line)
        return size > self.limit and (size > self.limit + 1 or not line.endswith(b"\r"))

    def _keep(self, rest: bytes) -> None:
        size = len(self._partial) + len(rest)
        if size > self.limit and (size > self.limit + 1 or not rest.endswith(b"\r")):
            self._fail(Flaw.TOO_LONG)
        else:
            self._partial += rest

    def _take(self, last: bytes) -> bytes:
        self._partial += last
        line = bytes(self._partial)
        self._partial = bytearray()
        return line

    def _opens_badly(self, data: bytes) -> bool:
        """Judge the stream's first bytes; they are judged again until no HTTP word can come of them."""
        head = bytes(self._partial) + data[:_LONGEST_WORD]
        if head.startswith(_HTTP_WORDS):
            self._fail(Flaw.HTTP)
        elif head[0] in _FOREIGN_BYTES:
            self._fail(_FOREIGN_BYTES[head[0]])
        else:
            self._begun = not any(word.startswith(head) for word in _HTTP_WORDS)
        return self.flaw is not None

    def _fail(self, flaw: Flaw) -> list[bytes]:
        self.flaw = flaw
        self._partial = bytearray()
        return []
