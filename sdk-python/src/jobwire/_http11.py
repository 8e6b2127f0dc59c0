"""
The HTTP/1.1 of a client without sockets (RFC 9112): requests out, one response at a time in.

Only what a Jobwire server or a proxy before it sends is read: Content-Length, chunked, or until the connection
closes. Anything that two readers could understand differently is refused.

Rule 1: lengths are checked before bytes are kept.
Rule 2: a connection is used again only when the response said exactly where it ends, and nothing came after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobwire._errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD: Final = 64 * 1024  # bytes of the status line and the header fields, and of the trailer
MAX_BODY: Final = 64 * 1024 * 1024  # bytes
_MAX_CHUNK_LINE: Final = 1024  # bytes of a chunk's size and extensions

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*"
)
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_SAFE_VALUE: Final = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. Names of `headers` are lower-case; `keep_alive` says whether the connection may go on."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


def encode_request(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """
    The bytes of a request; *target* is quoted already, and `Host` is in *headers*.

    Raises:
        ValueError: A target or a header value that would break out of its line.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", target):
        raise ValueError("the target must be quoted")
    fields = dict(headers)
    if body is not None:
        fields["Content-Length"] = str(len(body))
    for name, value in fields.items():
        if not _SAFE_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} must be printable ASCII")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + (body or b"")


class ResponseReader:
    """
    Reads the response to one request.

    `feed` takes bytes as they come and gives the response once it is whole; `feed_eof` is told that no more come.
    """

    def __init__(self, *, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._buffer = bytearray()
        self._step = self._read_head
        self._minor = 1
        self._status = 0
        self._headers: dict[str, str] = {}
        self._left = 0  # bytes of the body or chunk that are still to come
        self._chunks: list[bytes] = []
        self._size = 0
        self._response: Response | None = None
        self.started = False  # whether anything came at all

    def feed(self, data: bytes) -> Response | None:
        """
        Take *data*; the response when it is whole, else None.

        Raises:
            ProtocolError: The bytes are not an HTTP/1.1 response, or go over a limit.
        """
        self.started = self.started or bool(data)
        self._buffer += data
        while self._response is None and self._step():
            pass
        return self._response

    def feed_eof(self) -> Response | None:
        """The response when the end of the connection is what ended it; None when it is incomplete."""
        if self._response is None and self._step == self._read_until_close:
            self._finish(bytes(self._buffer), keep_alive=False)
        return self._response

    # Each step does one thing with the buffer and says whether it could; it sets the step that follows.

    def _read_head(self) -> bool:
        if not b"HTTP/1.".startswith(self._buffer[:7]):
            raise _refused("the peer does not answer in HTTP/1.1; is this the HTTP port?")
        end = self._buffer.find(b"\r\n\r\n", 0, self._max_head + 4)
        if end < 0:
            if len(self._buffer) > self._max_head:
                raise _refused(f"the head of the response is over {self._max_head} bytes")
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._parse_head(head)
        if 100 <= self._status < 200:
            return self._skip_informational()
        self._choose_framing()
        return True

    def _skip_informational(self) -> bool:
        if self._status == 101:
            raise _refused("the peer switched protocols, which nobody asked for")
        return True  # and the step stays: the next head follows

    def _parse_head(self, head: bytes) -> None:
        first, *rest = head.split(b"\r\n")
        match = _STATUS.fullmatch(first)
        if match is None:
            raise _refused("the status line is malformed")
        self._minor, self._status = int(match.group(1)), int(match.group(2))
        self._headers = {}
        for line in rest:
            self._parse_field(line)

    def _parse_field(self, line: bytes) -> None:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise _refused("a header field is malformed")
        name, value = match.group(1).decode().lower(), match.group(2).decode("latin-1")
        if name in self._headers:
            if name in ("content-length", "transfer-encoding"):
                raise _refused(f"the response has {name} twice")
            value = f"{self._headers[name]}, {value}"
        self._headers[name] = value

    def _choose_framing(self) -> None:
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        if coding is not None:
            self._expect_chunked(coding, length)
        elif self._status in (204, 304):
            self._finish(b"", keep_alive=self._wants_keep_alive())
        elif length is not None:
            self._expect_length(length)
        else:
            self._step = self._read_until_close

    def _expect_chunked(self, coding: str, length: str | None) -> None:
        if length is not None or coding.lower() != "chunked" or self._minor == 0:
            raise _refused("the framing of the response is ambiguous")
        self._step = self._read_chunk_size

    def _expect_length(self, length: str) -> None:
        if not re.fullmatch("[0-9]{1,18}", length):
            raise _refused("the content-length of the response is no number")
        self._left = self._checked(int(length))
        self._step = self._read_length

    def _checked(self, size: int) -> int:
        self._size += size
        if self._size > self._max_body:
            raise _refused(f"the body of the response is over {self._max_body} bytes")
        return size

    def _read_length(self) -> bool:
        if len(self._buffer) < self._left:
            return False
        body = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._finish(body, keep_alive=self._wants_keep_alive())
        return True

    def _read_until_close(self) -> bool:
        if len(self._buffer) > self._max_body:
            raise _refused(f"the body of the response is over {self._max_body} bytes")
        return False

    def _read_chunk_size(self) -> bool:
        line = self._take_line(_MAX_CHUNK_LINE)
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise _refused("the size of a chunk is malformed")
        self._left = self._checked(int(match.group(1), 16))
        self._step = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        if len(self._buffer) < self._left + 2:
            return False
        if self._buffer[self._left : self._left + 2] != b"\r\n":
            raise _refused("a chunk is longer than it says")
        self._chunks.append(bytes(self._buffer[: self._left]))
        del self._buffer[: self._left + 2]
        self._step = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._take_line(self._max_head)
        if line is None:
            return False
        if line:  # read and dropped; counted, so that it cannot go on for ever
            self._max_head -= len(line)
            return True
        self._finish(b"".join(self._chunks), keep_alive=self._wants_keep_alive())
        return True

    def _take_line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) > limit:
                raise _refused(f"a line of the response is over {limit} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _wants_keep_alive(self) -> bool:
        options = {
            option.strip().lower() for option in self._headers.get("connection", "").split(",")
        }
        return "close" not in options and (self._minor == 1 or "keep-alive" in options)

    def _finish(self, body: bytes, *, keep_alive: bool) -> None:
        clean = not self._buffer or self._step == self._read_until_close
        self._response = Response(self._status, self._headers, body, keep_alive and clean)


def _refused(message: str) -> ProtocolError:
    return ProtocolError("PROTOCOL_ERROR", message)
