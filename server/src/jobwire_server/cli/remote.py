"""
The commands' way to a running server: one request, one answer, over HTTP.

Paths, methods and places of fields come from the table that is generated from spec/wire.yaml, so a command names an
operation and its fields and nothing else. Nothing is tried again: a person or a script decides that.
"""

from __future__ import annotations

import functools
import http.client
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from jobwire_server import __version__
from jobwire_server.cli.exits import CliError, server_error, unreachable, usage
from jobwire_server.wire.commands import COMMANDS

API: Final = "/api/v1"
DEFAULT_URL: Final = "http://127.0.0.1:6790"
TIMEOUT_MS: Final = 30_000  # for the answer; a wait that was asked for comes on top
_WITH_BODY: Final = frozenset({"POST", "PATCH", "PUT"})


@dataclass(frozen=True)
class Answer:
    """A successful answer: its JSON text as it came, and the Date header that came with it."""

    text: bytes
    date: str | None = None

    @functools.cached_property
    def value(self) -> dict[str, Any]:
        """The answer as Python values; for people only, since payloads are verbatim in `text` alone."""
        decoded: dict[str, Any] = msgspec.json.decode(self.text)
        return decoded

    @functools.cached_property
    def members(self) -> dict[str, msgspec.Raw]:
        """The JSON text of each member."""
        return msgspec.json.decode(self.text, type=dict[str, msgspec.Raw])

    def list_of(self, member: str) -> list[msgspec.Raw]:
        """The JSON text of each item of a member that is a list."""
        return msgspec.json.decode(self.members[member], type=list[msgspec.Raw])


class Remote:
    """A server, by the URL of its HTTP door. Opens a connection a call; holds nothing between calls."""

    def __init__(self, url: str, token: str | None = None, *, timeout_ms: int = TIMEOUT_MS) -> None:
        self.url = _checked_url(url)
        self._token = _checked_token(token)
        self._timeout_ms = timeout_ms

    def __repr__(self) -> str:
        return f"Remote({self.url.geturl()})"

    def call(self, command: str, fields: Mapping[str, Any] | None = None) -> Answer:
        """
        Run an operation of spec/wire.yaml; fields that are None are left out.

        A msgspec.Raw among the fields is sent as it is.

        Raises:
            CliError: The server's error, or UNREACHABLE when there was no answer of this wire.
        """
        given = {name: value for name, value in (fields or {}).items() if value is not None}
        method, target, body = _request(command, given)
        wait_ms = given.get("wait_ms", 0)
        status, answer = self._exchange(method, target, body, self._timeout_ms + wait_ms)
        return _checked(status, answer, self.url.geturl())

    def _exchange(
        self, method: str, target: str, body: bytes | None, timeout_ms: int
    ) -> tuple[int, Answer]:
        connection = self._connection(timeout_ms)
        try:
            connection.connect()
        except OSError as error:
            raise self._no_connection(error) from error
        try:
            connection.request(method, self.url.path + API + target, body, self._headers(body))
            response = connection.getresponse()
            return response.status, Answer(response.read(), response.getheader("Date"))
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(error) from error
        finally:
            connection.close()

    def _connection(self, timeout_ms: int) -> http.client.HTTPConnection:
        host, port, timeout = self.url.hostname or "", self.url.port, timeout_ms / 1000
        if self.url.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"jobwire-cli/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _no_connection(self, error: OSError) -> CliError:
        return unreachable(
            "CONNECTION_FAILED",
            f"no connection to {self.url.geturl()} ({error.strerror or error})",
            "start a server with `jobwire serve`, or name another one with --url or JOBWIRE_URL",
        )

    def _no_answer(self, error: Exception) -> CliError:
        if isinstance(error, TimeoutError):
            return unreachable(
                "TIMEOUT",
                f"no answer from {self.url.geturl()} in time",
                "the request may have been carried out; look before repeating it",
            )
        return unreachable(
            "CONNECTION_LOST",
            f"{self.url.geturl()} closed the connection before it answered",
            "the request may have been carried out; look before repeating it, and check that "
            "this is the HTTP port (and https:// where TLS is on)",
        )


def from_environment(url: str | None, token: str | None) -> Remote:
    """The server that the options name, else JOBWIRE_URL and JOBWIRE_TOKEN, else RustQueue's names, else the default."""
    named = url or os.environ.get("JOBWIRE_URL") or _rustqueue_url() or DEFAULT_URL
    return Remote(named, token or os.environ.get("JOBWIRE_TOKEN") or None)


def _rustqueue_url() -> str | None:
    host, port = os.environ.get("RUSTQUEUE_HOST"), os.environ.get("RUSTQUEUE_HTTP_PORT")
    return f"http://{host or '127.0.0.1'}:{port or 6790}" if host or port else None


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.rstrip("/"))
        well_formed = bool(parts.hostname) and parts.port != 0
    except ValueError:
        shown = url.rpartition("@")[2].partition("?")[0]  # never a password, nor a token of a query
        raise usage(f"'{shown}' is not a URL", f"give one such as {DEFAULT_URL}") from None
    if parts.scheme not in ("http", "https") or not well_formed or parts.query or parts.username:
        raise usage(
            f"'{parts.scheme}://{parts.hostname}' is not the URL of an HTTP door",
            f"give one such as {DEFAULT_URL}; a token goes to JOBWIRE_TOKEN",
        )
    return parts


def _checked_token(token: str | None) -> str | None:
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise usage("the token has characters that no token has", "check JOBWIRE_TOKEN or --token")
    return token


def _request(command: str, given: Mapping[str, Any]) -> tuple[str, str, bytes | None]:
    """Method, path below /api/v1 with its query, and body, from the first route whose fields were all given."""
    route = next(r for r in COMMANDS[command].http if set(_path_fields(r)) <= given.keys())
    method, _, path = route.partition(" ")
    in_path = {name: quote(str(given[name]), safe="") for name in _path_fields(route)}
    rest = {name: value for name, value in given.items() if name not in in_path}
    target = path.format(**in_path)
    if method in _WITH_BODY:
        return method, target, msgspec.json.encode(rest)
    return method, f"{target}?{urlencode(_query(rest))}" if rest else target, None


def _path_fields(route: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", route)


def _query(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in fields.items()
    }


def _checked(status: int, answer: Answer, url: str) -> Answer:
    """The answer when it says ok, its error as an exception otherwise; anything else did not come from this wire."""
    try:
        ok = answer.value["ok"]
        error = {} if ok else answer.value["error"]
        code, message = (None, None) if ok else (str(error["code"]), str(error["message"]))
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError) as problem:
        raise unreachable(
            "PROTOCOL_ERROR",
            f"{url} answered {status}, but not as a Jobwire server does",
            "check that --url or JOBWIRE_URL names the HTTP door of a Jobwire server",
        ) from problem
    if code is not None and message is not None:
        raise server_error(code, message)
    return answer
