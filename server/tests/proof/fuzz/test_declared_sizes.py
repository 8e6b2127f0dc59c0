"""T34: a size that a peer only declares costs nothing: it is refused by its limit, or by the read deadline, and no memory is set aside for it
(JW-LIMIT-1, JW-LIMIT-4, JW-TCP-9, JW-HTTP-12; guarantees C9)."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.acceptance.processes import Server
from tests.proof.fuzz.faulty_parsers import faulty_server
from tests.proof.fuzz.raw import sent
from tests.proof.hostile.process_memory import forget_peak, peak
from tests.proof.knobs import SEED, scaled
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

ROUNDS = scaled(20)
READ_MS = 500
END_S = (
    READ_MS / 1_000 + 10
)  # by then the server has said something and closed; the rest is for a slow machine
ALLOWED = 1 << 20  # bytes of memory, for all rounds of a row together
HEAD = (
    b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent, and the codes of which one must be answered."""

    name: str
    door: str
    data: bytes
    codes: tuple[str, ...]


def length(*values: object) -> bytes:
    return HEAD + b"".join(b"Content-Length: %b\r\n" % str(v).encode() for v in values) + b"\r\n"


def get(path: bytes) -> bytes:
    return b"GET /api/v1%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path


def post(path: bytes, body: bytes) -> bytes:
    head = b"POST /api/v1%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head % path + b"Content-Length: %d\r\n\r\n" % len(body) + body


BAD, LARGE, INVALID = ("BAD_REQUEST",), ("PAYLOAD_TOO_LARGE",), ("VALIDATION_ERROR",)
LATE, FOREIGN = ("REQUEST_TIMEOUT",), ("UNSUPPORTED_PROTOCOL",)
PAGE = b"{%b}" % b'"cmd":"find","limit":4294967295'
ROWS = (
    Row("Content-Length 2^63", "http", length(2**63), BAD + LARGE),
    Row("Content-Length 2^63-1", "http", length(2**63 - 1), LARGE),
    Row("Content-Length 2^64", "http", length(2**64), BAD + LARGE),
    Row("Content-Length of 400 digits", "http", length("9" * 400), BAD + LARGE),
    Row("Content-Length 10 GiB, no data", "http", length(10 * GIB), LARGE),
    Row("Content-Length 10 GiB, and 100-continue", "http", HEAD + b"Expect: 100-continue\r\n" + length(10 * GIB)[len(HEAD):], LARGE),
    Row("Content-Length of the limit, no data", "http", length(4 << 20), LATE),
    Row("Content-Length -1", "http", length(-1), BAD),
    Row("Content-Length twice", "http", length(2, 10 * GIB) + b"{}", BAD),
    Row("Content-Length in hexadecimal", "http", length("0xFFFFFFFF"), BAD),
    Row("chunk of FFFFFFFFFFFFFFFF", "http", CHUNKED + b"FFFFFFFFFFFFFFFF\r\n", BAD + LARGE + LATE),
    Row("chunk of 7FFFFFFFFFFFFFFF", "http", CHUNKED + b"7FFFFFFFFFFFFFFF\r\n", BAD + LARGE + LATE),
    Row("chunk of FFFFFFFF", "http", CHUNKED + b"FFFFFFFF\r\n{}", BAD + LARGE + LATE),
    Row("chunk of 40 digits", "http", CHUNKED + b"F" * 40 + b"\r\n", BAD),
    Row("chunk of -1", "http", CHUNKED + b"-1\r\n", BAD),
    Row("count 2^32-1 of a GET pull", "http", get(b"/queues/q/jobs?count=4294967295"), INVALID),
    Row("count of 400 digits", "http", get(b"/queues/q/jobs?count=" + b"9" * 400), INVALID),
    Row("limit 2^63", "http", get(b"/jobs?limit=9223372036854775808"), INVALID),
    Row("limit of dead letters", "http", get(b"/queues/q/dlq?limit=4294967295"), INVALID),
    Row("count of a pull", "http", post(b"/pull", b'{"queue":"q","count":4294967295}'), INVALID),
    Row("limit of a discard", "http", post(b"/queues/q/dlq/discard", b'{"limit":9223372036854775807}'), INVALID),
    Row("count of a pull", "tcp", b'{"cmd":"pull","queue":"q","count":4294967295}\n', INVALID),
    Row("count of 10^30", "tcp", b'{"cmd":"pull","queue":"q","count":1' + b"0" * 30 + b"}\n", INVALID),
    Row("limit, version 2", "tcp", b'{"cmd":"hello","v":[2]}\n' + PAGE + b"\n", INVALID),
    Row("wait of 2^63", "tcp", b'{"cmd":"pull","queue":"q","wait_ms":9223372036854775807}\n', INVALID),
    Row("RustQueue push, count 2^32-1", "tcp", b"\x01\x00\x01q" + struct.pack(">I", 2**32 - 1), FOREIGN),
    Row("RustQueue push, length 2^31", "tcp", b"\x01\x00\x01q" + struct.pack(">II", 1, 2**31), FOREIGN),
    Row("RustQueue push, queue of 65535", "tcp", b"\x01\xff\xff", FOREIGN),
    Row("RustQueue pull, count 2^32-1", "tcp", b"\x02\x00\x01q" + struct.pack(">I", 2**32 - 1), FOREIGN),
    Row("RustQueue acks, count 2^32-1", "tcp", b"\x03" + struct.pack(">I", 2**32 - 1), FOREIGN),
    Row("RustQueue channel", "tcp", b"\x10\x00\x01\x01\xff\xff", FOREIGN),
    Row("a line that never comes", "tcp", b'{"cmd":"push"', LATE),
)  # fmt: skip


