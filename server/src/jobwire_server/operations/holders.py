"""
Who holds which lease, as far as someone must be told when it ends: connections of wire version 2 get notices, workers over HTTP
get them in the answer of a waiting heartbeat (JW-CANCEL-4).

Only for telling: what is lost here (a restart, a bound) reaches the worker with its next heartbeat.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final

from jobwire_server.engine.leases import lease_of
from jobwire_server.model import Job, JobState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from jobwire_server.events import Event
    from jobwire_server.operations.core import Caller

_MAX_WORKERS: Final = 10_000
_MAX_NEWS: Final = 1_000
_MAX_PER_CALLER: Final = 10_000
_ENDED_BY_TIME: Final = frozenset({"lease_expired", "timeout"})


class News:
    """What a worker has yet to be told: jobs that were lost, jobs that were cancelled."""

    __slots__ = ("cancelled", "future", "lost", "told")

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self.cancelled: dict[str, None] = {}
        self.told: set[str] = (
            set()
        )  # cancelled jobs of the last heartbeat, of which the worker knows
        self.future: asyncio.Future[None] | None = None

    def add(self, job_id: str, *, lost: bool) -> None:
        kind = self.lost if lost else self.cancelled
        if len(kind) < _MAX_NEWS:
            kind[job_id] = None
        self.end_wait()

    def end_wait(self) -> None:
        """Let the heartbeat that waits for these news, if there is one, be answered."""
        if self.future is not None and not self.future.done():
            self.future.set_result(None)

    def has_any(self, cancelled: Sequence[str]) -> bool:
        """
        Whether there is something to tell, beside the `cancelled` jobs that the worker named.

        Those are news once: a handler that takes its time to stop must not make each waiting heartbeat return at once.
        """
        known, self.told = self.told, set(cancelled)
        return bool(self.lost or self.cancelled) or not self.told <= known

    def take(self) -> tuple[list[str], list[str]]:
        """(lost, cancelled), and forget them."""
        taken = list(self.lost), list(self.cancelled)
        self.lost.clear()
        self.cancelled.clear()
        return taken


class Holders:
    """Job → connection, and worker → news."""

    def __init__(self) -> None:
        self._by_job: dict[str, Caller] = {}
        self._by_caller: defaultdict[Caller, set[str]] = defaultdict(set)
        self._news: OrderedDict[str, News] = OrderedDict()

    def took(self, caller: Caller, jobs: Sequence[Job]) -> None:
        """A pull of this caller got these jobs."""
        if caller.notify is None:
            return
        for job in jobs:
            if job.id in self._by_job:
                self._drop(job.id)
            held = self._by_caller[caller]
            if len(held) < _MAX_PER_CALLER:
                self._by_job[job.id] = caller
                held.add(job.id)

    def forget(self, caller: Caller) -> None:
        """The connection is gone; its leases live on, but nobody can be told."""
        for job_id in self._by_caller.pop(caller, ()):
            self._by_job.pop(job_id, None)

    def clear(self) -> None:
        """Forget all of it; heartbeats that wait are answered."""
        self.wake_all()
        self._by_job.clear()
        self._by_caller.clear()
        self._news.clear()

    def news(self, worker_id: str) -> News:
        """What a worker that listens (a heartbeat that waits) is to be told; made when it first listens."""
        news = self._news.get(worker_id)
        if news is None:
            news = self._news[worker_id] = News()
            if len(self._news) > _MAX_WORKERS:
                self._news.popitem(last=False)
        self._news.move_to_end(worker_id)
        return news

    def wake_all(self) -> None:
        """End every waiting heartbeat (the server drains)."""
        for news in self._news.values():
            news.end_wait()

    def on_events(self, events: Sequence[Event]) -> None:
        if not self._by_job and not self._news:  # nobody is there to be told
            return
        for event in events:
            job = event.job
            if event.name == "job.cancel_requested":
                self._tell(job, "job.cancel", lost=False)
            elif job.state != JobState.ACTIVE:
                if job.settled_by in _ENDED_BY_TIME and event.name == "job.failed":
                    self._tell(job, "lease.lost", lost=True)
                self._drop(job.id)

    def _tell(self, job: Job, notice: str, *, lost: bool) -> None:
        caller = self._by_job.get(job.id)
        if caller is not None and caller.notify is not None:
            caller.notify({"notice": notice, "id": job.id, "lease": lease_of(job)})
        if job.worker_id is not None and (news := self._news.get(job.worker_id)) is not None:
            news.add(job.id, lost=lost)

    def _drop(self, job_id: str) -> None:
        caller = self._by_job.pop(job_id, None)
        if caller is not None:
            held = self._by_caller[caller]
            held.discard(job_id)
            if not held:
                del self._by_caller[caller]
