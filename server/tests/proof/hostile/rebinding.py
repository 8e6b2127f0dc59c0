"""
A name that leads to two servers: what DNS rebinding comes to, seen from the browser.

The browser finds the evil page and the attacked server at one host and port, so that both are of one origin for it. Here a listener looks
at the first line of each connection: API paths go to the attacked server, all others to the evil site.
"""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

IDLE_S = 60.0


class _Switch(socketserver.ThreadingTCPServer):
    daemon_threads = True
    api_port = 0
    site_port = 0

    def target(self, head: bytes) -> int:
        return self.api_port if b" /api/v1" in head.partition(b"\r\n")[0] else self.site_port


class _Forward(socketserver.BaseRequestHandler):
    server: _Switch

    def handle(self) -> None:
        with suppress(OSError):  # either side may hang up at any time
            head = self.request.recv(65_536)
            port = self.server.target(head)
            with socket.create_connection(("127.0.0.1", port), IDLE_S) as target:
                target.sendall(head)
                _pump(self.request, target)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until one of them ends."""
    ways = {one: other, other: one}
    while ready := select.select(list(ways), [], [], IDLE_S)[0]:
        for sender in ready:
            data = sender.recv(65_536)
            if not data:
                return
            ways[sender].sendall(data)


@contextmanager
def rebound(api_port: int, site_port: int) -> Iterator[int]:
    """The port at which both are."""
    with _Switch(("127.0.0.1", 0), _Forward) as switch:
        switch.api_port, switch.site_port = api_port, site_port
        thread = threading.Thread(target=switch.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(switch.server_address[1])
        finally:
            switch.shutdown()
            thread.join()
