"""What the connections of one TCP door have in common."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.auth import Gate
    from jobwire_server.config import Settings
    from jobwire_server.operations.core import Caller
    from jobwire_server.tcp_api.connection import Connection
    from jobwire_server.tcp_api.deadlines import Deadlines
    from jobwire_server.wire.answers import Welcome


class Operations(Protocol):
    """The part of operations that a TCP connection uses."""

    async def run(self, name: str, requests: Sequence[Any], caller: Caller) -> list[Any]:
        """One result a request, in order; a result may be a JobwireError. May be cancelled at any time."""
        ...

    def forget(self, caller: Caller) -> None:
        """The caller is gone."""
        ...

    def welcome(self, version: int) -> Welcome:
        """The answer to a hello that chose this version."""
        ...


class Log(Protocol):
    """A structured log."""

    def debug(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...

    def error(self, event: str, **fields: Any) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that a connection looks at; durations in ms, 0 of `idle_timeout_ms` means never."""

    max_connections: int
    max_in_flight: int
    max_response_bytes: int
    write_buffer_bytes: int
    read_timeout_ms: int
    unauthenticated_timeout_ms: int
    idle_timeout_ms: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        server = settings.server
        return cls(
            max_connections=settings.tcp.max_connections,
            max_in_flight=server.max_in_flight,
            max_response_bytes=server.max_response_bytes,
            write_buffer_bytes=server.write_buffer_bytes,
            read_timeout_ms=server.read_timeout_ms,
            unauthenticated_timeout_ms=server.unauthenticated_timeout_ms,
            idle_timeout_ms=server.idle_timeout_ms,
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Shared:
    """
    `connections` are those that are served: open, or closed with requests still at work. `refused` are over the limit, and
    stay only until they have read so.
    """

    operations: Operations
    gate: Gate
    log: Log
    limits: Limits
    deadlines: Deadlines[Connection]
    connections: set[Connection] = field(default_factory=set)
    refused: set[Connection] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    draining: bool = False

    def enter(self, connection: Connection) -> bool:
        """Whether there is room to serve one more."""
        room = len(self.connections) < self.limits.max_connections
        (self.connections if room else self.refused).add(connection)
        self.empty.clear()
        return room

    def leave(self, connection: Connection) -> None:
        self.deadlines.drop(connection)
        self.connections.discard(connection)
        self.refused.discard(connection)
        if not self.connections and not self.refused:
            self.empty.set()
