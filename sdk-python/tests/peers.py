"""
Scripted peers: small servers on 127.0.0.1 that do exactly what a test tells them, one thread a connection.

A script is a function of the connection. Whatever goes wrong in it fails the test when the peer is closed.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

PATIENCE = 10.0  # seconds that a script waits for a line before the test has failed

C = TypeVar("C", bound="Connection")


class Connection:
    """One accepted connection; `number` counts from 0."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self.buffer = b""

    def receive(self) -> bytes:
        """More bytes, or b"" at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            return b""
        self.buffer += data
        return data

    def send_bytes(self, data: bytes) -> None:
        self.sock.sendall(data)

    def wait_for_end(self) -> None:
        """Until the client closes; what it says meanwhile is dropped."""
        while self.receive():
            self.buffer = b""


class LineConnection(Connection):
    """JSON lines."""

    def read_line(self) -> dict[str, Any] | None:
        while b"\n" not in self.buffer:
            if not self.receive():
                return None
        line, _, self.buffer = self.buffer.partition(b"\n")
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    def read(self) -> dict[str, Any]:
        line = self.read_line()
        assert line is not None, "the client closed the connection"
        return line

    def expect(self, cmd: str) -> dict[str, Any]:
        line = self.read()
        assert line["cmd"] == cmd, line
        return line

    def send(self, **members: Any) -> None:
        self.send_bytes(json.dumps(members, separators=(",", ":")).encode() + b"\n")

    def answer(self, request: dict[str, Any], **members: Any) -> None:
        self.send(ok=True, rid=request["rid"], **members)

    def refuse(self, request: dict[str, Any], code: str, **members: Any) -> None:
        self.send(ok=False, rid=request["rid"], error={"code": code, "message": "no", **members})

    def welcome(self, version: int = 2) -> dict[str, Any]:
        """Answer hello."""
        hello = self.expect("hello")
        self.answer(hello, v=version, capabilities=[], limits={}, defaults={}, heartbeat_ms=10000)
        return hello


class HttpRequest:
    """A request as it came in."""

    def __init__(self, head: str, body: bytes) -> None:
        first, *fields = head.split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = dict(field.lower().split(": ", 1) for field in fields)
        self.raw_head = head
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpConnection(Connection):
    """HTTP/1.1 requests, one after another."""

    def read_request(self) -> HttpRequest | None:
        while b"\r\n\r\n" not in self.buffer:
            if not self.receive():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        request = HttpRequest(head.decode(), b"")
        length = int(request.headers.get("content-length", "0"))
        while len(self.buffer) < length:
            if not self.receive():
                return None
        request.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return request

    def read(self) -> HttpRequest:
        request = self.read_request()
        assert request is not None, "the client closed the connection"
        return request

    def respond(self, status: int = 200, /, *, headers: str = "", **members: Any) -> None:
        body = json.dumps({"ok": status < 400, **members}).encode()
        self.send_bytes(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
        )

    def refuse(self, status: int, code: str, *, headers: str = "", **members: Any) -> None:
        self.respond(status, headers=headers, error={"code": code, "message": "no", **members})


class Peer:
    """Accepts connections and runs the script on each."""

    def __init__(
        self, scheme: str, kind: Callable[[socket.socket, int], C], script: Callable[[C], None]
    ) -> None:
        self._kind = kind
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.errors: list[BaseException] = []
        self.accepted = 0
        self._connections: list[Connection] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Peer:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_listening()
        for connection in self._connections:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by its script
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a script does not end"
        if exc is None and self.errors:
            raise self.errors[0]

    def stop_listening(self) -> None:
        """Refuse new connections; idempotent."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            return
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._kind(sock, self.accepted)
            self.accepted += 1
            self._connections.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: Any) -> None:
        try:
            self._script(connection)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            self.errors.append(error)
        finally:
            connection.sock.close()  # which a script may have wrapped in TLS


def line_peer(script: Callable[[LineConnection], None]) -> Peer:
    """A peer of JSON lines."""
    return Peer("tcp", LineConnection, script)


def http_peer(script: Callable[[HttpConnection], None]) -> Peer:
    """A peer of HTTP/1.1."""
    return Peer("http", HttpConnection, script)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
