"""
The threads of a worker: kept alive by a supervisor, and one that rings when time is up.

A loop that dies of a bug must not leave a worker that looks alive: it is logged, reported and started again.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from typing import TYPE_CHECKING, Final

from jobwire._backoff import reconnect_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire._runtime import Runtime

logger = logging.getLogger("jobwire")

CRASH_CAP: Final = 5.0  # seconds between the starts of a loop that dies again and again


class Supervisor:
    """Runs loops in daemon threads, each again when it dies, until `stopped` is set."""

    def __init__(
        self, runtime: Runtime, stopped: threading.Event, on_error: Callable[[Exception], None]
    ) -> None:
        self._runtime = runtime
        self._stopped = stopped
        self._on_error = on_error
        self._threads: list[threading.Thread] = []

    def start(self, name: str, loop: Callable[[], None]) -> None:
        """Run *loop* in a thread of its own; it ends when *loop* returns."""
        thread = threading.Thread(
            target=self._keep, args=(name, loop), name=f"jobwire-{name}", daemon=True
        )
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        thread.start()

    def join(self, timeout: float) -> bool:
        """Wait until all have ended, at most so many seconds; whether they have."""
        end = self._runtime.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(end - self._runtime.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _keep(self, name: str, loop: Callable[[], None]) -> None:
        for crashes in itertools.count():
            try:
                loop()
                return
            except Exception as exc:
                if self._stopped.is_set():
                    return
                logger.exception("a loop of the worker died and is started again: %s", name)
                self._on_error(exc)
            pause = reconnect_delay(crashes, self._runtime.random(), cap=CRASH_CAP)
            self._runtime.pause(pause, self._stopped)


class Timers:
    """Calls back at given instants of the monotonic clock, from one thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._stopped = False

    def add(self, at: float, callback: Callable[[], object]) -> int:
        """Have *callback* called at *at*; the number to cancel it by."""
        with self._changed:
            number = next(self._numbers)
            heapq.heappush(self._heap, (at, number, callback))
            self._changed.notify()
        return number

    def cancel(self, number: int) -> None:
        """Do not call; nothing happens when it was called already."""
        with self._changed:
            if any(entry[1] == number for entry in self._heap):
                self._heap = [entry for entry in self._heap if entry[1] != number]
                heapq.heapify(self._heap)

    def stop(self) -> None:
        """End `run`; what is due later is not called."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        while (callback := self._next()) is not None:
            callback()

    def _next(self) -> Callable[[], object] | None:
        """The callback that is due next, when it is due; None after `stop`."""
        with self._changed:
            while not self._stopped:
                now = self._runtime.monotonic()
                if self._heap and self._heap[0][0] <= now:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(self._heap[0][0] - now if self._heap else None)
        return None
