"""An HTTP server that answers what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a command sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """Answers by `METHOD /path?query`, several to be given in turn (the last one stays), and the requests so far."""

    url: str = ""
    answers: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, route: str, *bodies: Any, status: int = 200) -> None:
        """Answer a route below /api/v1; bytes as they are, anything else as JSON."""
        texts = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        self.answers[route] = [(status, text) for text in texts]

    def fail(self, route: str, status: int, code: str, message: str = "said the server") -> None:
        """Answer a route with an error of the wire."""
        error = {"code": code, "message": message, "details": None, "retryable": False}
        self.on(route, {"ok": False, "error": error}, status=status)

    def answer(self, request: Request) -> tuple[int, bytes]:
        self.requests.append(request)
        route = f"{request.method} {request.path.removeprefix('/api/v1')}"
        planned = self.answers.get(route)
        if not planned:
            return 500, json.dumps(f"the test has no answer for {route}").encode()
        return planned.pop(0) if len(planned) > 1 else planned[0]

    @property
    def only(self) -> Request:
        """The one request that was made."""
        assert len(self.requests) == 1
        return self.requests[0]


@contextmanager
def scripted_server() -> Iterator[Script]:
    """Run one on a free port of this machine."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            request = Request(
                method=self.command,
                path=self.path,
                headers=dict(self.headers),
                body=self.rfile.read(length),
            )
            status, body = script.answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class asks for these names

        def log_message(self, format: str, *args: Any) -> None:
            """The test's output is the command's alone."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
