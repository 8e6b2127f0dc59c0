"""The TCP door: listens, counts connections, watches their deadlines, drains and closes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobwire_server.tcp_api.connection import Connection
from jobwire_server.tcp_api.deadlines import SLOT_MS, Deadlines
from jobwire_server.tcp_api.shared import Limits, Log, Operations, Shared
from jobwire_server.tls import HANDSHAKE_S

if TYPE_CHECKING:
    import ssl

    from jobwire_server.auth import Gate
    from jobwire_server.clock import Clock
    from jobwire_server.config import Settings

BACKLOG: Final = 1024  # a restart brings all workers back at once


class TcpDoor:
    """
    Serves the TCP wire on `settings.tcp.host` and `.port`.

    `start`, then `drain` (stop accepting, finish what is in flight) and `close` (cut off the rest), each once, all in one
    event loop. Call `operations.drain()` before `drain`, so that pulls that wait are answered at once.
    """

    def __init__(
        self,
        operations: Operations,
        gate: Gate,
        settings: Settings,
        clock: Clock,
        log: Log,
        ssl_context: ssl.SSLContext | None = None,
        connection: type[Connection] = Connection,
    ) -> None:
        self._settings = settings
        self._ssl_context = ssl_context
        self._connection = connection
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shared = Shared(
            operations=operations,
            gate=gate,
            log=log,
            limits=Limits.of(settings),
            deadlines=Deadlines(clock, self._arm),
        )
        self._shared.empty.set()

    async def start(self) -> None:
        """Bind and listen. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        tcp = self._settings.tcp
        self._server = await loop.create_server(
            lambda: self._connection(self._shared),
            tcp.host,
            tcp.port,
            backlog=BACKLOG,
            ssl=self._ssl_context,
            ssl_handshake_timeout=HANDSHAKE_S if self._ssl_context else None,
        )

    @property
    def port(self) -> int:
        """The port that is listened on. Only after `start`."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """Connections that are served: open, or closed with requests still at work."""
        return len(self._shared.connections)

    def sweep(self) -> None:
        """Act on the deadlines that have passed; a timer calls it every second while there are any."""
        for connection in self._shared.deadlines.advance():
            self._look_at(connection)

    def _look_at(self, connection: Connection) -> None:
        try:
            connection.look()
        except Exception as error:
            self._shared.log.error("tcp.bug", doing="deadlines", exc_info=error)
            connection.abort()

    async def drain(self) -> None:
        """
        Stop accepting, tell version 2 (goaway), answer what is in flight, close, and wait until the last one is gone.

        Waits without a limit of its own: the caller sets one and then calls `close`.
        """
        self._stop_accepting()
        for connection in list(self._shared.connections):
            connection.drain("shutdown")
        for connection in list(self._shared.refused):
            connection.abort()
        await self._shared.empty.wait()

    async def close(self) -> None:
        """Cut off what is left. Idempotent."""
        self._stop_accepting()
        everyone = [*self._shared.connections, *self._shared.refused]
        tasks = [task for connection in everyone for task in connection.tasks()]
        for connection in everyone:
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shared.empty.wait()
        self._disarm()

    def _stop_accepting(self) -> None:
        self._shared.draining = True
        if self._server is not None:
            self._server.close()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SLOT_MS / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._arm()  # first, so that a bug in a look cannot end all looks
        self.sweep()
        if not self._shared.deadlines:
            self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
