"""Feed a real server over its sockets: streams and requests that are cut at random, several at a time; each connection is ended by this side.

What is looked for: an answer that is no JSON or not in the catalogue, INTERNAL_ERROR, a trace in the server's log, and a server that does not serve any more.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.acceptance.processes import Server
from tests.proof.fuzz.inputs import Inputs

from jobwire_server.error_codes import ERROR_CODES

AT_ONCE: Final = 32
QUIET_S: Final = 0.25  # an HTTP pull may be held for longer than this: it is given up
END_S: Final = (
    10.0  # a TCP connection whose stream has ended is answered and closed well within this
)
WARM: Final = 300  # connections before the server's memory is looked at
_HEAD: Final = re.compile(rb"HTTP/1\.[01] \d{3} .*?\r\n\r\n", re.DOTALL)
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
TRACES: Final = ("Traceback", "tcp.bug", "http.failed", "INTERNAL_ERROR", "housekeeping.failed")


@dataclass(slots=True)
class Report:
    seed: int
    connections: int = 0
    answers: int = 0
    bugs: list[str] = field(default_factory=list)
    grown_bytes: int = 0
    slowest_ping_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What one connection is sent, in pieces."""

    door: str
    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.door} {b''.join(self.pieces).hex()[:4000]}"


def run(server: Server, seed: int, connections: int) -> Report:
    report, inputs = Report(seed), Inputs(seed)
    base = 0
    while report.connections < connections and not report.bugs:
        streams = [_drawn(inputs) for _ in range(min(100, connections - report.connections))]
        asyncio.run(_send_all(server, streams, report))
        report.connections += len(streams)
        report.slowest_ping_ms = max(report.slowest_ping_ms, _ping(server))
        if not base and report.connections >= WARM:
            base = server.rss
    report.grown_bytes = max(0, server.rss - base) if base else 0
    report.bugs += [f"the log has {trace}" for trace in TRACES if trace in server.log]
    return report


def _drawn(inputs: Inputs) -> Stream:
    door = "http" if inputs.random.random() < 0.4 else "tcp"
    data = inputs.http() if door == "http" else inputs.stream()
    return Stream(door, tuple(inputs.pieces(data)))


async def _send_all(server: Server, streams: list[Stream], report: Report) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def send(stream: Stream) -> None:
        async with room:
            said = await _said(server, stream, report)
            report.bugs += [f"{stream}: {wrong}" for wrong in _wrong(stream.door, said, report)]

    async with asyncio.TaskGroup() as tasks:
        for stream in streams:
            tasks.create_task(send(stream))


async def _said(server: Server, stream: Stream, report: Report) -> bytes:
    """All that the server answers until it closes, or is quiet."""
    port = server.tcp if stream.door == "tcp" else server.http
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = bytearray()
    try:
        for piece in stream.pieces:
            writer.write(piece)
            await writer.drain()
        if stream.door == "tcp":
            writer.write_eof()
        async with asyncio.timeout(END_S if stream.door == "tcp" else QUIET_S):
            while chunk := await reader.read(1 << 16):
                said += chunk
    except TimeoutError:
        if stream.door == "tcp":
            report.bugs.append(f"{stream}: the connection was not closed")
    except OSError:
        pass  # the server has answered and cut the rest off, as it may (JW-TCP-8, JW-TCP-9)
    finally:
        writer.transport.abort()
    return bytes(said)


def _wrong(door: str, said: bytes, report: Report) -> list[str]:
    texts = said.splitlines() if door == "tcp" else list(_bodies(said))
    report.answers += len(texts)
    return [wrong for text in texts if (wrong := _wrong_with(text))]


def _bodies(said: bytes) -> Iterator[bytes]:
    """The bodies of HTTP answers that are JSON and came whole."""
    while head := _HEAD.match(said):
        length = _LENGTH.search(head[0])
        end = head.end() + (int(length[1]) if length else 0)
        if b"json\r\n" in head[0] and len(said) >= end:
            yield said[head.end() : end]
        said = said[end:]


def _wrong_with(text: bytes) -> str | None:
    try:
        answer = json.loads(text, parse_int=str)
    except ValueError:
        return f"not JSON: {text[:200]!r}"
    code = (answer.get("error") or {}).get("code")
    known = code is None or (code in ERROR_CODES and code != "INTERNAL_ERROR")
    return None if known else f"{code}: {text[:300]!r}"


def _ping(server: Server) -> float:
    """How long a new connection takes to be answered, in ms: the server serves after what it was sent."""
    began = time.perf_counter()
    with server.connect() as lines:
        assert lines.call(cmd="ping")["ok"] is True
    return round((time.perf_counter() - began) * 1_000, 1)
