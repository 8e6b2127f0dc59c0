"""How a socket to a server is opened and set up, in one place for all transports."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Final

from jobwire._transports.base import connecting

if TYPE_CHECKING:
    from jobwire._endpoint import Endpoint

# A peer that vanished without a word is noticed after about IDLE + COUNT * INTERVAL seconds, also by a call that
# waits for a minute. Not every platform has every option.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
_UNACKED_MS: Final = (
    20_000  # bytes that the peer's kernel does not confirm within this end the connection
)

# A TCP connection on which a call timed out is trusted further only if the server was heard this recently.
SILENCE: Final = 5.0  # seconds


def open_socket(endpoint: Endpoint, timeout: float) -> socket.socket:
    """
    A connected socket, with TLS where the scheme asks for it, within *timeout* seconds.

    Raises:
        TransportError: CONNECTION_FAILED; a certificate that does not verify is not retryable.
    """
    with connecting(endpoint):
        end = time.monotonic() + timeout
        sock = socket.create_connection((endpoint.host, endpoint.port), max(timeout, 0.001))
        try:
            set_options(sock)
            if endpoint.tls is not None:
                sock.settimeout(max(end - time.monotonic(), 0.001))
                return endpoint.tls.wrap_socket(sock, server_hostname=endpoint.host)
        except BaseException:
            sock.close()
            raise
        return sock


def set_options(sock: socket.socket) -> None:
    """No delay for small writes, and probes that notice a peer that is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_KEEPALIVE, ("TCP_USER_TIMEOUT", _UNACKED_MS)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def is_readable(sock: socket.socket) -> bool:
    """Whether bytes, or the end of the connection, wait to be read."""
    if hasattr(select, "poll"):  # select() cannot take high file descriptors
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
