"""An event loop without sockets, threads or a clock: time stands still while anything can run, and then jumps to the next timer.

What is ready runs in an order that the seed draws, so that a bug which needs one order of many is met sooner or later, and met again
under the same seed. The code under test sees an ordinary asyncio loop.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from itertools import count
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
MOST_STEPS = 400_000  # of one run: a loop that never comes to rest is a bug and must end


class NeverEndsError(Exception):
    """The run went on for MOST_STEPS, or nothing is left that could ever go on."""


class SimLoop(asyncio.AbstractEventLoop):
    """Only what tasks, futures and timers need; everything else of AbstractEventLoop raises NotImplementedError."""

    def __init__(self, chance: Random, *, shuffled: bool) -> None:
        self.problems: list[str] = []  # exceptions that nobody caught
        self._chance = chance
        self._shuffled = shuffled
        self._now = 0.0
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_numbers = count()
        self._running = False
        self._closed = False
        self.steps = 0

    # --- time ---

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now

    @property
    def now_us(self) -> int:
        return round(self._now * 1_000_000)

    def stand_still(self, seconds: float) -> None:
        """Let time go by in which nothing runs, as for a stopped process."""
        self._now += seconds

    # --- what asyncio asks of a loop ---

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._timer_numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are thrown away when their turn comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            self.problems.append(f"{context['message']}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    # --- running ---

    def run_until_complete(self, future: Any) -> Any:
        """Run until the future is done.

        Raises:
            NeverEndsError: it is not done and never will be.
        """
        task = asyncio.ensure_future(future, loop=self)
        self._running = True
        asyncio._set_running_loop(self)
        try:
            while not task.done():
                self._step()
        finally:
            asyncio._set_running_loop(None)
            self._running = False
        return task.result()

    def close(self) -> None:
        """End every task that is left; what they say then is of no interest."""
        self._closed = True
        self._ready += [timer for _, _, timer in self._timers if not timer.cancelled()]
        self._timers.clear()
        while left := asyncio.all_tasks(self):  # the end of one may begin another
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.wait(left))

    def _step(self) -> None:
        self.steps += 1
        if not self._ready:
            self._pass_time()
        if self.steps > MOST_STEPS:
            raise NeverEndsError(f"{MOST_STEPS} steps and no end, at {self._now:.3f} s")
        place = self._chance.randrange(len(self._ready)) if self._shuffled else 0
        handle = self._ready.pop(place)
        if not handle.cancelled():
            handle._run()

    def _pass_time(self) -> None:
        """Go to the instant of the next timer, and make ready all that are due."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise NeverEndsError(f"nothing can go on, at {self._now:.3f} s")
        self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._ready.append(handle)
