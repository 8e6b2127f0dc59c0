"""The socket of the control API: a port of its own, on loopback, closed to web pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from jobwire_server.errors import JobwireError
from jobwire_server.http_api.answers import error_answer, json_answer
from jobwire_server.http_api.browser import Asked, BrowserGuard
from jobwire_server.test_mode.control import Control

if TYPE_CHECKING:
    from jobwire_server.test_mode.rig import Rig

_log = structlog.get_logger(__name__)

HOST: Final = "127.0.0.1"
_CLEAN_UP_S: Final = 0.1
# In the time that tests move: a client that keeps its connection must find it open after years of it.
_KEEP_ALIVE_S: Final = 1e12


class ControlDoor:
    """`start`, then `close`; both on the loop of the rig."""

    def __init__(self, rig: Rig, port: int) -> None:
        self._control = Control(rig)
        self._loop = rig.loop
        self._wanted_port = port
        self._guard = BrowserGuard(bound_host=HOST, allowed_hosts=(), allowed_origins=())
        self._protocols = web.Server(
            self._serve, access_log=None, keepalive_timeout=_KEEP_ALIVE_S, lingering_time=0
        )
        self.url = ""

    async def start(self) -> None:
        """Bind and listen. Raises OSError when the port is taken."""
        self._server = await self._loop.create_server(self._protocols, HOST, self._wanted_port)
        self.url = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Listen no more and cut what is open."""
        self._server.close()
        await self._protocols.shutdown(_CLEAN_UP_S)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._refuse_pages(request)
            body = await request.read()
            return json_answer(200, await self._control.answer(request.method, request.path, body))
        except JobwireError as error:
            return error_answer(error)
        except Exception:  # noqa: BLE001 - a bug must not end the connection without an answer
            _log.exception("test_control.failed")
            return error_answer(
                JobwireError("INTERNAL_ERROR", "Internal error; the server's log has it")
            )

    def _refuse_pages(self, request: web.BaseRequest) -> None:
        """As the main door (JW-HTTP-9, JW-HTTP-10); every request counts as one that changes something."""
        headers = request.headers
        refusal = self._guard.refusal(
            Asked(
                hosts=tuple({request.host, headers["Host"]}) if "Host" in headers else (),
                origin=headers.get("Origin"),
                fetch_site=headers.get("Sec-Fetch-Site"),
                changes_state=True,
                any_host=False,
            )
        )
        if refusal is not None:
            raise refusal
