"""The bytes of a connection to the TCP door of the fake server, cut into lines; and who has come to the wrong door. Pure."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from jobwire.testing._fake_job import Refused

LINE_BYTES: Final = 4_194_304
# What begins as a request of HTTP does, also of HTTP/2 with prior knowledge.
_HTTP: Final = re.compile(rb"(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI) ")
_HEAD_BYTES: Final = 8  # of the longest of these words, with its space
_TLS: Final = 0x16
_BINARY: Final = frozenset({0x01, 0x02, 0x03, 0x10})  # frames of RustQueue

Line: TypeAlias = "bytes | Refused"


class LineStream:
    """Lines without their ends; a Refused in place of what cannot be read, and nothing after it."""

    def __init__(self) -> None:
        self._head = b""  # the first bytes of all
        self._partial = b""
        self._is_over = False

    def push(self, chunk: bytes) -> list[Line]:
        """The lines that *chunk* completes."""
        if self._is_over:
            return []
        foreign = self._foreign(chunk)
        if foreign is not None:
            return [self._refused("UNSUPPORTED_PROTOCOL", {"saw": foreign})]
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        taken: list[Line] = []
        for line in (*lines, self._partial):
            if len(line.removesuffix(b"\r")) > LINE_BYTES:
                return [*taken, self._refused("PAYLOAD_TOO_LARGE", {"limit": LINE_BYTES})]
            taken.append(line)
        return taken[:-1]

    def end(self) -> list[Line]:
        """The last line, which needs no end (JW-TCP-5)."""
        return [self._partial] if self._partial and not self._is_over else []

    def _refused(self, code: str, details: dict[str, object]) -> Refused:
        self._is_over = True
        return Refused(code, "The connection cannot be read any further", details)

    def _foreign(self, chunk: bytes) -> str | None:
        """The protocol that the first bytes are of; None for ours."""
        if len(self._head) == _HEAD_BYTES:
            return None
        self._head += chunk[: _HEAD_BYTES - len(self._head)]
        if self._head[0] == _TLS:
            return "tls"
        if self._head[0] in _BINARY:
            return "binary"
        return "http" if _HTTP.match(self._head) else None
