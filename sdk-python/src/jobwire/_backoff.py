"""
When to try again, as pure arithmetic: full jitter, a first try at once after a lost connection, and a budget.

Rule: no clock and no chance here; `now` and `u` (uniform in [0, 1)) are arguments, so that tests assert sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from jobwire._errors import JobwireError, safe_to_retry

BASE: Final = 0.1  # seconds; the first jittered delay is below this
CAP: Final = 2.0  # seconds; no delay of the client's own choice is longer

# After these the next try goes out at once: the connection is new, and the server was not found to be busy.
_AT_ONCE: Final = frozenset({"CONNECTION_FAILED", "CONNECTION_LOST", "TIMEOUT"})


def delay(attempt: int, u: float, *, base: float = BASE, cap: float = CAP) -> float:
    """Full jitter: uniform between 0 and `base * 2**attempt`, which stops growing at *cap*. *attempt* counts from 0."""
    doublings = min(attempt, math.ceil(math.log2(cap / base)))  # so that 2**attempt stays small
    return u * min(cap, math.ldexp(base, doublings))


def reconnect_delay(attempt: int, u: float, *, base: float = BASE, cap: float = CAP) -> float:
    """As delay(), but the first reconnect (attempt 0) is made at once."""
    return 0.0 if attempt == 0 else delay(attempt - 1, u, base=base, cap=cap)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often, and for how long, a call is repeated.

    Attributes:
        retries: Repeats of a request that may have reached the server; 0 switches all repeats off.
        budget: Seconds after the first failure in which a repeat may start. A connection that cannot be made is tried
            again for as long as this lasts, however small *retries* is.
    """

    retries: int = 5
    budget: float = 30.0


class RetryState:
    """The failures of one call so far, and what to do after the next one."""

    __slots__ = ("_class", "_failures", "_policy", "_sent", "_since")

    def __init__(
        self, policy: RetryPolicy, retry_class: Literal["safe", "with_id", "never"]
    ) -> None:
        self._policy = policy
        self._class = retry_class
        self._failures = 0
        self._sent = 0  # failures after which the server may have seen the request
        self._since: float | None = None

    @property
    def failures(self) -> int:
        """How often the call has failed."""
        return self._failures

    def after(self, error: JobwireError, *, now: float, u: float) -> float | None:
        """
        Seconds to wait before the call is repeated, or None when *error* is final.

        *now* is monotonic time, *u* is uniform in [0, 1).
        """
        if self._since is None:
            self._since = now
        wait = self._wait(error, u)
        self._failures += 1
        self._sent += error.code != "CONNECTION_FAILED"
        if not self._allowed(error) or now + wait > self._since + self._policy.budget:
            return None
        return wait

    def _wait(self, error: JobwireError, u: float) -> float:
        own = (reconnect_delay if error.code in _AT_ONCE else delay)(self._failures, u)
        return own if error.retry_after is None else max(own, error.retry_after)

    def _allowed(self, error: JobwireError) -> bool:
        if not error.retryable or self._policy.retries == 0 or self._sent > self._policy.retries:
            return False
        return self._class != "never" or safe_to_retry(error)
