"""
The jobs that a worker holds: their leases, and the one signal through which each handler hears that it should stop.

Safe between threads. Jobs are known by id and lease together, for a job that was lost may come back under a new lease
while its old handler still runs. One of version 1 comes back under no lease, as the first time: it takes the place of
the old one, whose outcome is nobody's any more.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobwire._models import Job
    from jobwire._worker_core import StopReason


class HeldJob:
    """
    One lease of one job, from its pull until its settlement is answered.

    `reason` is set once, by whatever asks the handler to stop first; only a lost lease overrides it, since nothing
    may be sent after that. `is_sent` is True once its settlement has left, from when on the server decides.
    """

    __slots__ = (
        "_lock",
        "_on_stop",
        "expires_at",
        "is_abandoned",
        "is_replaced",
        "is_sent",
        "job",
        "reason",
    )

    def __init__(self, job: Job, expires_at: float) -> None:
        self.job = job
        self.expires_at = expires_at  # by our clock; a little early, never late
        self.reason: StopReason | None = None
        self.is_sent = False
        self.is_abandoned = (
            False  # given back while the handler still runs; what it returns is dropped
        )
        self.is_replaced = False  # came back while the handler still runs, whose end frees its slot
        self._lock = threading.Lock()
        self._on_stop: Callable[[], None] | None = None

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have *callback* called, once, when the handler should stop; at once when that was before."""
        with self._lock:
            self._on_stop = callback
            is_late = self.reason is not None
        if is_late:
            callback()

    def stop(self, reason: StopReason) -> bool:
        """Ask the handler to stop; True when this was the first to ask, or the lease is found lost."""
        with self._lock:
            if self.reason == reason or (self.reason is not None and reason != "lease_lost"):
                return False
            is_first = self.reason is None
            self.reason = reason
            callback = self._on_stop
        if is_first and callback is not None:
            callback()
        return True


class HeldJobs:
    """All of a worker's held jobs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str | None], HeldJob] = {}

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)

    def add(self, held: HeldJob) -> HeldJob | None:
        """Hold a job; answers with the one whose place it takes."""
        key = (held.job.id, held.job.lease)
        with self._lock:
            before = self._jobs.get(key)
            self._jobs[key] = held
            return before

    def remove(self, job: Job) -> HeldJob | None:
        """Let go of *job*; None when it is not held, or another has its place."""
        with self._lock:
            held = self._of(job)
            if held is not None:
                del self._jobs[job.id, job.lease]
            return held

    def of(self, job: Job) -> HeldJob | None:
        """What is held of *job* itself, not of one that has its place."""
        with self._lock:
            return self._of(job)

    def _of(self, job: Job) -> HeldJob | None:
        held = self._jobs.get((job.id, job.lease))
        return held if held is not None and held.job is job else None

    def get(self, job_id: str, lease: str | None) -> HeldJob | None:
        with self._lock:
            return self._jobs.get((job_id, lease))

    def all(self) -> list[HeldJob]:
        with self._lock:
            return list(self._jobs.values())

    def leased(self) -> list[HeldJob]:
        """Those whose lease is to be kept alive."""
        return [held for held in self.all() if held.reason != "lease_lost"]

    def with_ids(self, ids: Iterable[str]) -> list[HeldJob]:
        wanted = set(ids)
        return [held for held in self.all() if held.job.id in wanted]
