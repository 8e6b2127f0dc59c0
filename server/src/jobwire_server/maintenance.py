"""
Housekeeping: what time does to jobs. Promotion, ttl, the ends of leases and timeouts at their instant; retention and sweeps now and then.

Rule 1: nothing here can be stopped by one bad job: a step that fails is logged and the loop goes on (contract §8.2 #24).
Rule 2: `run_due` is all there is to it; the loop only waits for the right moment, so a virtual clock can drive the same code.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from jobwire_server.engine import decide
from jobwire_server.engine.flows import recount
from jobwire_server.errors import StoreFailed
from jobwire_server.model import Change, Job, JobFilter, JobState
from jobwire_server.operations.settling import happened
from jobwire_server.store.base import Applied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jobwire_server.events import Event
    from jobwire_server.operations.core import Core

_log = structlog.get_logger(__name__)

_BATCH: Final = 500
_DUE_BATCH: Final = 64  # whole jobs, of up to a mebibyte each
_SWEPT: Final = 2_000  # rows of one transaction, for which every other write waits
_PRUNE_EVERY_MS: Final = 60_000
_SWEEP_EVERY_MS: Final = 10_000
_RECOUNT_EVERY_MS: Final = 60_000
_PRUNED: Final = (JobState.COMPLETED, JobState.DLQ, JobState.CANCELLED)
# A wall clock that moved further than this was set by someone (or the machine slept); less is ordinary slewing.
_JUMP_MS: Final = 1_000
# A loop that wakes up this late was stopped (SIGSTOP, a swapped-out machine): live workers were stopped with it, or could not be heard.
# No less, since each time also gives the leases of dead workers their length again, and a loaded machine has hiccups.
_OVERSLEPT_MS: Final = 1_000
# The same while it was at work, where a slow disk or many jobs that are due also cost time.
_GAP_MS: Final = 5_000
_GRACES: Final = 3


class Maintenance:
    """The housekeeper of one store."""

    def __init__(self, core: Core, tick_ms: int = 1_000) -> None:
        self._core = core
        self.tick_ms = tick_ms
        self._wake = asyncio.Event()
        self._wake_at: int | None = None  # while it sleeps
        self._heed_before: int | None = None  # what is due earlier than this wakes it
        self._last_run: int | None = None
        self._planned = 0  # when the loop last meant to wake up
        self._shift = 0  # how far the leases have yet to follow a clock that was set
        self._next: dict[str, int] = {}
        self._blocked_cursor: str | None = None
        core.bus.subscribe(self.on_events)

    async def start(self) -> None:
        """After downtime: every lease gets one lease length of grace (JW-TIME-3)."""
        graced = await self._grace()
        if graced:
            _log.info("leases.graced", count=graced)

    async def run(self) -> None:
        """Run until cancelled. Ends only with StoreFailed."""
        while True:
            if await self._guarded("clock", self._watch_clock):
                await self.run_due()
            await self._sleep()

    async def run_due(self) -> int:
        """Everything that is due at this instant; how many jobs changed."""
        self._last_run = self._core.clock.now()
        changed = await self._guarded("due", self._elapse)
        await self._every("prune", _PRUNE_EVERY_MS, self._prune)
        await self._every("sweep", _SWEEP_EVERY_MS, self._sweep)
        await self._every("recount", _RECOUNT_EVERY_MS, self._recount)
        return changed

    def look(self) -> None:
        """Wake up now."""
        self._wake.set()

    def on_events(self, events: Sequence[Event]) -> None:
        """Wake up earlier when a job is due before the planned moment."""
        before = self._heed_before
        if before is None:
            return
        for event in events:
            due = event.job.due_at
            if due is not None and due < before:
                self._wake.set()
                return

    # --- the loop ---

    async def _sleep(self) -> None:
        now = self._core.clock.now()
        # First, so that a job which becomes due soon, and is stored while the plan is made, is not missed until the tick.
        self._wake.clear()
        self._heed_before = now + self.tick_ms
        try:
            planned = await self._guarded("plan", self._plan) or now + self.tick_ms
            self._heed_before = self._wake_at = self._planned = planned
            async with asyncio.timeout(max(planned - now, 0) / 1000):
                await self._wake.wait()
        except TimeoutError:
            pass
        finally:
            self._heed_before = self._wake_at = None

    async def _plan(self) -> int:
        """When to look again: at the next due instant, at most a tick from now. What was due before and still is has failed, and waits for the tick."""
        due, now = await self._core.store.next_due(), self._core.clock.now()
        if due is None or (self._last_run is not None and due <= self._last_run):
            return now + self.tick_ms
        return min(max(due, now), now + self.tick_ms)

    async def _watch_clock(self) -> int:
        """Move the leases along with a clock that was set, and give them grace after a gap; 1: time may go on."""
        clock = self._core.clock
        if self._last_run is not None and self._was_stopped(self._last_run):
            _log.warning("loop.stopped", for_ms=clock.now() - self._last_run)
            await self._grace()
        drift = clock.drift()
        if abs(drift) > _JUMP_MS:  # as well as a stop: a machine that slept may find its clock set
            _log.warning("clock.jumped", by_ms=drift)
            clock.resync()
            self._shift += drift
            self._last_run = clock.now()
            self._next.clear()
        if self._shift:
            await self._grace()
        return 1

    async def _grace(self) -> int:
        """
        Move the leases by what the clock was set, or give them grace: how many changed.

        A call that took long may have been stopped in its midst, so it is followed by another one; by a few at most, because a slow disk and
        many leases take their time as well.
        """
        clock, store, changed = self._core.clock, self._core.store, 0
        for _ in range(_GRACES):
            began = clock.now()
            changed += await store.grace(began, shift=self._shift)
            self._shift, self._last_run = 0, clock.now()
            if self._last_run - began <= _OVERSLEPT_MS:
                break
        return changed

    def _was_stopped(self, last_run: int) -> bool:
        now = self._core.clock.now()
        overslept = self._planned > last_run and now - self._planned > _OVERSLEPT_MS
        return overslept or now - last_run > self.tick_ms + _GAP_MS

    async def _every(self, name: str, period: int, step: Callable[[], Awaitable[int]]) -> None:
        now = self._core.clock.now()
        if now >= self._next.get(name, 0):
            self._next[name] = now + period
            await self._guarded(name, step)

    async def _guarded(self, name: str, step: Callable[[], Awaitable[int]]) -> int:
        try:
            return await step()
        except StoreFailed:
            raise
        except Exception:  # noqa: BLE001 - rule 1: housekeeping outlives a bad step, loudly
            _log.exception("housekeeping.failed", step=name)
            return 0

    # --- the steps ---

    async def _elapse(self) -> int:
        total = 0
        while True:
            if self._last_run is not None and self._was_stopped(self._last_run):
                return total  # in the midst of this: the rest has its grace to come
            # Noted each time: a loop that has much to do has not been stopped.
            now = self._last_run = self._core.clock.now()
            jobs = await self._core.store.due(now, _DUE_BATCH)
            aged = [
                (job, change)
                for job in jobs
                if (change := decide.elapse(job, now, self._core.random()))
            ]
            changed = await self._apply(aged, now) if aged else 0
            if not changed:
                return total
            total += changed  # and again: a job whose try ended may be past its ttl as well

    async def _apply(self, aged: Sequence[tuple[Job, Change]], now: int) -> int:
        """Apply what is still true; what someone else changed meanwhile is theirs. How many changed."""
        outcomes = await self._core.store.apply([change for _, change in aged], now)
        events: list[Event] = []
        applied = 0
        for (before, _), outcome in zip(aged, outcomes, strict=True):
            if isinstance(outcome, Applied):
                applied += 1
                events += happened(_cause(before, outcome.job), outcome.job, outcome.children)
        self._core.bus.publish(events)
        return applied

    async def _prune(self) -> int:
        """Retention: each finished state of each queue has its age."""
        now, store, total = self._core.clock.now(), self._core.store, 0
        for name, info in list(store.queues().items()):
            for state in _PRUNED:
                if not info.counts.get(state):
                    continue
                kept = getattr(info.settings, f"retention_{state}_ms")
                age = self._core.options.retention_ms[state] if kept is None else kept
                total += await self._all_of(
                    partial(store.prune, name, state, now - age, _BATCH), _BATCH
                )
        return total

    async def _sweep(self) -> int:
        now, store = self._core.clock.now(), self._core.store
        return await self._all_of(
            partial(store.sweep, now, self._core.options.tombstone_ms, _SWEPT), _SWEPT
        )

    async def _all_of(self, step: Callable[[], Awaitable[int]], most: int) -> int:
        """Repeat a step that does `most` at a time until nothing is left. What is due goes before the rest (JW-LEASE-10, JW-TIME-5)."""
        total = done = await step()
        while done >= most:
            await self._guarded("due", self._elapse)
            done = await step()
            total += done
        return total

    async def _recount(self) -> int:
        """
        Look at some blocked jobs each time: one whose parents are all done must not stay blocked (contract §8.1 #8).

        Children are resolved in their parent's own transaction, so this finds nothing unless a file was mended by hand.
        """
        store, now = self._core.store, self._core.clock.now()
        blocked = JobFilter(states=(JobState.BLOCKED,))
        page = await store.find(blocked, limit=_BATCH, cursor=self._blocked_cursor)
        self._blocked_cursor = page.next_cursor
        aged: list[tuple[Job, Change]] = []
        for child in page.jobs:
            change = recount(child, await store.get(child.depends_on), now)
            if change is not None:
                aged.append((child, change))
        return await self._apply(aged, now) if aged else 0


def _cause(before: Job, after: Job) -> str:
    """The operation that time carried out."""
    if before.state == JobState.ACTIVE:
        return after.settled_by or "lease_expired"
    return "cancel" if after.state == JobState.CANCELLED else "promote"
