"""
Pulls that wait: who is told when a job becomes ready.

A waiter that was told looks once. When it then leaves, or goes back to sleep because it may not take what is there (its `names`), it passes the word
on while a job is left, so that no job stays behind beside a sleeping pull (JW-PULL-9).

Jobs that are being pushed are claimed for waiters in the same breath (`expect`), so that one commit serves both. Such a claim may come too
early, and then finds nothing; it counts for nothing, and its waiter looks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from jobwire_server.model import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jobwire_server.events import Event
    from jobwire_server.model import Job

    Claim = asyncio.Future[list[Job]]


class Waiter:
    """
    One waiting pull. `told` is set from the moment that it is woken until it looks, `owes` from then until the word was passed on.

    `begin` submits its claim; `claim` is what it submitted before it looks, None otherwise. `is_left` when its caller asks elsewhere.
    """

    __slots__ = ("_begin", "_future", "claim", "is_left", "owes", "queues", "told")

    def __init__(self, queues: Sequence[str], begin: Callable[[], Claim | None]) -> None:
        self.queues = tuple(dict.fromkeys(queues))
        self._begin = begin
        self.claim: Claim | None = None
        self.told = False
        self.owes = False
        self.is_left = False
        self._future: asyncio.Future[None] | None = None

    @property
    def is_parked(self) -> bool:
        """Asleep, with nothing to wake up for yet."""
        return self._future is not None and not self.is_called

    @property
    def is_called(self) -> bool:
        return self.told or self.claim is not None

    async def wait(self, seconds: float) -> bool:
        """Until told or claimed for, True; or until left or the time is over, False. Returns at once when it was so before."""
        if self.is_called or self.is_left:
            return self.is_called
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        timer = loop.call_later(seconds, _finish, self._future)
        try:
            await self._future
        finally:
            timer.cancel()
            self._future = None
        return self.is_called

    def look(self) -> None:
        """About to look at the store: what is ready by now counts as seen."""
        self.owes = self.owes or self.told
        self.told = False

    def expect(self) -> None:
        """Claim now what is about to be there; wakes when the claim has been answered."""
        self.claim = self._begin()
        if self.claim is not None:
            self.claim.add_done_callback(lambda _: self._wake())

    def take_claim(self) -> Claim | None:
        """The claim that was submitted, if one was; from now on it is the caller's."""
        claim, self.claim = self.claim, None
        return claim

    def tell(self) -> None:
        self.told = True
        self._wake()

    def leave(self) -> None:
        self.is_left = True
        self._wake()

    def _wake(self) -> None:
        if self._future is not None:
            _finish(self._future)


class Waiters:
    """All waiting pulls, by queue, first come first told. `backlog` says how many jobs of a queue can be taken."""

    def __init__(self, backlog: Callable[[str], int]) -> None:
        self._backlog = backlog
        self._queues: defaultdict[str, OrderedDict[Waiter, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        return len({waiter for queue in self._queues.values() for waiter in queue})

    def add(self, waiter: Waiter) -> None:
        for queue in waiter.queues:
            self._queues[queue][waiter] = None

    def remove(self, waiter: Waiter, *, content: bool) -> None:
        """Take a waiter out. One that was told, or is `content` with a job, leaves the rest to the next."""
        for name in waiter.queues:
            queue = self._queues[name]
            queue.pop(waiter, None)
            if not queue:
                del self._queues[name]
            elif (waiter.told or waiter.owes or content) and self._backlog(name):
                self.wake(name, 1)

    def pass_on(self, waiter: Waiter) -> None:
        """A waiter that was told found nothing that it may take: tell the next one behind it, never one before it, so that this ends."""
        if not waiter.owes:
            return
        waiter.owes = False
        for name in waiter.queues:
            if self._backlog(name):
                behind = iter(self._queues[name])
                next((other for other in behind if other is waiter), None)
                _tell_first(behind, 1)

    def wake(self, name: str, count: int) -> None:
        """Tell up to `count` waiters of a queue that have not been told yet."""
        queue = self._queues.get(name)
        if queue is not None:
            _tell_first(queue, count)

    def expect(self, name: str, count: int) -> None:
        """Up to `count` jobs of this queue are about to be inserted: call it right before the insert is submitted."""
        queue = self._queues.get(name)
        if queue is not None:
            for waiter in list(islice((waiter for waiter in queue if waiter.is_parked), count)):
                waiter.expect()

    def wake_all(self) -> None:
        for queue in list(self._queues.values()):
            for waiter in list(queue):
                waiter.tell()

    def on_events(self, events: Sequence[Event]) -> None:
        """Every job that is ready now wakes one waiter of its queue."""
        if not self._queues:
            return
        ready: defaultdict[str, int] = defaultdict(int)
        for event in events:
            if event.job.state == JobState.WAITING:
                ready[event.job.queue] += 1
        for queue, count in ready.items():  # less what was taken in the same commit
            self.wake(queue, min(count, self._backlog(queue)))


def _tell_first(waiters: Iterable[Waiter], count: int) -> None:
    for waiter in islice((waiter for waiter in waiters if not waiter.told), count):
        waiter.tell()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
