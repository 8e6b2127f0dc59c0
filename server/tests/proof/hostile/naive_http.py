"""The control of the smuggling proof: a server that reads HTTP as loosely as many have done."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*\+?([0-9]+)")
_END = re.compile(rb"\r?\n\r?\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Loose(socketserver.BaseRequestHandler):
    """The first length counts, chunks are unknown, a newline is a line's end: what stands behind is the next request."""

    def handle(self) -> None:
        data = self.request.recv(65_536)
        while data:
            end = _END.search(data)
            head = data[: end.end()] if end else data
            length = _LENGTH.search(head)
            data = data[len(head) + int(length[1] if length else 0) :]
            self.request.sendall(OK)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def naive_http() -> Iterator[int]:
    """One that listens; its port."""
    with _Server(("127.0.0.1", 0), _Loose) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
