"""
spec/vectors/{malformed,json_values}.json through both doors of a real server: each request whole, byte by byte, and cut
in two at every place (JW-TCP-12). A server reads what has come so far, so a cut may or may not be seen; both must do.
"""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from conformance.runner.processes import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VECTORS: Final = Path(__file__).parents[1] / "spec" / "vectors"
QUEUE: Final = "emails"  # the one that the vectors name
LONG: Final = 1024  # bytes; a longer request is cut at CUTS places, spread over it
CUTS: Final = 16
PATIENCE_S: Final = 10


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a vector file; each has an `id`."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    return found


def sent_by(row: dict[str, Any]) -> bytes:
    """The bytes of a malformed request: a line without its newline, or a body."""
    if "parts" in row:
        return b"".join(bytes.fromhex(part) * times for part, times in row["parts"])
    return bytes.fromhex(row["hex"])


def cuttings(data: bytes, start: int = 0, end: int | None = None) -> Iterator[list[bytes]]:
    """The ways to send `data`: whole, byte by byte when it is short, and in two pieces cut between `start` and `end`."""
    yield [data]
    if len(data) <= LONG:
        yield [data[at : at + 1] for at in range(len(data))]
    step = 1 if len(data) <= LONG else len(data) // CUTS
    for at in range(max(1, start), end or len(data), step):
        yield [data[:at], data[at:]]


def cut_in_value(data: bytes, value: bytes) -> Iterator[list[bytes]]:
    """As `cuttings`, with the cuts in and around the first place where the value stands."""
    at = data.index(b":" + value)
    return cuttings(data, at, at + len(value) + 3)


class Peer:
    """A connection that sends pieces and reads answers. AssertionError when the server ends it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self._socket.makefile("rb")

    def send(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def line(self) -> dict[str, Any]:
        """The answer of a TCP line."""
        text = self._read.readline()
        assert text.endswith(b"\n"), "the server ended the connection"
        answer: dict[str, Any] = json.loads(text)
        return answer

    def http(self) -> tuple[int, bytes]:
        """Status and body of an HTTP answer."""
        start = self._read.readline().split()
        assert len(start) > 1, "the server ended the connection"
        size = 0
        while (header := self._read.readline()).strip():
            name, _, value = header.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        return int(start[1]), self._read.read(size)

    def close(self) -> None:
        self._read.close()
        self._socket.close()


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """An HTTP request whose body says that it is JSON."""
    head = (
        f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Doors:
    """A connection to each door, for one test."""

    def __init__(self, server: ServerProcess) -> None:
        host, port = server.target.http_url.removeprefix("http://").split(":")
        self.tcp = Peer(server.target.tcp_address)
        self.http = Peer((host, int(port)))

    def close(self) -> None:
        self.tcp.close()
        self.http.close()

    def waiting(self) -> int:
        """How many jobs wait in the queue of the vectors."""
        self.tcp.send([json.dumps({"cmd": "stats", "queue": QUEUE}).encode() + b"\n"])
        count: int = self.tcp.line()["counts"]["waiting"]
        return count


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The reference server with its default settings."""
    process = ServerProcess(tmp_path_factory.mktemp("vectors"), {})
    with asyncio.Runner() as runner:
        runner.run(process.start())
        try:
            yield process
        finally:
            runner.run(process.stop())


@pytest.fixture
def doors(server: ServerProcess) -> Iterator[Doors]:
    """Connections that are closed in the end."""
    opened = Doors(server)
    try:
        yield opened
    finally:
        opened.close()


def by_id(row: dict[str, Any]) -> str:
    return str(row["id"])


def at(door: str) -> list[dict[str, Any]]:
    return [row for row in rows("malformed") if row["door"] == door]


@pytest.mark.parametrize("row", at("tcp"), ids=by_id)
def test_a_malformed_line_is_refused_however_it_is_cut(doors: Doors, row: dict[str, Any]) -> None:
    for pieces in cuttings(sent_by(row) + b"\n"):
        doors.tcp.send(pieces)
        answer = doors.tcp.line()

        assert answer["ok"] is False
        assert answer["error"]["code"] == row["code"], [len(piece) for piece in pieces]
    assert doors.waiting() == 0


@pytest.mark.parametrize("row", at("http"), ids=by_id)
def test_a_malformed_body_is_refused_however_it_is_cut(doors: Doors, row: dict[str, Any]) -> None:
    body = sent_by(row)
    whole = request("POST", f"/queues/{QUEUE}/jobs", body)
    for pieces in cuttings(whole, len(whole) - len(body) - 4):
        doors.http.send(pieces)
        status, answer = doors.http.http()

        assert (status, json.loads(answer)["error"]["code"]) == (row["status"], row["code"])
    assert doors.waiting() == 0


def test_a_request_is_understood_wherever_its_head_is_cut(doors: Doors) -> None:
    for pieces in cuttings(request("POST", f"/queues/{QUEUE}/pull")):
        doors.http.send(pieces)
        assert doors.http.http() == (200, b'{"ok":true,"job":null}')


def job_id(number: int) -> str:
    """A UUIDv7 for each value and door."""
    return f"01939d1c-5b1e-7c3a-9f2e-{number:012x}"


VALUES: Final = list(enumerate(rows("json_values")))


@pytest.mark.parametrize(("number", "row"), VALUES, ids=[row["id"] for _, row in VALUES])
def test_a_value_is_kept_byte_for_byte_however_it_is_cut(
    doors: Doors, number: int, row: dict[str, Any]
) -> None:
    """The first push makes the job; the same in other pieces finds it, which it would not with other data (JW-PUSH-4)."""
    text = row["text"].encode()
    item = b'{"name":"n","id":"%b","data":%b,"metadata":%b}'
    by_http = item % (job_id(2 * number).encode(), text, text)
    by_tcp = item % (job_id(2 * number + 1).encode(), text, text)

    for pieces in cut_in_value(request("POST", "/queues/values/jobs", by_http), text):
        doors.http.send(pieces)
        status, body = doors.http.http()
        assert status in (200, 201), body  # 201 the first time, 200 for its repeats
    for pieces in cut_in_value(b'{"cmd":"push","queue":"values",' + by_tcp[1:] + b"\n", text):
        doors.tcp.send(pieces)
        answer = doors.tcp.line()
        assert answer["ok"], answer

    for known in (job_id(2 * number), job_id(2 * number + 1)):
        doors.http.send([request("GET", f"/jobs/{known}")])
        _, body = doors.http.http()
        assert b'"data":' + text in body
        kept = b'"metadata":' + text in body
        assert kept is (text != b"null")  # which means that there is none (JW-ERR-7)
