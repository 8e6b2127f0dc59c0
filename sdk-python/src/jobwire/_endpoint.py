"""
Where a client connects, and how: read from a URL, checked once, and safe to print.

Rule: the token is in no repr, no error and no log.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

DEFAULT_URL: Final = "http://localhost:6790"
_PORTS: Final = {"http": 80, "https": 443, "tcp": 6789, "tcps": 6789}

Scheme = Literal["http", "https", "tcp", "tcps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server's address and what a connection to it needs. `prefix` is the path of an HTTP URL, without a last /."""

    scheme: Scheme
    host: str
    port: int
    prefix: str = ""
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    connect_timeout: float = 5.0
    client_name: str = "jobwire-python"

    @property
    def is_tcp(self) -> bool:
        return self.scheme in ("tcp", "tcps")

    @property
    def authority(self) -> str:
        """Host and port as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"


def resolve(
    url: str | None,
    *,
    token: str | None,
    tls: ssl.SSLContext | None,
    connect_timeout: float,
    client_name: str | None,
) -> Endpoint:
    """
    The endpoint of the arguments of a client; JOBWIRE_URL and JOBWIRE_TOKEN stand in for those that are None.

    Raises:
        ValueError: A URL or a token that cannot be used; the message never shows the token or a password.
    """
    parts = _split(os.environ.get("JOBWIRE_URL") or DEFAULT_URL if url is None else url)
    scheme = cast("Scheme", parts.scheme)
    secure = scheme in ("https", "tcps")
    if tls is not None and not secure:
        raise ValueError(f"tls needs an https or tcps URL, got {scheme}")
    return Endpoint(
        scheme=scheme,
        host=_host(parts),
        port=parts.port or _PORTS[scheme],
        prefix=_prefix(parts),
        token=_plain("token", os.environ.get("JOBWIRE_TOKEN") or None if token is None else token),
        tls=(tls or ssl.create_default_context()) if secure else None,
        connect_timeout=connect_timeout,
        client_name=_plain("client_name", client_name) or "jobwire-python",
    )


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("the URL must start with http://, https://, tcp:// or tcps://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not hold credentials; give the token as token=...")
    if parts.query or parts.fragment:
        raise ValueError("the URL must not have a query or a fragment")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname
    if not host or any(char <= " " or char == "\x7f" for char in host):
        raise ValueError("the URL needs a host")
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _prefix(parts: SplitResult) -> str:
    prefix = parts.path.rstrip("/")
    if prefix and parts.scheme in ("tcp", "tcps"):
        raise ValueError("a tcp URL has no path")
    if any(char <= " " or char >= "\x7f" for char in prefix):
        raise ValueError("the path of the URL must be quoted")
    return prefix


def _plain(name: str, value: str | None) -> str | None:
    """*value*, refused, without being shown, when it could not stand in a header."""
    if value is not None and (not value or any(char <= " " or char >= "\x7f" for char in value)):
        raise ValueError(f"{name} must be printable ASCII without spaces")
    return value
