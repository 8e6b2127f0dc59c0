"""Abstract operations over HTTP, with httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from conformance.runner.exchange import Exchange, headers_of
from conformance.runner.operations import Answer, Operation, http_answer, http_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.runner.recorder import Recorder
    from conformance.runner.target import Target
    from conformance.runner.wire_log import WireLog

BASE_PATH: Final = "/api/v1"
TIMEOUT_S: Final = 15.0

# What httpx raises when the connection ended before the answer did. A deadline is not among them: nobody may hang.
LOST: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.ConnectError)

_SENT: Final = "http11.send_request_body.complete"


class HttpDoor:
    """One client for one item; requests that run at the same time have connections of their own."""

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        log: WireLog,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._target = target
        self._recorder = recorder
        self._log = log
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=False,  # no TLS here; a context would cost 15 ms an item
            transport=transport,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    async def call(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        """
        Ask and wait. `on_sent` is called when the request has left.

        Raises WrongAnswer, Undocumented, SuiteError for fields that HTTP cannot carry, and TimeoutError.
        """
        asked = http_request(operation, fields)
        request = self._client.build_request(
            asked.method,
            self._target.http_url + BASE_PATH + asked.target,
            content=asked.body,
            headers=self._headers(asked.body),
            extensions=tracing(on_sent),
        )
        self._log.add("http", "→", f"{asked.method} {asked.target} {(asked.body or b'').decode()}")
        try:
            response = await self._client.send(request)
        except httpx.TimeoutException as error:
            raise TimeoutError(f"{operation.name} was not answered in {TIMEOUT_S:g} s") from error
        except LOST as error:
            self._log.add("http", "←", f"no answer: {error!r}")
            return Answer(fields={}, lost=repr(error))
        return self._answer(operation, request, response)

    def _answer(
        self, operation: Operation, request: httpx.Request, response: httpx.Response
    ) -> Answer:
        body = response.content
        self._log.add("http", "←", f"{response.status_code} {body.decode(errors='replace')}")
        self._recorder.http(exchange_of(request, response))
        media_type = response.headers.get("content-type", "")
        return http_answer(operation, response.status_code, media_type, body)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        if self._target.token is not None:
            headers["Authorization"] = f"Bearer {self._target.token}"
        return headers

    async def close(self) -> None:
        await self._client.aclose()


def tracing(on_sent: Callable[[], None] | None) -> dict[str, Any]:
    if on_sent is None:
        return {}

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event == _SENT:
            on_sent()

    return {"trace": trace}


def exchange_of(request: httpx.Request, response: httpx.Response) -> Exchange:
    """What httpx sent and received; the response is read."""
    return Exchange(
        method=request.method,
        target=request.url.raw_path.decode("ascii"),
        request_headers=headers_of(request.headers.items()),
        request_body=request.content,
        status=response.status_code,
        headers=headers_of(response.headers.items()),
        body=response.content,
    )
