"""
A relay between a worker and a server, on which single connections die without a word, as behind a router that forgot them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from urllib.parse import urlsplit

PATIENCE = 10.0  # seconds that a thread has to end


class Relay:
    """
    Carries bytes between clients and the server at *url*, connection by connection.

    The next connection on which a client says the word of `lose` is dead from there on: the server still gets that
    request, and both ends believe that the connection is well. The other connections go on.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._word: bytes | None = None
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for end in (self._listener, *self._ends):
            _shut_down(end)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection of the relay does not end"
        for end in (self._listener, *self._ends):
            end.close()

    def lose(self, word: str) -> None:
        """Have the next connection die on which a client says *word*."""
        self._word = word.encode()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += [client, server]
            is_dead = threading.Event()
            for carry in (self._carry_requests, self._carry_answers):
                thread = threading.Thread(target=carry, args=(client, server, is_dead))
                self._threads.append(thread)
                thread.start()

    def _carry_requests(
        self, client: socket.socket, server: socket.socket, is_dead: threading.Event
    ) -> None:
        for data in _reads(client):
            was_dead = is_dead.is_set()
            if self._word is not None and self._word in data:
                self._word = None
                is_dead.set()
            if not was_dead:
                _send(server, data)
        if not is_dead.is_set():
            _shut_down(server)

    def _carry_answers(
        self, client: socket.socket, server: socket.socket, is_dead: threading.Event
    ) -> None:
        for data in _reads(server):
            if not is_dead.is_set():
                _send(client, data)
        if not is_dead.is_set():
            _shut_down(client)


def _reads(end: socket.socket) -> Iterator[bytes]:
    """What comes, until the end or a reset."""
    with contextlib.suppress(OSError):
        while data := end.recv(65536):
            yield data


def _send(end: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # its peer is gone, which the other direction sees as well
        end.sendall(data)


def _shut_down(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # gone already
        end.shutdown(socket.SHUT_RDWR)
