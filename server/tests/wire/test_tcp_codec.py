"""LineDecoder: lines out of bytes, however the bytes are cut."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobwire_server.wire.tcp_codec import Flaw, LineDecoder

LIMIT = 64


def read(*chunks: bytes, limit: int = LIMIT) -> tuple[list[bytes], Flaw | None]:
    """All lines of a stream that ends after the chunks, and its flaw."""
    decoder = LineDecoder(limit)
    lines = [line for chunk in chunks for line in decoder.feed(chunk)]
    return lines + decoder.eof(), decoder.flaw


def cuts(data: bytes) -> list[list[bytes]]:
    """The data whole, byte by byte, and in two parts at every place."""
    whole = [[data], [data[i : i + 1] for i in range(len(data))]]
    return whole + [[data[:i], data[i:]] for i in range(1, len(data))]


STREAMS = {
    "one line": (b'{"cmd":"ping"}\n', [b'{"cmd":"ping"}'], None),
    "several lines": (b"{1}\n{2}\n{3}\n", [b"{1}", b"{2}", b"{3}"], None),
    "carriage returns are dropped": (b"{1}\r\n{2}\r\n", [b"{1}", b"{2}"], None),
    "only the last carriage return of a line": (b"{\r\r\n", [b"{\r"], None),
    "blank lines are lines": (b"\n\r\n{1}\n", [b"", b"", b"{1}"], None),
    "an unterminated last line": (b"{1}\n{2}", [b"{1}", b"{2}"], None),
    "an unterminated last line with a carriage return": (b"{1}\r", [b"{1}"], None),
    "nothing": (b"", [], None),
    "a line of the limit": (b"x" * LIMIT + b"\n{1}\n", [b"x" * LIMIT, b"{1}"], None),
    "a line over the limit": (b"{1}\n" + b"x" * (LIMIT + 1) + b"\n{2}\n", [b"{1}"], Flaw.TOO_LONG),
    "an endless line": (b"{1}\n" + b"x" * 500, [b"{1}"], Flaw.TOO_LONG),
    "RustQueue's PushBatch": (b"\x01\x00\x04mail", [], Flaw.BINARY),
    "RustQueue's PullBatch": (b"\x02\x00\x04mail\n", [], Flaw.BINARY),
    "RustQueue's AckBatch": (b"\x03\x00\x00\x00\x01", [], Flaw.BINARY),
    "RustQueue's ChannelFrame": (b"\x10\x00\x01\x02", [], Flaw.BINARY),
    "a TLS client hello": (b"\x16\x03\x01\x02\x00\x01\n", [], Flaw.TLS),
    "an HTTP request": (b'GET / HTTP/1.1\r\nHost: x\r\n\r\n{"cmd":"ping"}\n', [], Flaw.HTTP),
    "an HTTP post": (b'POST /x HTTP/1.1\r\n\r\n{"cmd":"ping"}\n', [], Flaw.HTTP),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [], Flaw.HTTP),
    "a word that is not quite HTTP": (b"GETTER\n{1}\n", [b"GETTER", b"{1}"], None),
    "half an HTTP word": (b"GE", [b"GE"], None),
    "an HTTP word alone": (b"GET\n{1}\n", [b"GET", b"{1}"], None),
    "foreign bytes later on are a bad line": (b"{1}\n\x01x\nGET /\n", [b"{1}", b"\x01x", b"GET /"], None),
}  # fmt: skip


@pytest.mark.parametrize(("data", "lines", "flaw"), STREAMS.values(), ids=STREAMS.keys())
def test_stream_is_read_the_same_at_every_split(
    data: bytes, lines: list[bytes], flaw: Flaw | None
) -> None:
    for chunks in cuts(data):
        assert read(*chunks) == (lines, flaw), chunks


@pytest.mark.parametrize("word", ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"])
def test_every_http_method_is_recognised(word: str) -> None:
    assert read(f"{word} /api HTTP/1.1\r\n".encode()) == ([], Flaw.HTTP)


def test_a_complete_line_is_given_before_the_next_is_complete() -> None:
    decoder = LineDecoder(LIMIT)

    assert decoder.feed(b"{1}\n{2") == [b"{1}"]
    assert decoder.buffered == 2
    assert decoder.feed(b"}\n") == [b"{2}"]
    assert decoder.buffered == 0


def test_a_flaw_is_final() -> None:
    decoder = LineDecoder(LIMIT)
    decoder.feed(b"x" * (LIMIT + 1))

    assert decoder.feed(b"\n{1}\n") == []
    assert decoder.eof() == []
    assert decoder.buffered == 0


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"abc\r\n", ([b"abc"], None)),
        (b"abcd\n", ([], Flaw.TOO_LONG)),
        (b"abc\rd\n", ([], Flaw.TOO_LONG)),
        (b"abc\r\r\n", ([], Flaw.TOO_LONG)),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_carriage_return_at_the_end_is_not_counted(
    data: bytes, wanted: tuple[list[bytes], Flaw | None], step: int
) -> None:
    decoder = LineDecoder(3)

    lines = [
        line for at in range(0, len(data), step) for line in decoder.feed(data[at : at + step])
    ]

    assert (lines, decoder.flaw) == wanted


def test_the_limit_is_checked_before_more_is_kept() -> None:
    decoder = LineDecoder(1000)
    decoder.feed(b"x" * 1000)
    assert decoder.flaw is None

    tracemalloc.start()
    decoder.feed(b"x" * 5_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert decoder.flaw is Flaw.TOO_LONG
    assert peak < 11_000_000  # the argument and one split of it, nothing kept
    assert decoder.buffered == 0


def _seconds_to_feed_byte_by_byte(size: int) -> float:
    decoder = LineDecoder(10 * size)
    started = time.thread_time()
    for _ in range(size):
        decoder.feed(b"x")
    assert decoder.buffered == size
    return time.thread_time() - started


def test_a_long_line_byte_by_byte_costs_linear_time() -> None:
    small = min(_seconds_to_feed_byte_by_byte(20_000) for _ in range(3))
    large = min(_seconds_to_feed_byte_by_byte(160_000) for _ in range(3))

    assert large < small * 8 * 4  # quadratic would be 64 times


lines_of_any_bytes = st.lists(
    st.binary(max_size=LIMIT + 8).map(lambda line: line.replace(b"\n", b"")), max_size=20
)


@given(lines_of_any_bytes, st.lists(st.integers(0, 400), max_size=20))
def test_any_bytes_in_any_cut_read_as_when_whole(lines: list[bytes], places: list[int]) -> None:
    data = b"\n".join(lines)
    bounds = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    assert read(*chunks) == read(data)


@given(st.lists(st.binary(max_size=100), max_size=30))
def test_never_keeps_more_than_the_limit(chunks: list[bytes]) -> None:
    decoder = LineDecoder(LIMIT)
    for chunk in chunks:
        for line in decoder.feed(chunk):
            assert len(line) <= LIMIT
        assert decoder.buffered <= LIMIT
