"""
Transports without a network, for the tests of users: a function stands in for the server.

    def server(request):
        if request.op == "push":
            return {"id": request.fields["id"], "outcome": "created"}
        raise jobwire.UnavailableError("OVERLOADED")

    client = jobwire.Client(transport=jobwire.MockTransport(server))

The function gets each Request (`op`, `fields`) and returns the members of the answer, or raises a JobwireError. A
fake that behaves like a whole server is `jobwire.testing.FakeServer`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from jobwire._operations import Reply, Request
from jobwire._strict_json import dumps, loads_answer
from jobwire._transports.base import NoticeCallback, Notices, client_closed

Handler: TypeAlias = Callable[[Request[Any]], Mapping[str, Any]]
AsyncHandler: TypeAlias = Callable[[Request[Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]


class MockTransport:
    """Answers each request with what *handler* returns. `requests` keeps what was asked, in order."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[Request[Any]] = []
        self._handler = handler
        self._notices = Notices()
        self._closed = False

    @property
    def polls(self) -> bool:
        return False

    def send(self, request: Request[Any], timeout: float) -> Reply:
        if self._closed:
            raise client_closed()
        _record(self.requests, request)
        return _reply(self._handler(request))

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        return self._notices.subscribe(callback)

    def notify(self, name: str, fields: Mapping[str, Any]) -> None:
        """Act as though the server had sent this notice."""
        self._notices.tell(name, fields)

    def interrupt(self) -> None:
        """Nothing waits here."""

    def close_idle(self) -> None:
        """There are no connections."""

    def close(self) -> None:
        self._closed = True


class AsyncMockTransport:
    """As MockTransport; *handler* may be a coroutine function."""

    def __init__(self, handler: AsyncHandler) -> None:
        self.requests: list[Request[Any]] = []
        self._handler = handler
        self._notices = Notices()
        self._closed = False

    @property
    def polls(self) -> bool:
        return False

    async def send(self, request: Request[Any], timeout: float) -> Reply:
        if self._closed:
            raise client_closed()
        _record(self.requests, request)
        answer = self._handler(request)
        return _reply(await answer if inspect.isawaitable(answer) else answer)

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        return self._notices.subscribe(callback)

    def notify(self, name: str, fields: Mapping[str, Any]) -> None:
        """Act as though the server had sent this notice."""
        self._notices.tell(name, fields)

    def interrupt(self) -> None:
        """Nothing waits here."""

    def close_idle(self) -> None:
        """There are no connections."""

    async def aclose(self) -> None:
        self._closed = True


def _record(requests: list[Request[Any]], request: Request[Any]) -> None:
    dumps(request.fields)  # what a real transport would refuse is refused here too
    requests.append(request)


def _reply(answer: Mapping[str, Any]) -> Reply:
    """Through JSON and back, so that a test never sees what no server could answer."""
    return Reply(loads_answer(dumps({"ok": True, **answer}).decode()))
