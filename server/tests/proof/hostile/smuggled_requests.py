"""
Bytes that two readers may split into requests differently (request smuggling), and counting what a server made of them.

Each case is one request whose framing is doubtful, and behind or inside it a second one, SMUGGLED, that pushes a job. A server may refuse the
first or serve it; it must never see the second.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.proof.hostile.attacked import rest_of

QUEUE = "smuggled"
BODY = b'{"name":"n"}'
SMUGGLED = (
    b"POST /api/v1/queues/smuggled/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 12\r\n\r\n" + BODY
)
HEAD = b"POST /api/v1/queues/first/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
LENGTH_OF_ALL = b"Content-Length: %d\r\n" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
QUIET_S = 0.25  # a connection that stays open says nothing more; not closed from here, as half a close may end a request
NO_CHUNKS = b"\r\n0\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")

# What stands between HEAD and SMUGGLED. A length of all makes SMUGGLED the body; chunks make it a request of its own.
FRAMINGS = {
    "length and chunks": LENGTH_OF_ALL + CHUNKED + NO_CHUNKS,
    "chunks and length": CHUNKED + LENGTH_OF_ALL + NO_CHUNKS,
    "no length and chunks": b"Content-Length: 0\r\n" + CHUNKED + NO_CHUNKS,
    "chunks twice": CHUNKED + CHUNKED + NO_CHUNKS,
    "chunks and identity": CHUNKED + b"Transfer-Encoding: identity\r\n" + NO_CHUNKS,
    "chunks, not last": b"Transfer-Encoding: chunked, identity\r\n" + NO_CHUNKS,
    "gzip and chunks in a list": b"Transfer-Encoding: gzip, chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "misspelt chunks": b"Transfer-Encoding: xchunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "quoted chunks": b'Transfer-Encoding: "chunked"\r\n' + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks after a vertical tab": b"Transfer-Encoding:\x0bchunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks after a NUL": b"Transfer-Encoding: \x00chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks, folded": b"Transfer-Encoding:\r\n chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks folded into another field": b"X: a\r\n Transfer-Encoding: chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "a space before the colon": b"Transfer-Encoding : chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "a tab before the colon": b"Content-Length\t: 0\r\n" + LENGTH_OF_ALL + b"\r\n",
    "chunks behind a bare newline": b"X: a\nTransfer-Encoding: chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks behind a bare return": b"X: a\rTransfer-Encoding: chunked\r\n" + LENGTH_OF_ALL + NO_CHUNKS,
    "chunks with an underscore": b"Transfer_Encoding: chunked\r\n" + LENGTH_OF_ALL + CHUNKED + NO_CHUNKS,
    "two lengths": b"Content-Length: 0\r\n" + LENGTH_OF_ALL + b"\r\n",
    "two lengths, the other way round": LENGTH_OF_ALL + b"Content-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED),
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": b"Content-Length: 0x0\r\n\r\n",
    "a length with a space": b"Content-Length: 0 0\r\n\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\n\r\n",
    "a length behind a bare newline": b"X: a\nContent-Length: 0\r\n" + LENGTH_OF_ALL + b"\r\n",
    "a chunk size with 0x": CHUNKED + b"\r\n0x0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"\r\n+0\r\n\r\n",
    "a chunk size with an underscore": CHUNKED + b"\r\n0_0\r\n\r\n",
    "a chunk size after a space": CHUNKED + b"\r\n 0\r\n\r\n",
    "a chunk size of 17 digits": CHUNKED + b"\r\n1" + b"0" * 16 + b"\r\n",
    "a bare newline after the chunk size": CHUNKED + b"\r\n0\n\r\n",
    "a bare newline in a chunk extension": CHUNKED + b"\r\n2;a\n{}\r\n0\r\n\r\n",
    "a bare return in a chunk extension": CHUNKED + b"\r\n2;a\rb\r\n{}\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"\r\n2\r\n{}0\r\n\r\n",
    "a chunk with a bare newline as its end": CHUNKED + b"\r\n2\r\n{}\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"\r\n2\r\n{}}}\r\n0\r\n\r\n",
    "headers that end in bare newlines": b"Content-Length: 0\n\n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One try: the bytes, and how many answers a server may give at most."""

    name: str
    data: bytes
    answers: int = 1


def cases() -> Iterator[Case]:
    """Every doubtful framing, and second requests inside of what is plainly a body or plainly behind an error."""
    for name, framing in FRAMINGS.items():
        yield Case(name, HEAD + framing + SMUGGLED)
    yield Case("a whole request as the body", HEAD + LENGTH_OF_ALL + b"\r\n" + SMUGGLED)
    yield Case(
        "a whole request as a chunk",
        HEAD + CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    )
    yield Case("a whole request as a trailer", HEAD + CHUNKED + b"\r\n0\r\n" + SMUGGLED)
    yield Case("a length in a trailer", HEAD + CHUNKED + b"\r\n0\r\nContent-Length: 9\r\n\r\n")
    yield Case("an upgrade with a body", GET + UPGRADE + LENGTH_OF_ALL + b"\r\n" + SMUGGLED)
    yield Case(
        "an upgrade with chunks",
        GET + UPGRADE + CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    )
    yield Case(
        "h2c with a body",
        GET
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
        + LENGTH_OF_ALL
        + b"\r\n"
        + SMUGGLED,
    )
    yield Case("behind a request that cannot be read", b"{} / HTTP/1.1\r\n\r\n" + SMUGGLED)
    yield Case("behind one without a Host", b"GET /api/v1/queues HTTP/1.1\r\n\r\n" + SMUGGLED)
    yield Case(
        "behind HTTP/1.0", b"GET /api/v1/queues HTTP/1.0\r\nHost: localhost\r\n\r\n" + SMUGGLED
    )
    yield Case("behind Connection: close", GET + b"Connection: close\r\n\r\n" + SMUGGLED)
    yield Case(
        "behind a body of another type",
        HEAD.replace(b"json", b"xml") + b"Content-Length: 999\r\n\r\n" + SMUGGLED,
    )
    yield Case(
        "behind a body that is too long", HEAD + b"Content-Length: 99999999\r\n\r\n" + SMUGGLED
    )


def answers_to(port: int, data: bytes) -> list[int]:
    """The statuses of all answers that a server gives to these bytes before it hangs up or falls silent."""
    with socket.create_connection(("127.0.0.1", port), 20) as raw:
        raw.sendall(data)
        heard = rest_of(raw, quiet_s=QUIET_S)
    return [int(status) for status in _STATUS.findall(heard)]


def misled(port: int, pushed: Callable[[], int], tried: list[Case]) -> list[str]:
    """The cases of which the server made more than one request, or that pushed the smuggled job."""
    found, jobs = [], pushed()
    for case in tried:
        statuses = answers_to(port, case.data)
        if len(statuses) > case.answers or pushed() != jobs or any(s >= 500 for s in statuses):
            found.append(f"{case.name}: {statuses}")
            jobs = pushed()
    return found
