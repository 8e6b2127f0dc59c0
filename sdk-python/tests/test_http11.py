"""The HTTP/1.1 codec, without sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobwire._errors import ProtocolError
from jobwire._http11 import Response, ResponseReader, encode_request

WHOLE = [
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Request-Id: r1\r\n\r\nhello",
        (200, b"hello", True),
        id="content-length",
    ),
    pytest.param(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", (200, b"", True), id="no-reason"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True), id="204"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
        (200, b"hello", True),
        id="chunked",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        (200, b"", True),
        id="chunked-empty",
    ),
    pytest.param(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        (201, b"ok", True),
        id="informational",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok",
        (200, b"ok", False),
        id="close",
    ),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok", False), id="http-1.0"
    ),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        (200, b"ok", True),
        id="http-1.0-keep-alive",
    ),
]


def splits(data: bytes) -> Iterator[list[bytes]]:
    """*data* whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def read(parts: list[bytes]) -> Response | None:
    reader = ResponseReader()
    response = None
    for part in parts:
        assert response is None, "the response was complete before its last byte"
        response = reader.feed(part)
    return response


@pytest.mark.parametrize(("data", "expected"), WHOLE)
def test_a_response_is_the_same_however_its_bytes_arrive(
    data: bytes, expected: tuple[int, bytes, bool]
) -> None:
    for parts in splits(data):
        response = read(parts)
        assert response is not None
        assert expected == (response.status, response.body, response.keep_alive)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nhello"
    for parts in splits(data):
        reader = ResponseReader()
        assert [reader.feed(part) for part in parts] == [None] * len(parts)
        response = reader.feed_eof()
        assert response == Response(200, {}, b"hello", keep_alive=False)


def test_an_end_in_the_middle_is_no_response() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    for at in range(len(data)):
        reader = ResponseReader()
        assert reader.feed(data[:at]) is None
        assert reader.feed_eof() is None


def test_bytes_behind_the_response_make_the_connection_useless() -> None:
    response = read([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"])

    assert response is not None
    assert response.keep_alive is False


def test_a_header_that_comes_twice_is_joined() -> None:
    response = read([b"HTTP/1.1 204 X\r\nVary: a\r\nVary: b\r\n\r\n"])

    assert response is not None
    assert response.headers == {"vary": "a, b"}


@pytest.mark.parametrize(
    "data",
    [
        b'{"ok":false}\n',
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read([data])


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"%x\r\n" % 600 + b"x" * 600 + b"\r\n") * 2,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1" + b";" * 2000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 50,
    ],
    ids=["head", "length", "until-close", "one-chunk", "all-chunks", "chunk-line", "trailer"],
)
def test_limits_hold_before_the_bytes_are_kept(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseReader(max_head=100, max_body=1000).feed(data)


def test_a_request_is_written_with_its_length() -> None:
    data = encode_request("POST", "/api/v1/pull", {"Host": "h:1"}, b"{}")

    assert data == b"POST /api/v1/pull HTTP/1.1\r\nHost: h:1\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ä", ""])
def test_a_target_that_is_not_quoted_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        encode_request("GET", target, {}, None)


def test_a_header_value_cannot_start_a_new_line() -> None:
    with pytest.raises(ValueError, match="Authorization"):
        encode_request("GET", "/", {"Authorization": "x\r\nY: z"}, None)
