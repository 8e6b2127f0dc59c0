"""What a worker says of its jobs: ack, fail, release, heartbeat, progress, one and many."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from jobwire_server.engine import decide
from jobwire_server.errors import JobwireError
from jobwire_server.model import Job, JobState
from jobwire_server.operations.settling import Settled, Settler, Wish
from jobwire_server.wire import answers
from jobwire_server.wire.spelling import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobwire_server.operations.core import Caller, Core
    from jobwire_server.operations.holders import Holders
    from jobwire_server.operations.workers import Workers

NO_ERROR_TEXT: Final = "unknown error"
_AGAIN: Final[dict[str, Any]] = {"already": True}
_NOTHING: Final[dict[str, Any]] = {}
_GONE: Final = frozenset({"LEASE_LOST", "JOB_NOT_FOUND", "INVALID_STATE"})


class Work:
    """Every method takes a list of requests or items and answers one result each, in order."""

    def __init__(self, core: Core, settler: Settler, holders: Holders, workers: Workers) -> None:
        self._core = core
        self._settler = settler
        self._holders = holders
        self._workers = workers
        self._draining = False

    def drain(self) -> None:
        self._draining = True
        self._holders.wake_all()

    # --- one request each ---

    async def ack(self, requests: Sequence[Any]) -> list[answers.Acked | JobwireError]:
        return _each(
            await self._acked(requests), lambda s: answers.Acked(already=s.already or UNSET)
        )

    async def fail(self, requests: Sequence[Any]) -> list[answers.Failed | JobwireError]:
        return _each(await self._failed(requests), _failed_answer)

    async def release(self, requests: Sequence[Any]) -> list[answers.Moved | JobwireError]:
        now = self._core.clock.now()
        settled = await self._settle(
            "release", requests, lambda r: partial(_release, r.lease, r.delay_ms or 0, now)
        )
        return _each(
            settled, lambda s: answers.Moved(state=s.job.state, already=s.already or UNSET)
        )

    async def heartbeat(self, requests: Sequence[Any]) -> list[answers.Beaten | JobwireError]:
        return _each(await self._beaten(requests), _beaten_answer)

    async def progress(self, requests: Sequence[Any]) -> list[answers.Done | JobwireError]:
        now = self._core.clock.now()
        settled = await self._settle(
            "progress", requests, lambda r: partial(_progress, r.lease, r.progress, r.message, now)
        )
        return _each(settled, lambda _: answers.Done())

    # --- batches ---

    async def ack_batch(self, request: Any) -> answers.AckedBatch:
        settled = await self._acked(request.items)
        results = [_item(i, s, _acked_fields) for i, s in _pairs(request.items, settled)]
        failed = sum(not result.ok for result in results)
        return answers.AckedBatch(acked=len(results) - failed, failed=failed, results=results)

    async def fail_batch(self, request: Any) -> answers.FailedBatch:
        settled = await self._failed(request.items)
        results = [_item(i, s, _failed_fields) for i, s in _pairs(request.items, settled)]
        refused = sum(not result.ok for result in results)
        return answers.FailedBatch(failed=len(results) - refused, refused=refused, results=results)

    async def heartbeat_batch(self, request: Any, caller: Caller) -> answers.BeatenBatch:
        """
        Renew leases and take the worker's report. With wait_ms, wait until a job of the worker is cancelled or lost.
        """
        settled = await self._beaten(request.items)
        results = [_item(i, s, _beaten_fields) for i, s in _pairs(request.items, settled)]
        lost = [
            r.id
            for r in results
            if not r.ok and isinstance(r.error, JobwireError) and r.error.code in _GONE
        ]
        cancelled = [r.id for r in results if r.cancelled is True]
        deaf = False
        if request.worker is not None:
            held = len(results) - len(lost)
            deaf = self._workers.reported(request.worker, held, caller, self._core.clock.now())
            if request.wait_ms:
                more_lost, more_cancelled = await self._listen(
                    request.worker.id, request.wait_ms, cancelled, wait=not (lost or deaf)
                )
                lost, cancelled = _merged(lost, more_lost), _merged(cancelled, more_cancelled)
        return answers.BeatenBatch(results=results, lost=lost, cancelled=cancelled, deaf=deaf)

    async def _listen(
        self, worker_id: str, wait_ms: int, cancelled: Sequence[str], *, wait: bool
    ) -> tuple[list[str], list[str]]:
        news = self._holders.news(worker_id)
        news.end_wait()  # a worker that waits anew has given its earlier wait up
        if not news.has_any(cancelled) and wait and not self._draining:
            loop = asyncio.get_running_loop()
            future = news.future = loop.create_future()
            timer = loop.call_later(wait_ms / 1000, _finish, future)
            try:
                await future
            finally:
                timer.cancel()
                superseded = news.future is not future
                if not superseded:
                    news.future = None
            if superseded:
                return [], []
        return news.take()

    # --- the changes ---

    async def _acked(self, items: Sequence[Any]) -> list[Settled | JobwireError]:
        now = self._core.clock.now()
        return await self._settle(
            "ack", items, lambda i: partial(_ack, i.lease, _text(i.result), now)
        )

    async def _failed(self, items: Sequence[Any]) -> list[Settled | JobwireError]:
        now, draw = self._core.clock.now(), self._core.random
        return await self._settle(
            "fail",
            items,
            lambda i: partial(
                _fail,
                i.lease,
                i.error or NO_ERROR_TEXT,
                now,
                draw(),
                i.retry_in_ms,
                bool(i.discard),
            ),
        )

    async def _beaten(self, items: Sequence[Any]) -> list[Settled | JobwireError]:
        # The time of each decision: an older one would take back the grace that followed a stop.
        now = self._core.clock.now
        return await self._settle(
            "heartbeat", items, lambda i: partial(_heartbeat, i.lease, i.lease_ms, now)
        )

    async def _settle(
        self,
        operation: str,
        items: Sequence[Any],
        wish: Callable[[Any], Callable[[Job], decide.Decision]],
    ) -> list[Settled | JobwireError]:
        if not items:
            return []
        if not self._core.options.require_lease:
            return await self._settler.settle(
                operation, [Wish(item.id, wish(item)) for item in items]
            )
        shown = [item for item in items if item.lease is not None]
        found = iter(
            await self._settler.settle(operation, [Wish(item.id, wish(item)) for item in shown])
        )
        return [_lease_required(item.id) if item.lease is None else next(found) for item in items]


# The engine's functions with the job last, so that `partial` can leave it open.


def _ack(lease: str | None, result: bytes | None, now: int, job: Job) -> decide.Decision:
    return decide.ack(job, lease, result, now)


def _fail(
    lease: str | None,
    message: str,
    now: int,
    u: float,
    retry_in: int | None,
    discard: bool,
    job: Job,
) -> decide.Decision:
    return decide.fail(job, lease, message, now, u, retry_in_ms=retry_in, discard=discard)


def _release(lease: str | None, delay: int, now: int, job: Job) -> decide.Decision:
    return decide.release(job, lease, delay, now)


def _heartbeat(
    lease: str | None, lease_ms: int | None, now: Callable[[], int], job: Job
) -> decide.Decision:
    return decide.heartbeat(job, lease, lease_ms, now())


def _progress(
    lease: str | None, percent: int, message: str | None, now: int, job: Job
) -> decide.Decision:
    return decide.progress(job, lease, percent, message, now)


# --- answers -----------------------------------------------------------------------------------------------------


def _each(settled: Sequence[Settled | JobwireError], answer: Callable[[Settled], Any]) -> list[Any]:
    return [s if isinstance(s, JobwireError) else answer(s) for s in settled]


def _pairs(items: Sequence[Any], settled: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items, settled, strict=True))


def _item(
    item: Any, settled: Settled | JobwireError, fields: Callable[[Settled], dict[str, Any]]
) -> answers.Item:
    if isinstance(settled, JobwireError):
        return answers.Item(id=item.id, ok=False, error=settled)
    more = fields(settled)
    return answers.Item(id=item.id, **more) if more else answers.Item(id=item.id)


def _acked_fields(settled: Settled) -> dict[str, Any]:
    return _AGAIN if settled.already else _NOTHING


def _failed_answer(settled: Settled) -> answers.Failed:
    retry = settled.job.state in (JobState.WAITING, JobState.DELAYED, JobState.ACTIVE)
    return answers.Failed(
        retry=retry,
        will_retry=retry,
        next_attempt_at=_next_attempt(settled.job),
        already=settled.already or UNSET,
    )


def _failed_fields(settled: Settled) -> dict[str, Any]:
    answer = _failed_answer(settled)
    return {
        "retry": answer.retry,
        "next_attempt_at": answer.next_attempt_at or UNSET,
        "already": answer.already,
    }


def _next_attempt(job: Job) -> str | None:
    return rfc3339(job.run_at) if job.state == JobState.DELAYED else None


def _beaten_answer(settled: Settled) -> answers.Beaten:
    return answers.Beaten(**_beaten_fields(settled))


def _beaten_fields(settled: Settled) -> dict[str, Any]:
    job = settled.job
    return {
        "lease_expires_at": rfc3339(job.lease_expires_at or 0),
        "cancelled": UNSET if job.cancel_requested_at is None else True,
    }


def _lease_required(job_id: str) -> JobwireError:
    return JobwireError(
        "LEASE_REQUIRED",
        f"This server wants the lease of job '{job_id}'; send the one that came with the pull",
        {"id": job_id},
    )


def _text(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _merged(first: list[str], more: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *more]))


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
