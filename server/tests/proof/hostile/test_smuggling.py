"""T37: bodies that explode, headers and chunks without end, and requests that hide in others."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.proof.hostile.attacked import ask, rest_of, weakened
from tests.proof.hostile.naive_http import naive_http
from tests.proof.hostile.process_memory import MIB, forget_peak, peak
from tests.proof.hostile.smuggled_requests import (
    GET,
    HEAD,
    QUEUE,
    QUIET_S,
    answers_to,
    cases,
    misled,
)
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

BOMB_BYTES = 64 * MIB
CHUNKS = round(1_000_000 * min(SCALE, 1))
GROWTH_BYTES = 32 * MIB  # what any of these may make the server take, all together
LEAST_CASES = 50


def _bombs() -> dict[str, bytes]:
    """Small bodies that stand for BOMB_BYTES. Brotli and zstd have no encoder here; they are refused by their name."""
    text = b'{"name":"n","data":"' + b" " * BOMB_BYTES + b'"}'
    packed = gzip.compress(text, 9)
    return {
        "gzip": packed,
        "x-gzip": packed,
        "deflate": zlib.compress(text, 9),
        "br": packed,
        "zstd": packed,
        "gzip, gzip": gzip.compress(packed),
    }


def _bomb(encoding: str, packed: bytes) -> bytes:
    fields = f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    return HEAD + fields.encode() + packed


def _send(server: Launched, data: bytes) -> int:
    """The status of the one answer."""
    with socket.create_connection(("127.0.0.1", server.http), 60) as raw:
        _send_while_heard(raw, data)
        heard = rest_of(raw, quiet_s=QUIET_S)
    statuses = [int(part[:3]) for part in heard.split(b"HTTP/1.1 ")[1:]]
    assert len(statuses) <= 1, heard[:500]
    return statuses[0] if statuses else 0


def _send_while_heard(raw: socket.socket, data: bytes) -> None:
    """The server may have refused, and hung up, before all is sent."""
    try:
        raw.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


def _many_chunks(server: Launched) -> int:
    return _send(
        server,
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * CHUNKS
        + b"c\r\n"
        + b'{"name":"n"}'
        + b"\r\n0\r\n\r\n",
    )


def _many_headers(server: Launched) -> int:
    return _send(server, GET + b"A: b\r\n" * 10_000 + b"\r\n")


def _long_trailer(server: Launched) -> int:
    return _send(
        server,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 1_000_000 + b"\r\n",
    )


def _long_extension(server: Launched) -> int:
    return _send(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"a" * 16 * MIB)


# 0: the server hung up in the middle, and the answer may be lost by the reset.
HEAPS: dict[str, tuple[Callable[[Launched], int], set[int]]] = {
    "a million chunks of one byte": (_many_chunks, {201, 408}),
    "10,000 headers": (_many_headers, {0, 400}),
    "a million trailers": (_long_trailer, {0, 400, 408, 413}),
    "a chunk extension of 16 MiB": (_long_extension, {0, 400, 408, 413}),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Launched]:
    with launched(tmp_path, settings="[server]\nread_timeout_ms = 2000\n") as server:
        yield server


def test_nothing_explodes_and_no_request_hides_in_another(server: Launched) -> None:
    began = time.monotonic()
    tried = list(cases())
    wrong = misled(server.http, lambda: server.counts(QUEUE)["waiting"], tried)
    at_rest = forget_peak(server.pid)
    for encoding, packed in _bombs().items():
        status = _send(server, _bomb(encoding, packed))
        wrong += [] if status == 415 else [f"bomb {encoding}: {status}"]
    for name, (heap, allowed) in HEAPS.items():
        status = heap(server)
        wrong += [] if status in allowed else [f"{name}: {status}"]
    grown = peak(server.pid) - at_rest
    publish(
        Figure(
            test="T37",
            title="bombs, heaps and smuggled requests",
            promises=("C9",),
            seed=SEED,
            what="attacks",
            tries=len(tried) + len(_bombs()) + len(HEAPS),
            bad=len(wrong),
            bar=f"refused or one answer, never two requests of one, memory +≤ {GROWTH_BYTES // MIB} MiB",
            seconds=time.monotonic() - began,
            control="a loose reader saw second requests, a decompressing server grew by the bomb",
            numbers={"smuggling": len(tried), "chunks": CHUNKS, "grown_mib": round(grown / MIB, 1)},
        )
    )
    assert wrong == []
    assert len(tried) >= LEAST_CASES
    assert grown <= GROWTH_BYTES
    assert ask(server.http, "GET", "/health").json["status"] == "healthy"
    assert "INTERNAL_ERROR" not in server.log


def test_a_bomb_that_goes_off_is_caught(tmp_path: Path) -> None:
    """The control: a server that decompresses bodies takes as much memory as the bomb stands for."""
    with launched(tmp_path, entry=weakened("decompressing")) as server:
        at_rest = forget_peak(server.pid)
        _send(server, _bomb("gzip", _bombs()["gzip"]))

        assert peak(server.pid) - at_rest > BOMB_BYTES > GROWTH_BYTES


def test_a_loose_reader_is_caught() -> None:
    """The control: a server that takes the first length and knows no chunks sees second requests."""
    with naive_http() as port:
        found = misled(port, lambda: 0, list(cases()))
        assert answers_to(port, GET + b"\r\n") == [200]

    assert len(found) > len(list(cases())) // 2
