"""
A listening socket of the fake server whose port stays its own while it refuses, and whose connections can be cut.

One thread accepts, one thread serves each connection; all of them end with `close`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
JOIN_SECONDS: Final = 5.0
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close() sends a reset


class Listener:
    """Serves connections with *serve*, which owns the socket until it returns."""

    def __init__(self, name: str, serve: Callable[[socket.socket], None]) -> None:
        self._name = name
        self._serve = serve
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._acceptor: threading.Thread | None = None
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]

    @property
    def connection_count(self) -> int:
        with self._lock:
            return len(self._connections)

    def accept(self) -> None:
        """Take connections from now on. Nothing happens when it does already."""
        if self._acceptor is not None:
            return
        self._socket.listen(128)
        self._wake = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept_all, args=(self._socket, self._wake[0]), name=self._name
        )
        self._acceptor.daemon = True
        self._acceptor.start()

    def refuse(self) -> None:
        """Refuse connections from now on, keeping the port; open ones stay."""
        if self._acceptor is None or self._wake is None:
            return
        self._wake[1].send(b"x")
        self._acceptor.join(JOIN_SECONDS)
        for end in self._wake:
            end.close()
        self._socket.close()
        self._acceptor = self._wake = None
        self._socket = _bound(self.port)

    def cut(self) -> None:
        """Reset every open connection, as a killed server does."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            cut_connection(connection)

    def close(self) -> None:
        """Refuse, cut and wait for the threads. Idempotent."""
        self.refuse()
        self.cut()
        with self._lock:
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(JOIN_SECONDS)
        self._socket.close()

    def _accept_all(self, listening: socket.socket, wake: socket.socket) -> None:
        while True:
            readable, _, _ = select.select([listening, wake], [], [])
            if wake in readable:
                return
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._serve_one, args=(connection,), name=f"{self._name}-connection", daemon=True
        )
        with self._lock:
            self._connections.add(connection)
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
            thread.start()

    def _serve_one(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        except OSError:
            # The peer or a fault closed the socket: for a server, an ordinary end of a connection.
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def cut_connection(connection: socket.socket) -> None:
    """End a connection so that the peer sees a reset, from any thread; its own thread then closes it."""
    with contextlib.suppress(OSError):  # closed meanwhile
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RDWR)


_DONT_WAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)  # not on Windows


def is_connected(connection: socket.socket) -> bool:
    """Whether the peer can still be answered: False after its FIN or a reset."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        # Another thread may have read it all since: then there is nothing to wait for, least of all under the fake's lock.
        return not readable or connection.recv(1, socket.MSG_PEEK | _DONT_WAIT) != b""
    except BlockingIOError:
        return True
    except (OSError, ValueError):
        return False


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock
