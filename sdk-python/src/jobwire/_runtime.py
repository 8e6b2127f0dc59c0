"""
The one seam for time and chance. Tests hand in their own and assert a backoff as a sequence, not as a wait.

`now` is Unix seconds, `monotonic` seconds from anywhere, `random` uniform in [0, 1), `new_id` a fresh UUIDv7.
"""

from __future__ import annotations

import asyncio
import random as _random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobwire._ids import uuid7

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Time and chance of the synchronous client and worker."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = _random.random
    new_id: Callable[[], str] = uuid7

    def pause(self, seconds: float, until: threading.Event) -> None:
        """Sleep for *seconds*; a real sleep ends early when *until* is set, so that close() is not held up."""
        if self.sleep is time.sleep:
            until.wait(seconds)
        else:
            self.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRuntime:
    """Time and chance of the asynchronous client and worker."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = _random.random
    new_id: Callable[[], str] = uuid7
