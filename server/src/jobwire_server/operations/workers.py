"""
Who works here: what workers report with their heartbeats and hellos, and which of them are deaf.

A worker is deaf when it says that it has free slots, work is ready in one of its queues, and it has not asked for any for a while: it looks alive and consumes
nothing (JW-WORKER-3). The answer to its heartbeat says so, and the SDK rebuilds its connection.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jobwire_server.wire.spelling import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire_server.operations.core import Caller

_MAX_WORKERS: Final = 10_000
# In lengths of the default lease, after one of which a worker counts as lost (JW-WORKER-4).
_FORGET_AFTER: Final = 20


class Seen(msgspec.Struct):
    """One worker, as it last reported; instants in ms."""

    id: str
    first_seen_at: int
    last_seen_at: int
    last_pull_at: int | None = None
    waiting: int = 0  # pulls of this worker that are waiting right now
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    free: int | None = None
    held: int = 0
    quiet: bool = False
    client: str | None = None
    transport: str = "http"


class Workers:
    """The registry; bounded, in memory, rebuilt by the next heartbeats after a restart."""

    def __init__(self, lease_ms: int, heartbeat_ms: int, backlog: Callable[[str], int]) -> None:
        self._lease_ms = lease_ms
        self._heartbeat_ms = heartbeat_ms
        self._backlog = backlog
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def pulled(self, worker_id: str, queues: tuple[str, ...], caller: Caller, now: int) -> Seen:
        """A worker asked for jobs."""
        seen = self._touch(worker_id, caller, now)
        seen.last_pull_at = now
        seen.queues = seen.queues or queues
        return seen

    def reported(self, report: Any, held: int, caller: Caller, now: int) -> bool:
        """A worker's heartbeat (a WorkerReport and the number of its leases); True when the worker is deaf."""
        seen = self._touch(report.id, caller, now)
        seen.queues = tuple(report.queues or seen.queues)
        seen.concurrency = report.concurrency or seen.concurrency
        seen.free = report.free
        seen.quiet = report.state == "quiet"
        seen.held = held
        return self._is_deaf(seen, now)

    def clear(self) -> None:
        self._seen.clear()

    def describe(self, now: int) -> list[dict[str, Any]]:
        """Every worker that is not forgotten, by id, as `GET /workers` shows it."""
        self._forget(now)
        return [self._view(seen, now) for seen in sorted(self._seen.values(), key=lambda s: s.id)]

    def _touch(self, worker_id: str, caller: Caller, now: int) -> Seen:
        seen = self._seen.get(worker_id)
        if seen is None:
            seen = self._seen[worker_id] = Seen(worker_id, now, now)
            if len(self._seen) > _MAX_WORKERS:
                self._seen.popitem(last=False)
        self._seen.move_to_end(worker_id)
        seen.last_seen_at = now
        seen.client = caller.client or seen.client
        seen.transport = "http" if caller.door == "http" else "tcp"
        return seen

    def _is_deaf(self, seen: Seen, now: int) -> bool:
        if seen.quiet or not seen.free or seen.waiting:
            return False
        asked = seen.last_pull_at if seen.last_pull_at is not None else seen.first_seen_at
        return now - asked > self._heartbeat_ms and any(
            self._backlog(queue) for queue in seen.queues
        )

    def _state(self, seen: Seen, now: int) -> str:
        if now - seen.last_seen_at >= self._lease_ms and not seen.waiting:
            return "lost"
        if seen.quiet:
            return "quiet"
        return "deaf" if self._is_deaf(seen, now) else "alive"

    def _view(self, seen: Seen, now: int) -> dict[str, Any]:
        return {
            "id": seen.id,
            "queues": list(seen.queues),
            "concurrency": seen.concurrency,
            "free": seen.free,
            "held": seen.held,
            "state": self._state(seen, now),
            "client": seen.client,
            "transport": seen.transport,
            "first_seen_at": rfc3339(seen.first_seen_at),
            "last_seen_at": rfc3339(seen.last_seen_at),
            "last_pull_at": None if seen.last_pull_at is None else rfc3339(seen.last_pull_at),
        }

    def _forget(self, now: int) -> None:
        limit = now - self._lease_ms * _FORGET_AFTER
        for worker_id in [
            s.id for s in self._seen.values() if s.last_seen_at < limit and not s.waiting
        ]:
            del self._seen[worker_id]
