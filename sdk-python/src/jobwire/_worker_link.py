"""
How a worker's loops share what they know of the server: whether it answers, since when not, and the two lines in the log.

Safe between threads. What to wait and when to log is decided by `_worker_core.Link`.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from jobwire._error_codes import ERROR_CODES
from jobwire._worker_core import Link, is_fatal

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire._errors import JobwireError
    from jobwire._runtime import Runtime

logger = logging.getLogger("jobwire")


class SharedLink:
    """
    The state of the connection, over all channels (fetch, settle, heartbeat) of one worker.

    `on_fatal` is called when the very first contact shows that no retry can help: a wrong token, a refused argument, a
    peer of another protocol.
    """

    def __init__(self, runtime: Runtime, on_fatal: Callable[[JobwireError], None]) -> None:
        self._runtime = runtime
        self._on_fatal = on_fatal
        self._lock = threading.Lock()
        self._link = Link()
        self._last_contact = runtime.monotonic()

    @property
    def last_contact(self) -> float:
        """When the server last answered anything, on the monotonic clock."""
        with self._lock:
            return self._last_contact

    def hold(self, channel: str, wait: float) -> float:
        """How long the server may hold the channel's next call: *wait*, or not at all while the connection is in doubt."""
        with self._lock:
            return 0.0 if self._link.is_failing(channel) else wait

    def answered(self, channel: str) -> None:
        """The server answered on this channel."""
        now = self._runtime.monotonic()
        with self._lock:
            self._last_contact = now
            lasted = self._link.answered(channel, now)
        if lasted is not None:
            logger.info("server reached again", extra={"lost_for": round(lasted, 3)})

    def failed(self, channel: str, error: JobwireError) -> float:
        """A call of this channel failed; the seconds to wait before its next try."""
        known = ERROR_CODES.get(error.code)
        with self._lock:
            fatal = is_fatal(error, known.category if known else "", self._link)
            is_loss = self._link.failed(channel, self._runtime.monotonic())
            delay = self._link.delay(channel, error, self._runtime.random())
        if fatal:
            self._on_fatal(error)
        elif is_loss:
            logger.warning("server lost: %s", error, extra={"code": error.code, "loop": channel})
        return delay
