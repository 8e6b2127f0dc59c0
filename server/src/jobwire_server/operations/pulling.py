"""pull: claim what is ready, or wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jobwire_server.engine import decide
from jobwire_server.engine.leases import lease_of
from jobwire_server.errors import JobwireError, StoreFailed
from jobwire_server.events import Event
from jobwire_server.model import ClaimRequest, Job
from jobwire_server.operations.settling import Held, Settler, Wish
from jobwire_server.operations.waiters import Waiter, Waiters
from jobwire_server.wire import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.operations.core import Caller, Core
    from jobwire_server.operations.holders import Holders
    from jobwire_server.operations.workers import Seen, Workers

    Claim = asyncio.Future[list[Job]]


class Pulling:
    """
    Plan: take a place among the waiters first and look at the store second, so that a push between the two cannot be missed.
    """

    def __init__(
        self,
        core: Core,
        settler: Settler,
        held: Held,
        waiters: Waiters,
        holders: Holders,
        workers: Workers,
    ) -> None:
        self._core = core
        self._settler = settler
        self._held = held
        self._waiters = waiters
        self._holders = holders
        self._workers = workers
        self._draining = False
        self._returns: set[asyncio.Task[None]] = set()
        # By request_id: the newest claim, while somebody waits for it, and what is being given back.
        self._claims: WeakValueDictionary[str, Claim] = WeakValueDictionary()
        self._returning: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, Waiter] = {}  # by request_id: who has asked last

    def drain(self) -> None:
        """New pulls are refused, waiting ones are answered empty at once."""
        self._draining = True
        self._waiters.wake_all()

    async def pull(self, request: Any, caller: Caller) -> answers.Pulled:
        """Up to `count` jobs, as many as an answer has room for; with wait_ms, as soon as there is one (JW-PULL-1, JW-PULL-18)."""
        if self._draining:
            raise JobwireError(
                "SHUTTING_DOWN", "The server is shutting down; ask again", retry_after_ms=1_000
            )
        single, count = request.wanted == 1, request.wanted
        if count == 0:
            return answers.Pulled(jobs=[], single=False)
        queues = tuple(request.queues or (request.queue,))
        seen = None
        if request.worker_id is not None:
            seen = self._workers.pulled(request.worker_id, queues, caller, self._core.clock.now())
        jobs = await self._first(request, queues, count, seen)
        self._holders.took(caller, jobs)
        return answers.Pulled(jobs=jobs, single=single)

    async def _first(
        self, request: Any, queues: tuple[str, ...], count: int, seen: Seen | None
    ) -> list[Job]:
        self._send_away(request.request_id)
        if not request.wait_ms:
            return await self._claim(request, queues, count)
        waiter = Waiter(queues, partial(self._begin_early, request, queues, count))
        self._waiters.add(waiter)
        if request.request_id is not None:
            self._waiting[request.request_id] = waiter
        if seen is not None:
            seen.waiting += 1
        jobs: list[Job] = []
        try:
            jobs = await self._wait(waiter, request, queues, count)
        finally:
            if seen is not None:
                seen.waiting -= 1
                seen.last_pull_at = self._core.clock.now()
            self._waiters.remove(waiter, content=bool(jobs))
            if self._waiting.get(request.request_id) is waiter:
                del self._waiting[request.request_id]
            if (claim := waiter.take_claim()) is not None:
                self._abandon(claim, request.request_id)
        return jobs

    async def _wait(
        self, waiter: Waiter, request: Any, queues: tuple[str, ...], count: int
    ) -> list[Job]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait_ms / 1000
        while not waiter.is_left:
            claim = waiter.take_claim()
            jobs = [] if claim is None else await self._claimed(claim, request.request_id)
            if not jobs:
                waiter.look()
                jobs = await self._claim(request, queues, count)
            left = deadline - loop.time()
            if jobs or left <= 0 or self._draining:
                return jobs
            self._waiters.pass_on(waiter)
            if not await waiter.wait(left):
                break
        return []

    def _send_away(self, request_id: str | None) -> None:
        """
        Whoever asks again has left the pull that waits: what that took now would be held for a lease by nobody (JW-PULL-11).

        A claim of it that is under way is for the one who asks, under the same request_id.
        """
        left = self._waiting.pop(request_id, None) if request_id is not None else None
        if left is not None:
            self._waiters.remove(left, content=False)
            left.leave()

    async def _claim(self, request: Any, queues: tuple[str, ...], count: int) -> list[Job]:
        if request.request_id in self._returning:
            await asyncio.wait({self._returning[request.request_id]})
        if request.request_id is None and not any(map(self._core.store.backlog, queues)):
            return []
        return await self._claimed(self._begin(request, queues, count), request.request_id)

    def _begin_early(self, request: Any, queues: tuple[str, ...], count: int) -> Claim | None:
        """Claim for a pull that waits, before what it waits for is there; None when its turn has to wait."""
        if self._draining or request.request_id in self._returning:
            return None
        return self._begin(request, queues, count)

    def _begin(self, request: Any, queues: tuple[str, ...], count: int) -> Claim:
        core = self._core
        wanted = ClaimRequest(
            queues=self._drawn(queues, request.weights),
            count=count,
            default_lease_ms=core.options.lease_ms,
            lease_ms=request.lease_ms,
            names=tuple(request.names or ()),
            worker_id=request.worker_id,
            request_id=request.request_id,
            max_bytes=core.options.max_answer_bytes,
        )
        claim = asyncio.ensure_future(core.store.claim(wanted, core.clock.now()))
        if request.request_id is not None:
            self._claims[request.request_id] = claim
        return claim

    async def _claimed(self, claim: Claim, request_id: str | None) -> list[Job]:
        """
        Await a claim without losing jobs to a caller that is gone: when this task is cancelled while the store is claiming, what it claims is given
        back, unless the caller asks again with its request_id: then the repeat has the jobs (JW-PULL-11).
        """
        try:
            jobs = await asyncio.shield(claim)
        except asyncio.CancelledError:
            self._abandon(claim, request_id)
            raise
        for job in jobs:
            self._held.put(job)
        self._core.bus.publish([Event("job.started", job) for job in jobs])
        return jobs

    def _abandon(self, claim: Claim, request_id: str | None) -> None:
        claim.add_done_callback(partial(self._give_back_later, request_id))

    def _drawn(self, queues: tuple[str, ...], weights: Sequence[int] | None) -> tuple[str, ...]:
        """The queues in the order in which they are tried: as given, or drawn in proportion to their weights."""
        if weights is None:
            return queues
        # Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w.
        keyed = [
            (self._core.random() ** (1 / weight), queue)
            for queue, weight in zip(queues, weights, strict=True)
        ]
        return tuple(queue for _, queue in sorted(keyed, reverse=True))

    def _give_back_later(self, request_id: str | None, claim: Claim) -> None:
        if claim.cancelled() or claim.exception() is not None or not claim.result():
            return
        if request_id is not None and self._claims.get(request_id) is not claim:
            return  # a repeat came meanwhile, and gets the same jobs
        task = asyncio.ensure_future(self._give_back(claim.result()))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)
        if request_id is not None:
            self._returning[request_id] = task
            task.add_done_callback(lambda _: self._returning.pop(request_id, None))

    async def _give_back(self, jobs: Sequence[Job]) -> None:
        now = self._core.clock.now()
        wishes = [Wish(job.id, _release(job, now)) for job in jobs]
        # A failed store ends the server. Nobody waits for this, and the leases end by themselves.
        with suppress(StoreFailed):
            await self._settler.settle("release", wishes)


def _release(claimed: Job, now: int) -> Any:
    lease = lease_of(claimed)
    return lambda job: decide.release(job, lease, 0, now)
