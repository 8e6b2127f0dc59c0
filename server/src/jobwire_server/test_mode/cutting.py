"""A transport that dies in the midst of what it is given to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from typing_extensions import Buffer


class _HalfTransport:
    """
    Sends the first half of the next write, not counting what ends with `head_end`, and closes; later writes go nowhere. Everything else
    is the transport's.
    """

    def __init__(self, transport: asyncio.Transport, head_end: bytes) -> None:
        self._transport = transport
        self._head_end = head_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Buffer) -> None:
        if not self._transport.is_closing():
            whole = bytes(data)
            head = whole.find(self._head_end) + len(self._head_end)
            self._transport.write(whole[: (head + len(whole)) // 2])
            self._transport.close()

    def writelines(self, parts: Iterable[Buffer]) -> None:
        self.write(b"".join(parts))


def half_line(transport: asyncio.Transport) -> asyncio.Transport:
    """The same transport, which will send half of what it is given next."""
    return cast("asyncio.Transport", _HalfTransport(transport, b""))


def half_body(transport: asyncio.Transport) -> asyncio.Transport:
    """The same transport, which will send the headers and half of the body of the next answer."""
    return cast("asyncio.Transport", _HalfTransport(transport, b"\r\n\r\n"))
