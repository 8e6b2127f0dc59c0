"""
The connections of a worker: siblings of the user's client, with the same endpoint and token and a socket of their own.

A worker has three, so that none can hold up another: one fetches (and hears notices), one settles, one sends heartbeats.
They never retry by themselves; the worker's loops do, for ever, and decide what a repeat means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobwire._async_client import AsyncClient
from jobwire._client import Client
from jobwire._runtime import Runtime
from jobwire._transports.async_http import AsyncHttpTransport
from jobwire._transports.async_tcp import AsyncTcpTransport
from jobwire._transports.sync_http import HttpTransport
from jobwire._transports.sync_tcp import TcpTransport

if TYPE_CHECKING:
    from jobwire._endpoint import Endpoint

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


def sibling(client: Client, timeout: float = CALL_TIMEOUT) -> Client:
    """A client with its own connection to the same server."""
    return _connect(client._endpoint, min(timeout, client._timeout), client._runtime)


def sync_sibling(client: AsyncClient, timeout: float = CALL_TIMEOUT) -> Client:
    """A synchronous client for the server of an asynchronous one, for a thread of its own."""
    return _connect(client._endpoint, min(timeout, client._timeout), sync_runtime(client))


def sync_runtime(client: AsyncClient) -> Runtime:
    """The time and chance of an asynchronous client, for threads."""
    own = client._runtime
    return Runtime(now=own.now, monotonic=own.monotonic, random=own.random, new_id=own.new_id)


def async_sibling(client: AsyncClient, timeout: float = CALL_TIMEOUT) -> AsyncClient:
    """As sibling(), for asyncio."""
    endpoint = client._endpoint
    return AsyncClient(
        str(endpoint),
        token=endpoint.token,
        timeout=min(timeout, client._timeout),
        connect_timeout=endpoint.connect_timeout,
        retries=0,
        tls=endpoint.tls,
        client_name=endpoint.client_name,
        _runtime=client._runtime,
    )


def _connect(endpoint: Endpoint, timeout: float, runtime: Runtime) -> Client:
    return Client(
        str(endpoint),
        token=endpoint.token,
        timeout=timeout,
        connect_timeout=endpoint.connect_timeout,
        retries=0,
        tls=endpoint.tls,
        client_name=endpoint.client_name,
        _runtime=runtime,
    )
