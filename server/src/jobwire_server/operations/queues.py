"""Queues: list, one, stats, settings, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from jobwire_server.model import JobState, QueueInfo
from jobwire_server.wire import answers

if TYPE_CHECKING:
    from jobwire_server.operations.core import Core
    from jobwire_server.operations.waiters import Waiters

# RustQueue's names and order, `failed` (never used) included, then ours.
_COUNTS: Final = (
    "waiting",
    "active",
    "delayed",
    "completed",
    "failed",
    "dlq",
    "blocked",
    "cancelled",
)
_SETTINGS: Final = (
    "lease_ms",
    "max_length",
    "retention_completed_ms",
    "retention_dlq_ms",
    "retention_cancelled_ms",
)


class Queues:
    """One method an operation."""

    def __init__(self, core: Core, waiters: Waiters) -> None:
        self._core = core
        self._waiters = waiters

    async def queues(self) -> answers.Queues:
        found = sorted(self._core.store.queues().items())
        return answers.Queues(queues=[{"name": name, **_numbers(info)} for name, info in found])

    async def queue(self, request: Any) -> answers.Queue:
        return await self._described(request.queue)

    async def stats(self, request: Any) -> answers.Stats:
        info = self._core.store.queue(request.queue)
        return answers.Stats(
            counts=_counts(info),
            paused=info.settings.paused,
            oldest_waiting_ms=await self._oldest(request.queue, info),
        )

    async def queue_update(self, request: Any) -> answers.Queue:
        """Fields that were left out stay; None goes back to the server's default (JW-QUEUE-7)."""
        said = {name: value for name in _SETTINGS if (value := getattr(request, name)) is not UNSET}
        await self._set(request.queue, said)
        return await self._described(request.queue)

    async def queue_pause(self, request: Any) -> answers.Paused:
        mode = request.mode or "pull"
        await self._set(request.queue, {"paused": mode})
        return answers.Paused(paused=mode)

    async def queue_resume(self, request: Any) -> answers.Paused:
        await self._set(request.queue, {"paused": None})
        self._waiters.wake(request.queue, self._core.store.backlog(request.queue))
        return answers.Paused(paused=None)

    async def _set(self, name: str, fields: dict[str, Any]) -> None:
        await self._core.store.set_queue(name, fields)

    async def _described(self, name: str) -> answers.Queue:
        info = self._core.store.queue(name)
        settings = info.settings
        return answers.Queue(
            queue={
                "name": name,
                **_numbers(info),
                "settings": {field: getattr(settings, field) for field in _SETTINGS},
                "oldest_waiting_ms": await self._oldest(name, info),
            }
        )

    async def _oldest(self, name: str, info: QueueInfo) -> int | None:
        """How long the longest-ready job has waited; None when none waits."""
        if not info.counts.get(JobState.WAITING):
            return None
        found = await self._core.store.oldest(name, JobState.WAITING, 1)
        return max(self._core.clock.now() - found[0].entered_at, 0) if found else None


def _counts(info: QueueInfo) -> dict[str, int]:
    return {state: info.counts.get(state, 0) for state in _COUNTS}


def _numbers(info: QueueInfo) -> dict[str, Any]:
    return {"counts": _counts(info), "paused": info.settings.paused}