def settings(folder: Path) -> Path:
    path = folder / "jobwire.toml"
    path.write_text(f"[server]\nread_timeout_ms = {READ_MS}\n")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, "--config", str(settings(tmp_path))).start()
    yield server
    server.end()


@dataclass(slots=True)
class Outcome:
    tries: int = 0
    grown: int = 0  # bytes, the most for one row
    slowest_s: float = 0.0


def wrong_with(server: Server, row: Row, rounds: int, outcome: Outcome) -> list[str]:
    """Send a row so many times, all at once; what was not as it must be."""
    assert server._process is not None
    pid = server._process.pid
    before = forget_peak(pid)
    began = time.monotonic()
    port = server.http if row.door == "http" else server.tcp
    answers = sent(port, [row.data] * rounds, seconds=END_S)
    outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
    outcome.tries += rounds
    grown = peak(pid) - before
    outcome.grown = max(outcome.grown, grown)
    found = {code for answer in answers for code in codes_of(answer)[-1:] or ["nothing"]}
    bad = [f"{row.name}: {code}" for code in sorted(found - set(row.codes))]
    return bad + ([f"{row.name}: {grown} bytes of memory"] if grown > ALLOWED else [])


def codes_of(answer: bytes) -> list[str]:
    return [code.decode() for code in re.findall(rb'"code":"([A-Z_]+)"', answer)]


def warm_up(server: Server) -> None:
    """So that what is set aside once, for the first requests and the pool of connections, is not counted."""
    for row in ROWS:
        sent(server.http if row.door == "http" else server.tcp, [row.data] * ROUNDS, seconds=END_S)


@pytest.mark.timeout(300)
def test_a_declared_size_costs_nothing(server: Server) -> None:
    warm_up(server)
    began, outcome = time.monotonic(), Outcome()
    bad = [wrong for row in ROWS for wrong in wrong_with(server, row, ROUNDS, outcome)]

    publish(figure(outcome, bad, time.monotonic() - began))
    assert bad == []
    assert outcome.tries == len(ROWS) * ROUNDS
    assert outcome.slowest_s < END_S
    assert "INTERNAL_ERROR" not in server.log
    assert "Traceback" not in server.log
    assert server.get("/health")[1]["status"] == "healthy"
    assert server.get("/queues")[1]["queues"] == []


def figure(outcome: Outcome, bad: list[str], seconds: float) -> Figure:
    return Figure(
        test="T34",
        title="sizes that are only declared",
        promises=("C9",),
        seed=SEED,
        what="requests",
        tries=outcome.tries,
        bad=len(bad),
        bar=f"memory + 1 MiB at most, an error within {END_S:g} s (the read deadline is {READ_MS} ms)",
        seconds=seconds,
        control="a server that sets aside what is declared: caught",
        numbers={
            "kinds": len(ROWS),
            "most_grown_bytes": outcome.grown,
            "read_deadline_ms": READ_MS,
            "slowest_s": round(outcome.slowest_s, 2),
        },
    )


def test_a_server_that_sets_memory_aside_is_caught(tmp_path: Path) -> None:
    server = faulty_server(tmp_path, "hoard").start()
    row = Row("a job without a name", "http", post(b"/queues/q/jobs", b"{}"), INVALID)
    try:
        bad = wrong_with(server, row, ROUNDS, Outcome())
    finally:
        server.end()

    assert any("bytes of memory" in wrong for wrong in bad), bad
