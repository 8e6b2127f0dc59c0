"""A real door on a free port, over operations that do what the test says."""

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
from tests.tcp_api.fake_operations import FakeOperations
from tests.tcp_api.line_client import PATIENCE, LineClient

from jobwire_server.auth import Gate, hash_token
from jobwire_server.clock import ManualClock
from jobwire_server.config import ServerSettings, Settings, TcpSettings
from jobwire_server.tcp_api.deadlines import SLOT_MS
from jobwire_server.tcp_api.server import TcpDoor


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops: the server runs on uvloop where there is one, and sockets behave differently at their edges."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Served:
    """A door that serves, and everything that a test may look at."""

    door: TcpDoor
    operations: FakeOperations
    clock: ManualClock
    log: LogCapture
    stack: AsyncExitStack

    async def open(self, **options: Any) -> LineClient:
        return await self.stack.enter_async_context(
            await LineClient.open(self.door.port, **options)
        )

    async def open_v2(self, **fields: Any) -> LineClient:
        client = await self.open()
        assert (await client.hello(**fields))["v"] == 2
        return client

    def pass_time(self, ms: int) -> None:
        """Let the door see time go by, a sweep a second."""
        for _ in range(ms // SLOT_MS):
            self.clock.advance(SLOT_MS)
            self.door.sweep()

    async def until(self, true: Callable[[], bool]) -> None:
        """Until something that other tasks bring about is so."""

        async def watch() -> None:
            while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.001)

        await asyncio.wait_for(watch(), PATIENCE)


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Opens a door: `tokens` are plain text, `ssl_context` turns TLS on, the rest are settings of [server] or [tcp]."""
    async with AsyncExitStack() as stack:

        async def open_door(
            *,
            tokens: tuple[str, ...] = (),
            ssl_context: Any = None,
            operations: Any = None,
            **given: Any,
        ) -> Served:
            tcp = {key: given.pop(key) for key in ("max_connections",) if key in given}
            settings = Settings(tcp=TcpSettings(port=0, **tcp), server=ServerSettings(**given))
            clock, capture = ManualClock(), LogCapture()
            operations = operations or FakeOperations()
            gate = Gate([hash_token(token) for token in tokens], clock)
            log = structlog.wrap_logger(None, processors=[capture])
            door = TcpDoor(operations, gate, settings, clock, log, ssl_context)
            await door.start()
            stack.push_async_callback(door.close)
            return Served(door, operations, clock, capture, stack)

        yield open_door
