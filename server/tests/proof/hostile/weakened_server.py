"""The server with one defence taken away, for the controls: `python -m tests.proof.hostile.weakened_server WEAKNESS serve …`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from jobwire_server import auth, log
from jobwire_server.cli import main
from jobwire_server.http_api import bodies, browser, connection, middleware, routing
from jobwire_server.operations.service import Operations
from jobwire_server.tcp_api.deadlines import Deadlines


def no_deadlines() -> None:
    """A client may take for ever over a header, a body or a line."""
    connection.Listener.header_deadline = lambda self: math.inf  # type: ignore[method-assign]
    Deadlines.advance = lambda self: []  # type: ignore[method-assign]
    bodies.BodyReader._read_within_deadline = (  # type: ignore[method-assign]
        bodies.BodyReader._collect
    )


def decompressing() -> None:
    """A compressed body is taken for what it stands for, and read to its end."""
    made = connection.Connection.__init__

    def decompress(self: Any, listener: Any, **options: Any) -> None:
        made(self, listener, **{**options, "auto_decompress": True})

    connection.Connection.__init__ = decompress  # type: ignore[method-assign]
    bodies._check_encoding = lambda headers: None
    bodies.BodyReader._too_large = _patience  # type: ignore[assignment,method-assign]
    bodies.BodyReader._check_declared = lambda self, size: None  # type: ignore[method-assign]
    bodies.BodyReader._collect = _collect_everything  # type: ignore[method-assign]


def _patience(self: bodies.BodyReader) -> Exception:
    return ValueError("only a body of no limit gets here")


async def _collect_everything(self: bodies.BodyReader, request: Any) -> bytes:
    return await request.content.read()  # type: ignore[no-any-return]


def no_lockout() -> None:
    """A wrong token costs nothing."""
    auth.Gate._locked_for = lambda self, source, now: 0  # type: ignore[method-assign]


def believing() -> None:
    """X-Forwarded-For is believed whoever sends it."""
    auth.TrustedProxies.client_of = (  # type: ignore[method-assign]
        lambda self, peer, forwarded_for: forwarded_for[-1] if forwarded_for else peer
    )


def open_to_pages() -> None:
    """No browser guard, any media type, and every origin may read."""
    browser.BrowserGuard.refusal = lambda self, asked: None  # type: ignore[method-assign]
    browser.BrowserGuard.allows = lambda self, origin: origin is not None  # type: ignore[method-assign]
    browser.BrowserGuard.allows_origins = property(lambda self: True)  # type: ignore[assignment,method-assign]
    bodies.is_json = lambda content_type: True


def telling() -> None:
    """A token that is asked for is written to the log as it came."""
    check = auth.Gate.check

    def tell(self: auth.Gate, token: str | None, peer: str) -> Any:
        print(f"auth.checked token={token}", file=sys.stderr, flush=True)
        return check(self, token, peer)

    auth.Gate.check = tell  # type: ignore[method-assign]


def raw_log() -> None:
    """Text of users goes to the log as it came."""
    log.printable = lambda text: text
    log.json_line = lambda _logger, _method, event: (
        str(event.get("event"))
        + "".join(  # type: ignore[assignment]
            f" {name}={value}" for name, value in event.items()
        )
    )
    refuse = middleware.App._log_error

    def tell(self: Any, error: Any, request: Any, request_id: str) -> None:
        path = unquote(request.raw_path)
        self._log.info("http.asked " + path, path=path)
        refuse(self, error, request, request_id)

    middleware.App._log_error = tell  # type: ignore[method-assign]


def unfair() -> None:
    """Who asks a lot is served at once and to the end, and all others wait."""
    run = Operations.run

    async def run_slowly(self: Operations, name: str, requests: Any, caller: Any) -> Any:
        if getattr(requests[0], "queue", None) == "crowd":
            time.sleep(0.4)  # noqa: ASYNC251 - this is the fault; above what a slow machine is let pass
        return await run(self, name, requests, caller)

    Operations.run = run_slowly  # type: ignore[method-assign]


def twice_decoded() -> None:
    """The percent-decoding of a path is done twice, so that one name passes for another."""
    decoded = routing._decoded
    routing._decoded = lambda segment: unquote(decoded(segment))


def old_tls() -> None:
    """Any version of TLS that OpenSSL still has."""
    import ssl
    import warnings

    from jobwire_server import tls

    made = tls._server_context

    def weak(alpn: Any) -> ssl.SSLContext:
        context = made(alpn)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    tls._server_context = weak


WEAKNESSES: dict[str, Callable[[], None]] = {
    weakness.__name__: weakness
    for weakness in (
        no_deadlines,
        decompressing,
        no_lockout,
        believing,
        open_to_pages,
        telling,
        raw_log,
        unfair,
        twice_decoded,
        old_tls,
    )
}

if __name__ == "__main__":
    WEAKNESSES[sys.argv.pop(1)]()
    main()
