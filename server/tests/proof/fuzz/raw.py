"""Bytes to a port and what comes back, for proofs that look at a peer who breaks off or never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


def sent(port: int, texts: Iterable[bytes], *, seconds: float) -> list[bytes]:
    """Each text on a connection of its own, all at once: what was answered until the server closed, or until nothing more can come."""

    async def all_of_them() -> list[bytes]:
        return list(await asyncio.gather(*(_answer(port, text, seconds) for text in texts)))

    return asyncio.run(all_of_them())


async def _answer(port: int, text: bytes, seconds: float) -> bytes:
    """A server that keeps the connection for another request is left once it has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        writer.write(text)
        async with asyncio.timeout(seconds):
            while b'"ok":false' not in said and (chunk := await reader.read(1 << 16)):
                said += chunk
    except OSError:  # which a timeout is too: nothing more will come
        return said
    finally:
        writer.transport.abort()
    return said


@dataclass(slots=True)
class Flood:
    """What became of an endless stream: bytes that the server took before it cut, and what it said."""

    taken: int = 0
    said: bytes = b""
    cut: bool = False


def flood(port: int, pieces: Iterator[bytes], *, seconds: float) -> Flood:
    """Send piece after piece until the server cuts the connection, or all were sent; and read all the while."""

    async def pour() -> Flood:
        found = Flood()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.create_task(_listen(reader, found))
        try:
            async with asyncio.timeout(seconds):
                await _send(writer, pieces, found)
                await reading
        except TimeoutError:  # an OSError too: it was taken to the end, and never cut
            return found
        except OSError:
            found.cut = True
        finally:
            reading.cancel()
            writer.transport.abort()
        return found

    return asyncio.run(pour())


async def _send(writer: asyncio.StreamWriter, pieces: Iterator[bytes], found: Flood) -> None:
    for piece in pieces:
        if found.cut:
            return
        writer.write(piece)
        await writer.drain()
        found.taken += len(piece)


async def _listen(reader: asyncio.StreamReader, found: Flood) -> None:
    try:
        while chunk := await reader.read(1 << 16):
            found.said += chunk
    except ConnectionError:
        pass  # it was cut while this side still sent
    found.cut = True
