"""
An event loop whose time can stand still and be moved.

Goals: every wait of the server (long polls, deadlines, keep-alive, the housekeeper, a delayed answer) lives on this loop, so all of
them stand still with it and come due in the order of their instants when it is moved; a loop that stands still uses no CPU.

Plan: time passes in the selector. asyncio asks it to wait only when no callback is ready; if then no byte has arrived and no thread is
at work, the loop is at rest, and nothing but time or the outside can make it go on. That is the moment to go on to the next timer.

Warning: frozen time is counted in whole milliseconds, as the server's instants are. A timer between two of them comes due at the
later one; sums of floats that are off by less than a microsecond count as equal.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from contextvars import Context

_SAME_S: Final = 1e-6

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Real time until `freeze`; from `thaw` on real again, without a step back. Counts in `fired` the timers that came due.

    `at_work` is the number of calls that other threads carry out for this loop; it is not at rest before they are done.
    """

    def __init__(self) -> None:
        self.frozen = False
        self.elapsed_ms = 0  # since it was frozen
        self.fired = 0
        self.at_work = 0
        self._gained_s = 0.0  # how far it is ahead of the machine's clock
        self._still_s = 0.0  # where it was frozen
        self._target_ms = 0
        self._arrived: asyncio.Future[None] | None = None
        self._resting: list[asyncio.Future[None]] = []
        super().__init__(_RestSelector(self))
        self._clock_resolution = _SAME_S

    # --- time ---

    def time(self) -> float:
        if self.frozen:
            return self._still_s + self.elapsed_ms / 1000
        return super().time() + self._gained_s

    def freeze(self) -> None:
        """Let time stand still from now on."""
        if not self.frozen:
            self._still_s, self.elapsed_ms, self.frozen = self.time(), 0, True

    def thaw(self) -> None:
        """Let time pass by itself again, from where it stands; a journey ends here."""
        if self.frozen:
            now = self.time()
            self.frozen = False
            self._gained_s = now - super().time()
            self._target_ms = self.elapsed_ms
            self._wake_resting()
            self._arrive()

    async def rest(self) -> None:
        """Until nothing can go on without time or the outside. Only while frozen; at once otherwise."""
        if self.frozen:
            future = self.create_future()
            self._resting.append(future)
            await future

    async def advance(self, ms: int) -> None:
        """Pass `ms`, from timer to timer, each time until rest. One journey at a time; only while frozen."""
        assert self.frozen, "time passes by itself"
        assert self._arrived is None, "an earlier journey is under way"
        self._target_ms = self.elapsed_ms + ms
        self._arrived = self.create_future()
        await self._arrived

    def came_to_rest(self, timeout: float | None) -> bool:
        """Called by the selector; `timeout` is the time to the next timer. Whether something can go on now."""
        if self._resting:
            self._wake_resting()
            return True
        left = self._target_ms - self.elapsed_ms
        if self._arrived is None:
            return False
        if left > 0:
            self.elapsed_ms += left if timeout is None else min(left, _whole_ms(timeout))
        else:
            self._arrive()
        return True

    def _wake_resting(self) -> None:
        resting, self._resting = self._resting, []
        for future in resting:
            _finish(future)

    def _arrive(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            _finish(arrived)

    # --- what is counted ---

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._fire, callback, args, context=context)

    def _fire(self, callback: Callable[[*_Ts], object], args: tuple[*_Ts]) -> None:
        self.fired += 1
        callback(*args)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self.count_work(future)
        return future

    def count_work(self, future: asyncio.Future[Any]) -> None:
        """The loop is not at rest before `future` is done."""
        self.at_work += 1
        future.add_done_callback(self._worked)

    def _worked(self, _: asyncio.Future[Any]) -> None:
        self.at_work -= 1


class _RestSelector(selectors.DefaultSelector):
    """Waits for bytes; while time stands still it tells the loop when it has come to rest."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._virtual = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._virtual
        if not loop.frozen:
            return super().select(timeout)
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= _SAME_S):
            return ready
        if not loop.at_work and loop.came_to_rest(timeout):
            return ready
        return super().select(None)  # until a byte, or a thread that is done, wakes the loop


def _whole_ms(seconds: float) -> int:
    return max(1, math.ceil((seconds - _SAME_S) * 1000))


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
