"""
What every request goes through, in this order: an id, its route, the token, the browser guard, the handler, and at the
end the one place that turns whatever was raised into an answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion10, HttpVersion11, web

from jobwire_server.errors import JobwireError
from jobwire_server.http_api.answers import (
    COMMON_HEADERS,
    error_answer,
    prefers_problem,
    raw_answer,
)
from jobwire_server.http_api.browser import Asked, BrowserGuard
from jobwire_server.http_api.handlers import Exchange, Handlers
from jobwire_server.metrics import stopwatch
from jobwire_server.wire import responses
from jobwire_server.wire.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger

    from jobwire_server.auth import Gate, TrustedProxies
    from jobwire_server.http_api.routing import Place, Route, Router
    from jobwire_server.ids import IdMaker
    from jobwire_server.metrics import Metrics

REQUEST_ID: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BEARER: Final = re.compile(r"[Bb]earer +(\S+) *")
# HTTP/0.9 has no headers, so no token and no Host.
_VERSIONS: Final = frozenset({HttpVersion10, HttpVersion11})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSALS: Final = frozenset({"UNAUTHORIZED", "RATE_LIMITED", "ORIGIN_REFUSED"})

# For pages of allowed origins only; without one there is no CORS header at all.
PREFLIGHT_HEADERS: Final[Mapping[str, str]] = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
EXPOSED: Final = "X-Request-Id, Retry-After"


class App:
    """The HTTP application: a request in, an answer out, never an exception but CancelledError."""

    def __init__(
        self,
        *,
        router: Router,
        handlers: Handlers,
        guard: BrowserGuard,
        gate: Gate,
        proxies: TrustedProxies,
        ids: IdMaker,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._router = router
        self._handlers = handlers
        self._guard = guard
        self._gate = gate
        self._proxies = proxies
        self._ids = ids
        self._metrics = metrics
        self._log = (
            log.bind()
        )  # a lazy logger would be set up anew for each line, also for those that are filtered

    async def rest(self, seconds: float) -> None:
        """Wait, at most so long, for changes whose clients are gone."""
        await self._handlers.rest(seconds)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        started = stopwatch()
        request_id = self._request_id(request.headers.get(REQUEST_ID))
        answer = await self._answer(request, request_id)
        answer.headers[REQUEST_ID] = request_id
        self._add_cors(request, answer)
        if not request.content.is_eof():
            answer.force_close()  # nobody will read what is left of the body
        seconds = stopwatch() - started
        self._metrics.http_request(request.method, answer.status, seconds)
        self._log.debug(
            "http.request",
            method=request.method,
            status=answer.status,
            ms=round(seconds * 1000, 3),
            request_id=request_id,
        )
        return answer

    def refuse(self, error: JobwireError) -> web.Response:
        """The answer to bytes that are not a request: there is no header to look at."""
        answer = error_answer(error)
        answer.headers[REQUEST_ID] = self._ids.new()
        self._metrics.http_request("OTHER", answer.status, 0.0)
        return answer

    def refuse_raw(self, error: JobwireError) -> bytes:
        """The same as the bytes of a whole answer, for a connection that gets no other."""
        return raw_answer(error, {REQUEST_ID: self._ids.new()})

    def _request_id(self, given: str | None) -> str:
        """The client's id when it is harmless in a log and a header, else a new one."""
        return given if given and _REQUEST_ID.fullmatch(given) else self._ids.new()

    # --- from request to answer ----------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest, request_id: str) -> web.Response:
        try:
            return await self._serve(request)
        except JobwireError as error:
            self._log_error(error, request, request_id)
            return _error(error, request)
        except Exception:  # noqa: BLE001 - a bug must not end the connection without an answer
            self._log.exception("http.failed", request_id=request_id)
            fault = f"Internal error; the server's log has it under the request id {request_id}"
            return _error(JobwireError("INTERNAL_ERROR", fault), request)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if request.version not in _VERSIONS:
            request._cache["version"] = HttpVersion11  # of the answer: aiohttp would copy the other
            raise JobwireError("BAD_REQUEST", "The request is not HTTP/1.1")

        # Step 1: where it goes. The answer to an unknown path waits until the caller is known (step 4).
        place = self._router.find(request.rel_url.raw_path)
        route = place.route(request.method) if place else None
        is_public = route is not None and not COMMANDS[route.command].auth

        is_question = request.method == "OPTIONS" and (place or request.rel_url.raw_path == "*")

        # Step 2 (JW-AUTH-5): a token, before anything else is looked at. Unknown paths need one too; a browser's
        # preflight cannot have one.
        peer = self._peer(request)
        if not is_public and not is_question:
            self._authenticate(request, peer)

        # Step 3 (JW-HTTP-9, JW-HTTP-10): no web page that has no business here. Where a token is wanted, one that came by a false
        # name has none; so a server with tokens answers to any name, such as that of its container.
        any_host = is_public or bool(is_question) or self._gate.enabled
        self._refuse_pages(request, route, any_host=any_host)
        if is_question:
            return self._options(request, place)

        # Step 4: the handler.
        if place is None:
            raise _no_route(request)
        if route is None:
            raise _no_method(place)
        return await self._handlers.serve(Exchange(request, route, place.given, peer))

    def _refuse_pages(
        self, request: web.BaseRequest, route: Route | None, *, any_host: bool
    ) -> None:
        headers = request.headers
        refusal = self._guard.refusal(
            Asked(
                hosts=tuple({request.host, headers["Host"]}) if "Host" in headers else (),
                origin=headers.get("Origin"),
                fetch_site=headers.get("Sec-Fetch-Site"),
                changes_state=request.method not in _SAFE
                or (route is not None and route.command == "pull"),
                any_host=any_host,
            )
        )
        if refusal is not None:
            raise refusal

    def _peer(self, request: web.BaseRequest) -> str:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        return self._proxies.client_of(request.remote or "", forwarded)

    def _authenticate(self, request: web.BaseRequest, peer: str) -> None:
        header = request.headers.get("Authorization")
        bearer = _BEARER.fullmatch(header or "")
        refusal = self._gate.check(bearer[1] if bearer else None, peer)
        if refusal is None:
            return
        if refusal.code == "UNAUTHORIZED":
            raise JobwireError("UNAUTHORIZED", _why_unauthorized(header))
        raise refusal

    def _options(self, request: web.BaseRequest, place: Place | None) -> web.Response:
        allow = place.allow if place else "DELETE, GET, HEAD, OPTIONS, PATCH, POST"
        headers = {**COMMON_HEADERS, "Allow": allow}
        if self._guard.allows(request.headers.get("Origin")):
            headers |= {**PREFLIGHT_HEADERS, "Access-Control-Allow-Methods": allow}
        return web.Response(status=204, headers=headers)

    def _add_cors(self, request: web.BaseRequest, answer: web.Response) -> None:
        if not self._guard.allows_origins:
            return
        answer.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin is not None and self._guard.allows(origin):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = EXPOSED

    def _log_error(self, error: JobwireError, request: web.BaseRequest, request_id: str) -> None:
        """Refusals and faults of the server are worth a line; other errors are the client's, and frequent."""
        if error.code in REFUSALS:
            peer = self._peer(request)
            self._log.info("http.refused", code=error.code, peer=peer, request_id=request_id)
        elif responses.status_of(error) >= 500:
            self._log.warning(
                "http.error", code=error.code, message=error.message, request_id=request_id
            )


def _error(error: JobwireError, request: web.BaseRequest) -> web.Response:
    return error_answer(error, problem=prefers_problem(request.headers.get("Accept")))


def _why_unauthorized(header: str | None) -> str:
    """RustQueue's four sentences."""
    if header is None:
        return "Missing Authorization header"
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        return "Authorization header must use Bearer scheme"
    return "Invalid bearer token" if token.strip() else "Missing bearer token"


def _no_route(request: web.BaseRequest) -> JobwireError:
    path = request.rel_url.raw_path.encode("ascii", "backslashreplace").decode()[:256]
    return JobwireError(
        "ROUTE_NOT_FOUND",
        "No operation has this path; see /api/v1/openapi.json",
        {"path": path},
    )


def _no_method(place: Place) -> JobwireError:
    return JobwireError(
        "METHOD_NOT_ALLOWED",
        f"This path takes {place.allow}",
        {"allow": place.allow.split(", ")},
    )
