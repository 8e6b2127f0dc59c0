"""
From a route to its answer. `operation` serves every command of the wire in four steps: read, parse, run, encode.

There is no rule about jobs in here. What a body means is wire/requests.py's, what happens is the operations'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web

from jobwire_server.errors import JobwireError, invalid, misshapen
from jobwire_server.http_api.answers import COMMON_HEADERS, json_answer
from jobwire_server.metrics import CONTENT_TYPE
from jobwire_server.operations.core import Caller
from jobwire_server.wire import requests, responses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.http_api.bodies import BodyReader
    from jobwire_server.http_api.routing import Route
    from jobwire_server.metrics import Metrics

QUERY_FIELDS: Final = 32
WITH_BODY: Final = frozenset({"POST", "PATCH"})
# What may be left off when its client goes away: reads, and these, which give back what they have claimed or renewed no further.
READS: Final = frozenset({"GET", "HEAD"})
WAITS: Final = frozenset({"pull", "heartbeat_batch"})
# The pages are static and carry no script; this keeps it so, also when one is framed or something is injected.
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Runs(Protocol):
    """The part of Operations that this door uses."""

    def run(
        self, name: str, requests: Sequence[Any], caller: Caller
    ) -> Coroutine[Any, Any, list[Any]]: ...


@dataclass(frozen=True, slots=True)
class Page:
    """A file that is served as it is."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that may be served: its route, its path parameters, and the address it came from."""

    request: web.BaseRequest
    route: Route
    given: Mapping[str, str]
    peer: str


Handler: TypeAlias = Callable[[Exchange], Awaitable[web.Response]]


class Handlers:
    """Serves exchanges. `pages` are the static files by route path."""

    def __init__(
        self,
        operations: Runs,
        bodies: BodyReader,
        metrics: Metrics,
        pages: Mapping[str, Page],
    ) -> None:
        self._operations = operations
        self._bodies = bodies
        self._metrics = metrics
        self._pages = pages
        self._at_work: set[asyncio.Task[list[Any]]] = set()
        self._special: dict[str, Handler] = {
            "metrics": self._render_metrics,
            "openapi": self._page,
            "docs": self._page,
        }

    async def rest(self, seconds: float) -> None:
        """Wait, at most so long, for changes whose clients are gone: those who wait for them are told after the store's answer."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=seconds)

    async def serve(self, exchange: Exchange) -> web.Response:
        """The answer. Raises JobwireError for every refusal."""
        handler = self._special.get(exchange.route.command, self._operation)
        return await handler(exchange)

    async def _operation(self, exchange: Exchange) -> web.Response:
        request, route = exchange.request, exchange.route
        query = read_query(request.rel_url.raw_query_string, route.query)
        body = await self._bodies.read(request) if request.method in WITH_BODY else None
        command = requests.from_http(route.command, body, exchange.given, query)
        result = await self._run(command, exchange)
        return json_answer(*responses.http_answer(command.name, result))

    async def _run(self, command: requests.Command, exchange: Exchange) -> Any:
        """One result of the operations. An error among the results is raised."""
        caller = Caller("http", exchange.peer, exchange.request.headers.get("User-Agent"))
        run = self._operations.run(command.name, [command.request], caller)
        if exchange.request.method not in READS and command.name not in WAITS:
            run = self._to_its_end(run)
        result, *_ = await run
        if isinstance(result, JobwireError):
            raise result
        return result

    async def _to_its_end(self, run: Coroutine[Any, Any, list[Any]]) -> list[Any]:
        """
        Go on with a change whose client hangs up. Its store call cannot be called back, and those who wait for what it
        changed (JW-PULL-9, JW-CANCEL-4) are told only after that.
        """
        task = asyncio.get_running_loop().create_task(run)
        self._at_work.add(task)  # the loop itself would not keep it alive
        task.add_done_callback(self._at_work.discard)
        return await asyncio.shield(task)

    async def _render_metrics(self, _: Exchange) -> web.Response:
        headers = {**COMMON_HEADERS, "Content-Type": CONTENT_TYPE}
        return web.Response(body=self._metrics.render(), headers=headers)

    async def _page(self, exchange: Exchange) -> web.Response:
        page = self._pages[exchange.route.path]
        headers = {**COMMON_HEADERS, **PAGE_HEADERS, "Content-Type": page.content_type}
        return web.Response(body=page.body, headers=headers)


def read_query(text: str, known: frozenset[str]) -> dict[str, str]:
    """
    The fields of a query string. Refused: one that the route does not take, one that comes twice, and bad UTF-8.
    """
    if not text:
        return {}
    query: dict[str, str] = {}
    for name, value in _pairs(text):
        if name not in known:
            raise misshapen(f"/{name}", f"unknown query parameter '{name}'")
        if name in query:
            raise invalid(f"/{name}", f"the query parameter '{name}' comes twice")
        query[name] = value
    return query


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS
        )
        "".join(
            name + value for name, value in pairs
        ).encode()  # raw bad bytes arrive as surrogates
    except UnicodeError as exc:
        raise JobwireError("BAD_REQUEST", "The query is not percent-encoded UTF-8") from exc
    except ValueError as exc:
        raise invalid("", f"more than {QUERY_FIELDS} query parameters") from exc
    return pairs
