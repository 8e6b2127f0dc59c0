"""T35: a line, a header, a URL or a body without end is cut at its limit, and memory stays flat (JW-LIMIT-4, JW-TCP-8; guarantees C9).

PROOF_SCALE multiplies what is sent: 16 makes each stream 1 GiB.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import pytest
from tests.acceptance.processes import Server
from tests.proof.fuzz.faulty_parsers import faulty_server
from tests.proof.fuzz.raw import Flood, flood
from tests.proof.hostile.process_memory import forget_peak, peak
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

STREAM = int(
    (64 << 20) * max(0.3, SCALE)
)  # bytes; a server that keeps them grows by more than FLAT
PIECE = 1 << 16
SECONDS = 60 * max(1.0, SCALE)
FLAT = 16 << 20  # bytes: one line and one body of 4 MiB each, twice while they grow
TIMES = 2  # streams of each kind
HEAD = (
    b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`codes` are what may be said to it."""

    name: str
    door: str
    start: bytes
    piece: bytes
    codes: tuple[str, ...]

    def pieces(self) -> Iterator[bytes]:
        return chain([self.start], repeat(self.piece, STREAM // len(self.piece)))


CHUNK = b"%X\r\n%b\r\n" % (PIECE, b"x" * PIECE)
KINDS = (
    Kind("line", "tcp", b'{"cmd":"push","queue":"q","name":"n","data":"', b"x" * PIECE, ("PAYLOAD_TOO_LARGE",)),
    Kind("line of brackets", "tcp", b"", b"[" * PIECE, ("PAYLOAD_TOO_LARGE",)),
    Kind("line of NUL bytes", "tcp", b"", bytes(PIECE), ("PAYLOAD_TOO_LARGE",)),
    Kind("line behind good ones", "tcp", b'{"cmd":"ping"}\n' * 100, b"x" * PIECE, ("PAYLOAD_TOO_LARGE",)),
    Kind("URL", "http", b"GET /", b"a" * PIECE, ("BAD_REQUEST",)),
    Kind("header", "http", HEAD + b"A: ", b"b" * PIECE, ("BAD_REQUEST",)),
    Kind("name of a header", "http", HEAD, b"b" * PIECE, ("BAD_REQUEST",)),
    Kind("headers", "http", HEAD, b"A: b\r\n" * (PIECE // 6), ("BAD_REQUEST",)),
    Kind("chunked body", "http", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, ("PAYLOAD_TOO_LARGE",)),
    Kind("declared body", "http", HEAD + b"Content-Length: %d\r\n\r\n" % STREAM, b"x" * PIECE, ("PAYLOAD_TOO_LARGE",)),
)  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    server.end()


@dataclass(slots=True)
class Outcome:
    streams: int = 0
    sent: int = 0  # bytes, of all streams
    longest: int = 0  # bytes that one stream got rid of before it was cut
    told: int = 0  # streams that read why
    grown: int = 0  # bytes, the most for one kind


def wrong_with(
    server: Server, kind: Kind, outcome: Outcome, times: int = TIMES, seconds: float = SECONDS
) -> list[str]:
    """Send a kind so many times, one after another; what was not as it must be."""
    assert server._process is not None
    pid = server._process.pid
    before = forget_peak(pid)
    port = server.tcp if kind.door == "tcp" else server.http
    floods = [flood(port, kind.pieces(), seconds=seconds) for _ in range(times)]
    grown = peak(pid) - before
    outcome.streams += len(floods)
    outcome.grown = max(outcome.grown, grown)
    bad = [wrong for each in floods if (wrong := _wrong(kind, each, outcome))]
    return bad + ([f"{kind.name}: {grown} bytes of memory"] if grown > FLAT else [])


def _wrong(kind: Kind, found: Flood, outcome: Outcome) -> str | None:
    """It was cut, and where it could read why, that was its limit."""
    outcome.sent += found.taken
    outcome.longest = max(outcome.longest, found.taken)
    told = any(code.encode() in found.said for code in kind.codes)
    outcome.told += told
    if not found.cut:
        return f"{kind.name}: {found.taken} bytes were taken and it was not cut"
    if b'"ok":false' in found.said and not told:
        return f"{kind.name}: {found.said[-300:]!r}"
    return None


@pytest.mark.timeout(60 + 3 * SECONDS)
def test_what_never_ends_is_cut_and_costs_no_memory(server: Server) -> None:
    began, outcome = time.monotonic(), Outcome()
    bad = [wrong for kind in KINDS for wrong in wrong_with(server, kind, outcome)]

    publish(figure(outcome, bad, time.monotonic() - began))
    assert bad == []
    assert outcome.streams == TIMES * len(KINDS)
    assert outcome.told >= outcome.streams / 2, "hardly any stream was told why it was cut"
    assert "INTERNAL_ERROR" not in server.log
    assert "Traceback" not in server.log
    assert server.get("/health")[1]["status"] == "healthy"
    with server.connect() as lines:
        assert lines.call(cmd="ping")["ok"] is True


def figure(outcome: Outcome, bad: list[str], seconds: float) -> Figure:
    return Figure(
        test="T35",
        title="streams without an end",
        promises=("C9",),
        seed=SEED,
        what="streams",
        tries=outcome.streams,
        bad=len(bad),
        bar="cut at the limit, memory + 16 MiB at most",
        seconds=seconds,
        control="a server whose lines have no limit: caught",
        numbers={
            "kinds": len(KINDS),
            "MiB_offered_each": STREAM >> 20,
            "longest_sent_MiB": round(outcome.longest / (1 << 20), 1),
            "told_why": outcome.told,
            "most_grown_bytes": outcome.grown,
        },
    )


def test_a_server_without_a_limit_is_caught(tmp_path: Path) -> None:
    server = faulty_server(tmp_path, "endless").start()
    try:
        bad = wrong_with(server, KINDS[0], Outcome(), times=1, seconds=2)
    finally:
        server.end()

    assert any("not cut" in wrong for wrong in bad), bad
    assert any("bytes of memory" in wrong for wrong in bad), bad
