"""A thread that notices when an event loop is blocked, and logs where, once a block."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from jobwire._worker_core import BlockDetector, cut_text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from jobwire._runtime import Runtime

logger = logging.getLogger("jobwire")

STACK_BYTES = 4000  # of a stack in the log; the innermost frames are its end


class Watchdog:
    """
    Asks the loop for signs of life, and logs the stack of its thread when none comes for *limit* seconds.

    Made in the loop's own thread. A blocked loop runs no handler and no timeout; heartbeats go on, from their thread.
    They must not outlive the loop: `on_closed` is called when it was closed without a word to the worker.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: float,
        runtime: Runtime,
        on_closed: Callable[[], None],
    ) -> None:
        self._on_closed = on_closed
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._limit = limit
        self._runtime = runtime
        self._detector = BlockDetector(limit)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End `run` soon. Idempotent."""
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            if self._loop.is_closed():
                logger.error("the event loop of a worker was closed before the worker was stopped")
                self._on_closed()
                return
            self._look()
            self._stopped.wait(self._limit / 4)

    def _look(self) -> None:
        match self._detector.check(self._runtime.monotonic()):
            case "ask":
                self._loop.call_soon_threadsafe(self._detector.answered)
            case "blocked":
                logger.warning(
                    "event loop blocked for over %g s; it is here:\n%s", self._limit, self._stack()
                )
            case "wait":
                return

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return "(its thread is gone)"
        lines = "".join(traceback.format_stack(frame))
        return (
            lines
            if len(lines) <= STACK_BYTES
            else "…" + cut_text(lines[-STACK_BYTES:], STACK_BYTES)
        )
