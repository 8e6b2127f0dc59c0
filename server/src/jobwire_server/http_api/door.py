"""The life of the HTTP door: bind, serve, drain, close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobwire_server import tls
from jobwire_server.http_api.app import build_app
from jobwire_server.http_api.connection import Listener
from jobwire_server.http_api.handlers import Handlers

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from jobwire_server.auth import Gate
    from jobwire_server.config import Settings
    from jobwire_server.http_api.handlers import Runs
    from jobwire_server.metrics import Metrics

BACKLOG: Final = 1024


class HttpDoor:
    """
    Serves the API on `settings.http`. Use: start, then drain and close; or close alone. All of them may be repeated.

    It owns its sockets and one task; both end with close().
    """

    def __init__(
        self,
        operations: Runs,
        gate: Gate,
        settings: Settings,
        metrics: Metrics,
        log: FilteringBoundLogger,
        handlers: type[Handlers] = Handlers,
    ) -> None:
        self._app = build_app(operations, gate, settings, metrics, log, handlers)
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._tls: tls.TlsFiles | None = None
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None
        self._port: int | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that was bound; known after start()."""
        if self._port is None:
            raise RuntimeError("the HTTP door is not open")
        return self._port

    @property
    def url(self) -> str:
        """Where the API is, as one would type it."""
        host = self._settings.http.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}"

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the address cannot be bound, TlsError for the certificate or key."""
        http, server = self._settings.http, self._settings.server
        self._tls = tls.tls_files(http.tls_cert, http.tls_key, alpn=("http/1.1",))
        self._listener = Listener(
            self._app,
            max_connections=http.max_connections,
            read_timeout_ms=server.read_timeout_ms,
            metrics=self._metrics,
            log=self._log,
        )
        self._server = await asyncio.get_running_loop().create_server(
            self._listener,
            http.host,
            http.port,
            backlog=BACKLOG,
            ssl=self._tls.context if self._tls else None,
            ssl_handshake_timeout=tls.HANDSHAKE_S if self._tls else None,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._watch = asyncio.create_task(self._listener.watch(), name="http-deadlines")

    def reload(self) -> None:
        """Read the certificate and the key again (SIGHUP). Raises TlsError, and then goes on with the old ones."""
        if self._tls is not None:
            self._tls.reload()

    async def drain(self) -> None:
        """
        Accept no connection any more and return when the requests in flight are answered, at the latest after
        `server.drain_timeout_ms`. A request on a kept connection is still served, with `Connection: close`.
        """
        if self._server is None or self._listener is None:
            return
        self._server.close()
        self._listener.draining = True
        try:
            async with asyncio.timeout(self._settings.server.drain_timeout_ms / 1000):
                await self._listener.drained()
        except TimeoutError:
            self._log.warning("http.drain_timeout", in_flight=self._listener.in_flight)

    async def close(self) -> None:
        """Close every connection now, whatever it does; jobs that were pulled by a cancelled request are given back."""
        if self._server is not None:
            self._server.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._listener is not None:
            await self._listener.close()
