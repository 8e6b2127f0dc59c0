"""
Clients that take their time: the kinds of slowloris, for both doors.

Each opens a socket, sends `first`, then maybe one byte of `drip` at a time at an even pace, and waits to be cut. None of them ever makes a
complete request.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = (
    b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
OPENS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What one kind of slow client does. `first` has %s for the token where it needs one."""

    name: str
    door: str  # http or tcp
    first: bytes = b""
    drip: bytes = b""


def kinds(token: str) -> tuple[Kind, ...]:
    """All kinds, with a good token where the attack begins behind the gate."""
    bearer = HEAD + f"Authorization: Bearer {token}\r\n".encode()
    hello = f'{{"cmd":"hello","v":[2],"rid":1,"token":"{token}"}}\n'.encode()
    return (
        Kind(name="idle", door="http"),
        Kind(name="half header", door="http", first=HEAD),
        Kind(name="dripped header", door="http", first=HEAD + b"X: ", drip=b"a"),
        Kind(name="half body", door="http", first=bearer + b'Content-Length: 99\r\n\r\n{"name":'),
        Kind(
            name="dripped body",
            door="http",
            first=bearer + b"Content-Length: 9999\r\n\r\n{",
            drip=b" ",
        ),
        Kind(
            name="dripped chunks",
            door="http",
            first=bearer + b"Transfer-Encoding: chunked\r\n\r\n",
            drip=b"1\r\n \r\n",
        ),
        Kind(name="idle before hello", door="tcp"),
        Kind(name="half line", door="tcp", first=b'{"cmd":"hello","v":'),
        Kind(name="dripped line", door="tcp", first=hello + b'{"cmd":"ping","rid":', drip=b" "),
        Kind(name="idle after hello", door="tcp", first=hello),
    )


@dataclass(slots=True)
class Fate:
    """How long one slow client was suffered, in seconds; None when it was never cut."""

    kind: str
    cut_after: float | None = None


async def attack(
    ports: dict[str, int], all_kinds: Sequence[Kind], each: int, *, drip_s: float, patience_s: float
) -> list[Fate]:
    """`each` sockets of every kind at a time; their fates, once all are cut or `patience_s` is over."""
    opening = asyncio.Semaphore(OPENS_AT_ONCE)
    order = itertools.chain.from_iterable([all_kinds] * each)
    clients = [_suffer(ports[kind.door], kind, opening, drip_s, patience_s) for kind in order]
    return await asyncio.gather(*clients)


async def _suffer(
    port: int, kind: Kind, opening: asyncio.Semaphore, drip_s: float, patience_s: float
) -> Fate:
    fate = Fate(kind.name)
    async with opening:
        began = time.monotonic()  # before the server can have begun to count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(kind.first)
    dripping = asyncio.create_task(_drip(writer, kind.drip, drip_s))
    try:
        async with asyncio.timeout(patience_s):
            await _until_cut(reader)
            fate.cut_after = time.monotonic() - began
    except TimeoutError:
        fate.cut_after = None
    finally:
        dripping.cancel()
        writer.transport.abort()
    return fate


async def _until_cut(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        return


async def _drip(writer: asyncio.StreamWriter, drip: bytes, pause_s: float) -> None:
    while drip and not writer.is_closing():
        await asyncio.sleep(pause_s)
        writer.write(drip)


def survivors(fates: Iterable[Fate], limit_s: float) -> list[Fate]:
    """Who was never cut, or later than the limit."""
    return [fate for fate in fates if fate.cut_after is None or fate.cut_after > limit_s]
