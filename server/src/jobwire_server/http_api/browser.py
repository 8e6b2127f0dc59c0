"""
Keeping web pages out: a page that a user happens to open must not drive a queue on their machine or in their network.

Three ways in, three answers (JW-HTTP-9, JW-HTTP-10); programs send none of these headers and never notice:

- A page of another origin sends a request: its Origin is not ours and not allowed. Refused, whatever it asks.
- The same without an Origin (a link, an image, a form): Sec-Fetch-Site tells. Refused when it changes state.
- DNS rebinding: the page's own name now resolves to this server, so that the browser sees one origin. The Host header
  still has that name, and only known names are served. An address as Host is safe, because no name was resolved.

Pure: headers in, verdict out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from jobwire_server.errors import JobwireError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@\s]+)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_LOCAL: Final = "localhost"
_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})
SHOWN: Final = 256  # characters of a refused header that an answer repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the guard looks at. `hosts` are the Host header and the authority of an absolute request target."""

    hosts: tuple[str, ...]
    origin: str | None
    fetch_site: str | None
    changes_state: bool
    any_host: bool  # the name by which it asks does not matter


class BrowserGuard:
    """Knows which origins and hosts are welcome. `allowed_origins` are lower-case `scheme://host[:port]`."""

    def __init__(
        self, *, bound_host: str, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
    ) -> None:
        self._hosts = (
            frozenset(host.lower() for host in (bound_host, *allowed_hosts)) - _ANY_ADDRESS
        )
        self._origins = frozenset(allowed_origins)

    @property
    def allows_origins(self) -> bool:
        """Whether any answer may differ by Origin."""
        return bool(self._origins)

    def allows(self, origin: str | None) -> bool:
        """Whether a page of this origin gets CORS headers."""
        return origin is not None and origin.lower() in self._origins

    def refusal(self, asked: Asked) -> JobwireError | None:
        """ORIGIN_REFUSED, or None when the request may go on."""
        strange = next((host for host in asked.hosts if not self._knows_host(host)), None)
        if strange is not None and not asked.any_host:
            return _strange_host(strange)
        if asked.origin is not None:
            welcome = self.allows(asked.origin) or self._is_own(asked.origin, asked.hosts)
            return None if welcome else _foreign_origin(asked.origin)
        if asked.changes_state and asked.fetch_site not in (None, "same-origin", "none"):
            return _cross_site()
        return None

    def _knows_host(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower()
        return (
            name == _LOCAL
            or name.endswith("." + _LOCAL)
            or name in self._hosts
            or _is_address(name)
        )

    def _is_own(self, origin: str, hosts: tuple[str, ...]) -> bool:
        """
        A page that this server sent itself, under the name by which it is asked now.

        Only the authority is compared: behind a proxy that ends TLS the page's scheme is https and ours is http.
        """
        match = _ORIGIN.fullmatch(origin.lower())
        if match is None:  # `null` too: a sandboxed frame or a file
            return False
        own = _without_default_port(match[2], match[1])
        return bool(hosts) and all(
            self._knows_host(host) and _without_default_port(host.lower(), match[1]) == own
            for host in hosts
        )


def _without_default_port(authority: str, scheme: str) -> str:
    return authority.removesuffix(":" + _DEFAULT_PORTS[scheme])


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _strange_host(host: str) -> JobwireError:
    return JobwireError(
        "ORIGIN_REFUSED",
        "The Host header names a host that this server does not know; use its address, or add the name to http.allowed_hosts",
        {"host": _shown(host)},
    )


def _foreign_origin(origin: str) -> JobwireError:
    return JobwireError(
        "ORIGIN_REFUSED",
        "Pages of this origin may not call the server; add it to http.allowed_origins if they should",
        {"origin": _shown(origin)},
    )


def _shown(text: str) -> str:
    """The start of a header; bytes that are not UTF-8 came as lone surrogates, which no answer can hold."""
    return text[:SHOWN].encode("utf-8", "backslashreplace").decode()


def _cross_site() -> JobwireError:
    return JobwireError(
        "ORIGIN_REFUSED",
        "A page of another site asked the browser for something that changes state; call from a program instead",
    )
