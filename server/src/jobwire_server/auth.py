"""
Who may speak: bearer tokens, and the limit on wrong ones. Both doors ask the same Gate.

Rule 1: a token is kept and compared only as its SHA-256, against every hash there is, in constant time.
Rule 2: only a wrong token counts as a failure. A missing one is an oversight, not a guess.
Rule 3: an address is the socket's peer; X-Forwarded-For is read only behind a trusted proxy.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from jobwire_server.errors import JobwireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.clock import Clock

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

FAILURES: Final = 5  # RustQueue's numbers, which never worked there: the fifth failure locks
LOCKED_MS: Final = 300_000
ADDRESSES: Final = 10_000  # about 3 MB; the one that failed longest ago goes first
HOPS: Final = 32  # entries of X-Forwarded-For that are looked at, from the right


def hash_token(token: str) -> bytes:
    """The SHA-256 of a token as it stands in a request (any text; bad UTF-8 arrives as surrogates)."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@dataclass(slots=True)
class _Failures:
    """What is remembered of an address: when its last wrong tokens came, at most FAILURES of them, the oldest first."""

    times: list[int]

    @property
    def over_at(self) -> int:
        """When they no longer matter, and a lock ends."""
        return self.times[-1] + LOCKED_MS

    @property
    def lock(self) -> bool:
        return len(self.times) == FAILURES and self.times[-1] < self.times[0] + LOCKED_MS


class Gate:
    """
    Decides whether a token may pass, and locks an address out after FAILURES wrong tokens within any LOCKED_MS, without a right one between.

    A locked address is refused, with the right token too and without any comparison, until LOCKED_MS after its last
    failure; so an address gets at most FAILURES guesses in that time (JW-AUTH-3). Not thread-safe: one event loop.
    """

    def __init__(
        self, token_hashes: Sequence[bytes], clock: Clock, *, max_addresses: int = ADDRESSES
    ) -> None:
        self._hashes = tuple(token_hashes)
        self._clock = clock
        self._max_addresses = max_addresses
        self._failures: OrderedDict[str, _Failures] = OrderedDict()  # by last failure, oldest first

    def __repr__(self) -> str:
        return f"Gate({len(self._hashes)} tokens)"

    @property
    def enabled(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._hashes)

    def check(self, token: str | None, peer: str) -> JobwireError | None:
        """
        None when *token* may pass, else the error to answer: UNAUTHORIZED, or RATE_LIMITED with retry_after_ms.

        *peer* is the address of the caller as text; without tokens everyone passes.
        """
        if not self._hashes:
            return None
        source = source_of(peer)
        now = self._clock.now()
        locked_ms = self._locked_for(source, now)
        if locked_ms > 0:
            return _locked_out(locked_ms)
        if token is None:
            return JobwireError("UNAUTHORIZED", "Missing authentication token")
        if self._knows(token):
            self._failures.pop(source, None)
            return None
        self._remember_failure(source, now)
        return JobwireError("UNAUTHORIZED", "Invalid authentication token")

    def forget_all(self) -> None:
        """Let every address begin anew (test mode)."""
        self._failures.clear()

    def _knows(self, token: str) -> bool:
        digest = hash_token(token)
        known = False
        for expected in self._hashes:  # all of them, so that the time says nothing
            known |= hmac.compare_digest(expected, digest)
        return known

    def _locked_for(self, source: str, now: int) -> int:
        """How many ms the source stays locked out; 0 when it is not. Forgets what has run out."""
        failures = self._failures.get(source)
        if failures is None:
            return 0
        if now >= failures.over_at:
            del self._failures[source]
            return 0
        return failures.over_at - now if failures.lock else 0

    def _remember_failure(self, source: str, now: int) -> None:
        failures = self._failures.setdefault(source, _Failures([]))
        failures.times = [*failures.times[1 - FAILURES :], now]
        self._failures.move_to_end(source)
        if len(self._failures) > self._max_addresses:
            self._failures.popitem(last=False)


def _locked_out(retry_after_ms: int) -> JobwireError:
    return JobwireError(
        "RATE_LIMITED",
        "Too many failed authentication attempts. Try again later.",
        retry_after_ms=retry_after_ms,
    )


# --- addresses ---------------------------------------------------------------------------------------------------


def source_of(peer: str) -> str:
    """
    What is counted as one source: an IPv4 address, the /64 of an IPv6 one (a single host owns 2^64 of those), and
    anything else as it is.
    """
    address = _parse(peer)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return peer if address is None else str(address)


class TrustedProxies:
    """The proxies whose X-Forwarded-For is believed, as CIDR networks. Raises ValueError for a bad one."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(ip_network(text) for text in networks)

    def client_of(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """
        The address a request comes from: *peer*, or behind trusted proxies the rightmost address that is not one.

        *forwarded_for* are the X-Forwarded-For headers in their order. Everything left of the rightmost untrusted
        address was written by the client and proves nothing; an entry that is no address ends the walk.
        """
        client = peer
        if not self._networks or not forwarded_for:
            return client
        hops = ",".join(forwarded_for).rsplit(",", HOPS)[-HOPS:]
        while hops and self._trusts(client):
            address = _parse(_without_port(hops.pop().strip()))
            if address is None:
                break
            client = str(address)
        return client

    def _trusts(self, peer: str) -> bool:
        address = _parse(peer)
        return address is not None and any(address in network for network in self._networks)


def _parse(text: str) -> Address | None:
    """An address; IPv4 in IPv6 clothing (::ffff:192.0.2.1) is IPv4, and a zone (fe80::1%eth0) is dropped."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(hop: str) -> str:
    """Some proxies write 192.0.2.1:4711 or [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
