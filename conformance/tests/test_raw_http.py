"""Raw HTTP: bytes as a case has them, and responses of every framing in every cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from conformance.runner.raw_http import (
    BrokenResponse,
    RawConnection,
    Response,
    cut,
    parse_requests,
    request_of,
)


def request(**step: Any) -> bytes:
    return request_of(step, host="h:1", base_path="/api/v1")[0].data


def test_the_usual_headers_are_added() -> None:
    data = request(method="POST", path="/pull", json={"a": 1})

    assert data == (
        b"POST /api/v1/pull HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n"
        b'Content-Length: 7\r\n\r\n{"a":1}'
    )


def test_headers_of_the_case_win_and_null_leaves_one_out() -> None:
    data = request(
        method="GET", path="/q", headers={"host": None, "X-A": ["1", "2"]}, query={"n": 1}
    )

    assert data == b"GET /api/v1/q?n=1 HTTP/1.1\r\nX-A: 1\r\nX-A: 2\r\n\r\n"


def test_a_whole_target_and_raw_bytes() -> None:
    assert request(method="GET", target="/_test/clock").startswith(b"GET /_test/clock HTTP/1.1")
    assert request(raw="nonsense") == b"nonsense"


def test_pipelined_requests_are_told_apart() -> None:
    first, second = parse_requests(
        b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}HEAD /b HTTP/1.1\r\n\r\n"
    )

    assert (first.method, first.target, first.body) == ("POST", "/a", b"{}")
    assert (second.method, second.target, second.data) == ("HEAD", "/b", b"")


def test_bytes_that_are_no_request_have_no_method() -> None:
    [only] = parse_requests(b"\x16\x03\x01")

    assert only.method == ""


@pytest.mark.parametrize(
    ("chunks", "pieces"),
    [
        (None, [b"abcdef"]),
        ([3, 1, "rest"], [b"abc", b"d", b"ef"]),
        ([2], [b"ab", b"cdef"]),
        ([9], [b"abcdef"]),
        ("bytewise", [b"a", b"b", b"c", b"d", b"e", b"f"]),
    ],
)
def test_pieces(chunks: Any, pieces: list[bytes]) -> None:
    assert cut(b"abcdef", chunks) == pieces


RESPONSES: list[tuple[bytes, bytes]] = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n{}", b"{}"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", b"{}"),
    (b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\n{}", b"{}"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n", b""),
]  # fmt: skip


async def respond(pieces: Sequence[bytes], method: str = "GET") -> Response | None:
    """What is read when a server sends these pieces and closes."""
    reader = asyncio.StreamReader()

    async def feed() -> None:
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    connection = RawConnection(reader, None)  # type: ignore[arg-type]
    try:
        return await connection.receive(method=method)
    finally:
        await feeding


@pytest.mark.parametrize(("data", "body"), RESPONSES)
async def test_every_framing_in_every_cut(data: bytes, body: bytes) -> None:
    for at in range(len(data)):
        response = await respond([data[:at], data[at:]] if at else [data])

        assert response is not None
        assert (response.status, response.header("x-a"), response.body) == (200, "1", body)


async def test_a_head_has_no_body() -> None:
    response = await respond([b"HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\n"], "HEAD")

    assert response is not None
    assert response.body == b""


async def test_an_end_without_a_byte_is_no_response() -> None:
    assert await respond([]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"ok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_half_a_response_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenResponse):
        await respond([data])
