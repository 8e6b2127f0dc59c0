"""A real door on a free port, over operations that only record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
import uvloop
from structlog.testing import LogCapture
from tests.http_api.fake_operations import FakeOperations
from tests.http_api.raw_http import Answer, RawClient, request

from jobwire_server.auth import Gate, hash_token
from jobwire_server.clock import ManualClock
from jobwire_server.config import HttpSettings, ServerSettings, Settings
from jobwire_server.http_api.door import HttpDoor
from jobwire_server.metrics import Metrics


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops: the server runs on uvloop where there is one, and sockets behave differently at their edges."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Served:
    """A door that serves, and everything that a test may look at."""

    door: HttpDoor
    operations: FakeOperations
    clock: ManualClock
    metrics: Metrics
    log: LogCapture

    async def open(self) -> RawClient:
        return await RawClient.open(self.door.port)

    async def ask(self, method: str, path: str, body: bytes | None = None, **more: Any) -> Answer:
        """One request on a connection of its own; `path` is below /api/v1."""
        return await self.send(request(method, "/api/v1" + path, body, **more))

    async def send(self, data: bytes) -> Answer:
        async with await self.open() as client:
            return await client.ask(data)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """
    Opens a door: `tokens` are plain text, `server` and the rest are settings. Closed at the end of the test.

    The read deadline is long unless a test wants it short, so that no slow machine meets it by chance.
    """
    async with AsyncExitStack() as stack:

        async def open_door(
            *, tokens: tuple[str, ...] = (), server: dict[str, Any] | None = None, **http: Any
        ) -> Served:
            served = prepared(tokens, server or {}, http)
            await served.door.start()
            stack.push_async_callback(served.door.close)
            return served

        yield open_door


def prepared(tokens: tuple[str, ...], server: dict[str, Any], http: dict[str, Any]) -> Served:
    """A door that is not open yet."""
    clock, operations, metrics, capture = ManualClock(), FakeOperations(), Metrics(), LogCapture()
    settings = Settings(http=HttpSettings(**{"port": 0, **http}), server=ServerSettings(**server))
    log = structlog.wrap_logger(None, processors=[capture])
    gate = Gate([hash_token(token) for token in tokens], clock)
    door = HttpDoor(operations, gate, settings, metrics, log)
    return Served(door, operations, clock, metrics, capture)


@pytest.fixture
async def served(serve: Serve) -> Served:
    """A door with the defaults."""
    return await serve()
