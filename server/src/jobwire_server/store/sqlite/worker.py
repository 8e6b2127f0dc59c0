"""
A thread that serves calls in groups: everything that waits is taken at once and answered at once.

Rule 1: a caller is answered on its own event loop, and a whole group by one wake-up a loop.
Rule 2: an accepted call is always answered, also when the thread is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Weight of calls in one group (about one a job). Bounds the size of a transaction, and how long the first caller waits
# for the last; above some 1,000 rows a larger group is no cheaper a row.
GROUP_WEIGHT: Final = 2_000


class Call:
    """A verb with its arguments, and who waits for the answer."""

    __slots__ = ("arguments", "future", "loop", "verb", "weight")

    def __init__(self, verb: str, arguments: tuple[Any, ...], weight: int) -> None:
        self.verb = verb
        self.arguments = arguments
        self.weight = weight
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


# Answers are values, or exceptions to be raised.
Answers = list[Any]


class Worker:
    """
    One thread with a queue. `serve` gets a group and returns one answer a call.

    `afterwards` runs when a group has been answered, and when nothing came for `idle_seconds`. Neither may raise.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[Sequence[Call]], Answers],
        *,
        afterwards: Callable[[], None] = lambda: None,
        idle_seconds: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._serve = serve
        self._afterwards = afterwards
        self._idle_seconds = idle_seconds
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, verb: str, arguments: tuple[Any, ...], weight: int = 1) -> asyncio.Future[Any]:
        """Queue a call from a coroutine; the future is resolved on the running loop."""
        call = Call(verb, arguments, weight)
        self._queue.put(call)
        return call.future

    def stop(self) -> None:
        """Serve what was submitted, then end. Blocks; not for an event loop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            try:
                group = self._group(self._queue.get(timeout=self._idle_seconds()))
            except Empty:
                group = []
            is_open = None not in group
            calls = [call for call in group if call is not None]
            if calls:
                answer(calls, self._serve(calls))
            self._afterwards()

    def _group(self, first: Call | None) -> list[Call | None]:
        group, weight = [first], 0 if first is None else first.weight
        while group[-1] is not None and weight < GROUP_WEIGHT:
            try:
                group.append(call := self._queue.get_nowait())
            except Empty:
                break
            weight += 0 if call is None else call.weight
        return group


def answer(calls: Sequence[Call], answers: Answers) -> None:
    """Resolve each call with its answer, on its loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]]
    by_loop = defaultdict(list)
    for call, result in zip(calls, answers, strict=True):
        by_loop[call.loop].append((call.future, result))
    for loop, results in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():  # its caller was cancelled
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
