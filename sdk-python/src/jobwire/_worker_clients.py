"""
The connections of a worker: siblings of the user's client, with the same endpoint and token and a socket of their own.

A worker has three, so that none can hold up another: one fetches (and hears notices), one settles, one sends heartbeats.
A pull or a settlement on a connection that died without a word is found out there, by its silence (JW-SDK-13): a
heartbeat that is answered on one connection says nothing of another.
They never retry by themselves; the worker's loops do, for ever, and decide what a repeat means.
"""

from __future__ import annotations

from typing import Any, Final

from jobwire._async_client import AsyncClient
from jobwire._client import Client
from jobwire._runtime import Runtime
from jobwire._transports.async_http import AsyncHttpTransport
from jobwire._transports.async_tcp import AsyncTcpTransport
from jobwire._transports.sync_http import HttpTransport
from jobwire._transports.sync_tcp import TcpTransport

# A worker would rather ask again than wait for an answer that got lost: its calls are small, and repeating them is free.
CALL_TIMEOUT: Final = 10.0


def check_client(client: Client | AsyncClient) -> None:
    """Raise TypeError for a client whose connection cannot be made a second time."""
    known = (HttpTransport, TcpTransport, AsyncHttpTransport, AsyncTcpTransport)
    if not isinstance(client._transport, known):
        raise TypeError(
            "a worker makes connections of its own, so its client needs a URL and not a transport; "
            "in tests give it jobwire.testing.FakeServer's URL, or use work_one"
        )


def sibling(client: Client, silence: float, timeout: float = CALL_TIMEOUT) -> Client:
    """A client with its own connection to the same server, given up after *silence* seconds without a sign of life."""
    return Client(**_options(client, silence, timeout), _runtime=client._runtime, _silence=silence)


def async_sibling(
    client: AsyncClient, silence: float, timeout: float = CALL_TIMEOUT
) -> AsyncClient:
    """As sibling(), for asyncio."""
    options = _options(client, silence, timeout)
    return AsyncClient(**options, _runtime=client._runtime, _silence=silence)


def heart_sibling(client: Client | AsyncClient, silence: float, timeout: float) -> Client:
    """A client for the thread of the heart: an answer that is overdue by *timeout* says enough of its connection."""
    return Client(**_options(client, silence, timeout), _runtime=sync_runtime(client))


def sync_runtime(client: Client | AsyncClient) -> Runtime:
    """The time and chance of a client, for threads."""
    own = client._runtime
    if isinstance(own, Runtime):
        return own
    return Runtime(now=own.now, monotonic=own.monotonic, random=own.random, new_id=own.new_id)


def longest_wait(client: Client | AsyncClient, wait: float, silence: float) -> float:
    """How long a pull may be held: over HTTP, where a server that holds it cannot be asked, for half of *silence*."""
    return wait if client._endpoint.is_tcp else min(wait, silence / 2)


def _options(client: Client | AsyncClient, silence: float, timeout: float) -> dict[str, Any]:
    """What a sibling has in common with *client*; to connect may take no longer than a silence either."""
    endpoint = client._endpoint
    return {
        "url": str(endpoint),
        "token": endpoint.token,
        "timeout": min(timeout, client._timeout),
        "connect_timeout": min(endpoint.connect_timeout, silence),
        "retries": 0,
        "tls": endpoint.tls,
        "client_name": endpoint.client_name,
    }
