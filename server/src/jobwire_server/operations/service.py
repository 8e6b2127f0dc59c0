"""
All operations of spec/wire.yaml under their names: what both doors call.

`run` takes requests of one command and answers one result each; errors of the catalogue are results too, so that a door has one way to answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any, Final

import jobwire_server
from jobwire_server.errors import JobwireError, StoreFailed, StoreFull
from jobwire_server.operations.care import Care
from jobwire_server.operations.core import Caller, Core, Options
from jobwire_server.operations.holders import Holders
from jobwire_server.operations.pulling import Pulling
from jobwire_server.operations.pushing import push, push_batch
from jobwire_server.operations.queues import Queues
from jobwire_server.operations.settling import Held, Settler
from jobwire_server.operations.waiters import Waiters
from jobwire_server.operations.work import Work
from jobwire_server.operations.workers import Workers
from jobwire_server.wire import answers, limits

WIRE_VERSIONS: Final = (1, 2)
CAPABILITIES: Final = (
    "ack-batch",
    "auth",
    "backoff-schedule",
    "cancel-running",
    "client-ids",
    "dependencies",
    "dlq-retry",
    "error-history",
    "find",
    "heartbeat-wait",
    "leases",
    "notices",
    "pause-modes",
    "pull-request-id",
    "pull-wait",
    "queue-settings",
    "release",
    "tombstones",
    "ttl",
    "unique",
    "wire-v2",
    "workers",
)
SERVER: Final = {"name": "jobwire", "version": jobwire_server.__version__}

Many = Callable[[Sequence[Any]], Awaitable[list[Any]]]
One = Callable[[Any, Caller], Awaitable[Any]]
# The command of one call of run() and how many seconds it took, waits included.
Observe = Callable[[str, float], None]


class Operations:
    """The operations on one store. Everything runs on one event loop."""

    def __init__(self, core: Core, observe: Observe = lambda name, seconds: None) -> None:
        self._core = core
        self._observe = observe
        self._started_at = core.clock.now()
        self._draining = False
        self._waiters = Waiters(core.store.backlog)
        self._holders = Holders()
        self.workers = Workers(core.options.lease_ms, core.options.heartbeat_ms, core.store.backlog)
        self._held = Held()
        settler = Settler(core, self._held)
        self._pulling = Pulling(
            core, settler, self._held, self._waiters, self._holders, self.workers
        )
        self._work = Work(core, settler, self._holders, self.workers)
        self._defaults = _defaults(core.options)
        core.bus.subscribe(self._waiters.on_events)
        core.bus.subscribe(self._holders.on_events)
        self._many, self._one = self._tables(Care(core, settler), Queues(core, self._waiters))

    def _tables(self, care: Care, queues: Queues) -> tuple[dict[str, Many], dict[str, One]]:
        work, pulling = self._work, self._pulling
        many: dict[str, Many] = {
            "push": lambda requests: push(self._core, self._waiters, requests),
            "ack": work.ack,
            "fail": work.fail,
            "release": work.release,
            "heartbeat": work.heartbeat,
            "progress": work.progress,
            "get": care.get,
        }
        one: dict[str, One] = {
            "push_batch": lambda request, _: push_batch(self._core, self._waiters, request),
            "pull": pulling.pull,
            "ack_batch": lambda request, _: work.ack_batch(request),
            "fail_batch": lambda request, _: work.fail_batch(request),
            "heartbeat_batch": work.heartbeat_batch,
            "cancel": lambda request, _: care.cancel(request),
            "retry": lambda request, _: care.retry(request),
            "promote": lambda request, _: care.promote(request),
            "delete": lambda request, _: care.delete(request),
            "find": lambda request, _: care.find(request),
            "flow": lambda request, _: care.flow(request),
            "dlq": lambda request, _: care.dlq(request),
            "dlq_retry": lambda request, _: care.dlq_retry(request),
            "dlq_discard": lambda request, _: care.dlq_discard(request),
            "queues": lambda _, __: queues.queues(),
            "queue": lambda request, _: queues.queue(request),
            "stats": lambda request, _: queues.stats(request),
            "queue_update": lambda request, _: queues.queue_update(request),
            "queue_pause": lambda request, _: queues.queue_pause(request),
            "queue_resume": lambda request, _: queues.queue_resume(request),
            "workers": lambda _, __: self._list_workers(),
            "health": lambda _, __: self._health(),
            "ready": lambda _, __: self._ready(),
            "live": lambda _, __: self._live(),
            "capabilities": lambda _, __: self._capabilities(),
            "ping": lambda _, __: self._ping(),
        }
        return many, one

    async def run(self, name: str, requests: Sequence[Any], caller: Caller) -> list[Any]:
        """
        Carry out requests of one command; one result each, in order (an answer of wire/answers.py or a JobwireError).

        Requests of a BATCHABLE command share one trip to the store; others run one after another. Cancelling is safe at any time: what a pull had
        claimed is given back, and every other operation is carried out whole or not at all; of many dead letters, job by job.
        What was carried out for a call that was cancelled is told to nobody, so a door lets changes that need no wait go on to their end.
        """
        began = perf_counter()
        try:
            return await self._run(name, requests, caller)
        finally:
            self._observe(name, perf_counter() - began)

    async def _run(self, name: str, requests: Sequence[Any], caller: Caller) -> list[Any]:
        many = self._many.get(name)
        if many is None:
            return [await self._guarded(self._one[name], request, caller) for request in requests]
        try:
            return await many(requests)
        except (JobwireError, StoreFull, StoreFailed) as error:
            return [as_error(error)] * len(requests)

    async def _guarded(self, operation: One, request: Any, caller: Caller) -> Any:
        try:
            return await operation(request, caller)
        except (JobwireError, StoreFull, StoreFailed) as error:
            return as_error(error)

    def forget(self, caller: Caller) -> None:
        """The connection is gone: nobody is there to be told. Leases live on."""
        self._holders.forget(caller)

    def forget_all(self) -> None:
        """The store was emptied (test mode): nothing that is remembered here is true any more."""
        self._held.clear()
        self._holders.clear()
        self.workers.clear()

    def drain(self) -> None:
        """Answer what waits, refuse new pulls; everything else goes on, so that workers can settle what they hold."""
        self._draining = True
        self._pulling.drain()
        self._work.drain()

    def welcome(self, version: int) -> answers.Welcome:
        """The answer to hello."""
        return answers.Welcome(
            v=version,
            server=SERVER,
            capabilities=list(CAPABILITIES),
            limits=limits.LIMITS,
            defaults=self._defaults,
            heartbeat_ms=self._core.options.heartbeat_ms,
        )

    # --- the server ---

    async def _list_workers(self) -> answers.Workers:
        return answers.Workers(workers=self.workers.describe(self._core.clock.now()))

    async def _health(self) -> answers.Health:
        store = self._core.store
        return answers.Health(
            status="draining" if self._draining else "degraded" if store.is_full else "healthy",
            version=SERVER["version"],
            uptime_seconds=max(self._core.clock.now() - self._started_at, 0) // 1000,
            durability=store.durability,
            storage="full" if store.is_full else "ok",
        )

    async def _ready(self) -> answers.Status:
        if self._draining:
            raise JobwireError("SHUTTING_DOWN", "The server is shutting down", retry_after_ms=1_000)
        try:
            await self._core.store.check()
        except StoreFull as error:  # 503 and not the 507 of a push (JW-HEALTH-3)
            raise JobwireError("STORAGE_UNAVAILABLE", str(error)) from error
        return answers.Status(status="ready")

    async def _live(self) -> answers.Status:
        return answers.Status(status="live")

    async def _ping(self) -> answers.Done:
        return answers.Done()

    async def _capabilities(self) -> answers.Capabilities:
        return answers.Capabilities(
            server=SERVER,
            wire=list(WIRE_VERSIONS),
            capabilities=list(CAPABILITIES),
            limits=limits.LIMITS,
            defaults=self._defaults,
        )


def _defaults(options: Options) -> dict[str, Any]:
    """What leaving a field out means on this server, for hello and capabilities (JW-LIMIT-6)."""
    return {
        **limits.DEFAULTS,
        **asdict(options.job),
        **{f"retention_{state}_ms": kept for state, kept in options.retention_ms.items()},
        "lease_ms": options.lease_ms,
        "heartbeat_ms": options.heartbeat_ms,
        "tombstone_ms": options.tombstone_ms,
    }


def as_error(error: Exception) -> JobwireError:
    """The answer for a store that is full or has failed; a JobwireError is its own."""
    if isinstance(error, StoreFull):
        return JobwireError(
            "STORAGE_FULL",
            "The disk is full: pushes are refused until there is space; reads and acks go on",
            retry_after_ms=5_000,
        )
    if isinstance(error, StoreFailed):
        return JobwireError(
            "STORAGE_UNAVAILABLE",
            "The store failed; the request may or may not have been carried out",
        )
    assert isinstance(error, JobwireError)
    return error


__all__ = ["CAPABILITIES", "Caller", "Operations", "as_error"]
