"""Fail points of the TCP door: around every batch of requests that a connection carries out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jobwire_server.tcp_api.connection import Connection
from jobwire_server.test_mode.cutting import half_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.test_mode.faults import FaultBoard


class FaultyConnection(Connection):
    """A connection that looks at the board first."""

    __slots__ = ()

    board: FaultBoard

    async def _run(self, name: str, requests: Sequence[Any]) -> Sequence[Any]:
        if asyncio.current_task() is self._greeting_task:
            return await super()._run(name, requests)  # nobody asked for this one
        fault, met = self.board.take(name, len(requests))
        action = None if fault is None else fault.action
        if fault is not None and action == "error":
            refused = [fault.error() for _ in range(met)]
            return [*refused, *await super()._run(name, requests[met:])]
        if fault is not None and action == "delay":
            await asyncio.sleep(fault.seconds)
        if fault is not None and action == "close_before":
            self._abort()
            return [fault.error() for _ in requests]  # to nobody
        results = await super()._run(name, requests)
        if action == "close_after_commit":
            self._abort()
        if action == "truncate":
            self._transport = half_line(self._transport)
        return results
