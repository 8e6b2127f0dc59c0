"""Fail points of the HTTP door: around every route, static pages too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from jobwire_server.http_api.handlers import Exchange, Handlers
from jobwire_server.test_mode.cutting import half_body

if TYPE_CHECKING:
    from aiohttp import web

    from jobwire_server.test_mode.faults import FaultBoard


class FaultyHandlers(Handlers):
    """Handlers that look at the board first. The operation is that of the route: an array pushed to /jobs is a `push`."""

    board: FaultBoard

    async def serve(self, exchange: Exchange) -> web.Response:
        fault, _ = self.board.take(exchange.route.command)
        action = None if fault is None else fault.action
        if fault is not None and action == "error":
            raise fault.error()
        if fault is not None and action == "delay":
            await asyncio.sleep(fault.seconds)
        if action == "close_before":
            await _cut(exchange)
        answer = await super().serve(exchange)
        if action == "close_after_commit":
            await _cut(exchange)
        if action == "truncate":
            _truncate(exchange)
        return answer


async def _cut(exchange: Exchange) -> NoReturn:
    """End the connection without a word. Its request is cancelled with it."""
    if exchange.request.transport is not None:
        exchange.request.transport.abort()
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody resolves that future")


def _truncate(exchange: Exchange) -> None:
    protocol = exchange.request.protocol
    if protocol.transport is not None:
        protocol.transport = half_body(protocol.transport)
