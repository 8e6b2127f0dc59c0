"""What a caller asks about and does to jobs: get, find, cancel, retry, promote, delete, flows and dead letters."""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from jobwire_server.engine import decide
from jobwire_server.errors import JobwireError, invalid, job_not_found
from jobwire_server.model import Job, JobFilter, JobState
from jobwire_server.operations.settling import Settled, Settler, Wish
from jobwire_server.store.sizes import answer_bytes
from jobwire_server.wire import answers, limits
from jobwire_server.wire.spelling import ms_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from jobwire_server.operations.core import Core

_FLOW_LIMIT: Final = 1_000
# How much of a flow is read at a time, in bytes, and how many jobs are settled at a time: each may have a MiB of data.
_READ_BYTES: Final = 8 * 1024 * 1024
_SETTLED: Final = 64
_FLOW_STATES: Final = ("waiting", "active", "delayed", "blocked", "completed", "dlq", "cancelled")


class Care:
    """One method an operation."""

    def __init__(self, core: Core, settler: Settler) -> None:
        self._core = core
        self._settler = settler

    async def get(self, requests: Sequence[Any]) -> list[answers.OneJob | JobwireError]:
        found = await self._core.store.get([request.id for request in requests])
        return [_shown(request.id, job) for request, job in zip(requests, found, strict=True)]

    async def cancel(self, request: Any) -> answers.Moved:
        return await self._one("cancel", request.id, decide.cancel)

    async def retry(self, request: Any) -> answers.Moved:
        return await self._one("retry", request.id, decide.retry)

    async def promote(self, request: Any) -> answers.Moved:
        return await self._one("promote", request.id, decide.promote)

    async def delete(self, request: Any) -> answers.Done:
        await self._one("delete", request.id, decide.delete)
        return answers.Done()

    async def find(self, request: Any) -> answers.JobPage:
        wanted = JobFilter(
            queue=request.queue,
            states=tuple(request.state or ()),
            name=request.name,
            tag=request.tag,
            group_id=request.group_id,
            flow_id=request.flow_id,
            custom_id=request.custom_id,
            created_after=None if request.created_after is None else ms_of(request.created_after),
            created_before=None
            if request.created_before is None
            else ms_of(request.created_before),
        )
        limit = limits.DEFAULT_FIND_LIMIT if request.limit is None else request.limit
        return await self._page(wanted, limit, request.cursor)

    async def flow(self, request: Any) -> answers.FlowStatus:
        """The oldest jobs of a flow, oldest first, and how many of all of them are in each state (JW-WORKER-1, JW-LIMIT-7)."""
        oldest = _Oldest(self._core.options.max_answer_bytes)
        states: Counter[str] = Counter()
        async for job in self._all(JobFilter(flow_id=request.flow_id)):
            oldest.add(job)
            states[str(job.state)] += 1
        summary = {
            "total": states.total(),
            **{state: states[state] for state in _FLOW_STATES},
            "failed": 0,
        }
        return answers.FlowStatus(flow_id=request.flow_id, jobs=list(oldest.jobs), summary=summary)

    # --- dead letters ---

    async def dlq(self, request: Any) -> answers.JobPage:
        limit = limits.DEFAULT_DLQ_LIMIT if request.limit is None else request.limit
        if limit == 0:
            return answers.JobPage(jobs=[], next_cursor=None)
        return await self._page(
            JobFilter(queue=request.queue, states=(JobState.DLQ,)), limit, request.cursor
        )

    async def dlq_retry(self, request: Any) -> answers.DlqDone:
        return await self._dead_letters("retry", request, decide.retry)

    async def dlq_discard(self, request: Any) -> answers.DlqDone:
        return await self._dead_letters("delete", request, decide.delete)

    async def _dead_letters(
        self, operation: str, request: Any, change: Callable[[Job, int], decide.Decision]
    ) -> answers.DlqDone:
        """The named dead letters, or the oldest ones, a few at a time; a job that is none (any more) is refused."""
        ids = request.ids
        if ids is None:
            limit = limits.BATCH_ITEMS if request.limit is None else request.limit
            found = await self._core.store.oldest(request.queue, JobState.DLQ, limit)
            ids = [standing.id for standing in found]
        wish = partial(_dead_letter, request.queue, change, self._core.clock.now())
        results: list[answers.Item] = []
        for start in range(0, len(ids), _SETTLED):
            part = ids[start : start + _SETTLED]
            settled = await self._settler.settle(operation, [Wish(job_id, wish) for job_id in part])
            results += [_result(job_id, one) for job_id, one in zip(part, settled, strict=True)]
        left = self._core.store.queue(request.queue).counts.get(JobState.DLQ, 0)
        return answers.DlqDone(count=sum(r.ok for r in results), results=results, remaining=left)

    # --- shared ---

    async def _one(
        self, operation: str, job_id: str, change: Callable[[Job, int], decide.Decision]
    ) -> answers.Moved:
        now = self._core.clock.now()
        [settled] = await self._settler.settle(
            operation, [Wish(job_id, lambda job: change(job, now))]
        )
        if isinstance(settled, JobwireError):
            raise settled
        return answers.Moved(state=settled.job.state, already=settled.already or UNSET)

    async def _page(self, wanted: JobFilter, limit: int, cursor: str | None) -> answers.JobPage:
        try:
            page = await self._core.store.find(
                wanted,
                limit=limit,
                cursor=cursor,
                max_bytes=self._core.options.max_answer_bytes,
            )
        except ValueError as exc:
            raise invalid(
                "/cursor", "the cursor is not one of this server's; start again without it"
            ) from exc
        return answers.JobPage(jobs=page.jobs, next_cursor=page.next_cursor)

    async def _all(self, wanted: JobFilter) -> AsyncIterator[Job]:
        """Every job that matches, newest first, a page at a time."""
        cursor: str | None = None
        while True:
            page = await self._core.store.find(
                wanted, limit=limits.FIND_LIMIT, cursor=cursor, max_bytes=_READ_BYTES
            )
            for job in page.jobs:
                yield job
            cursor = page.next_cursor
            if cursor is None:
                return


class _Oldest:
    """The oldest of jobs that come newest first: as many as an answer may have, and has room for."""

    def __init__(self, max_bytes: int) -> None:
        self.jobs: deque[Job] = deque()
        self._left = max_bytes

    def add(self, job: Job) -> None:
        self.jobs.appendleft(job)
        self._left -= answer_bytes(job)
        while len(self.jobs) > _FLOW_LIMIT or (self._left < 0 and len(self.jobs) > 1):
            self._left += answer_bytes(self.jobs.pop())


def _shown(job_id: str, job: Job | None) -> answers.OneJob | JobwireError:
    if job is None or job.state == JobState.REMOVED:
        return job_not_found(job_id)
    return answers.OneJob(job=job)


def _dead_letter(
    queue: str, change: Callable[[Job, int], decide.Decision], now: int, job: Job
) -> decide.Decision:
    if job.queue != queue or job.state == JobState.REMOVED:
        raise job_not_found(job.id)
    if job.state != JobState.DLQ:
        raise decide.not_a_dead_letter(job)
    return change(job, now)


def _result(job_id: str, settled: Settled | JobwireError) -> answers.Item:
    if isinstance(settled, JobwireError):
        return answers.Item(id=job_id, ok=False, error=settled)
    state = settled.job.state
    return answers.Item(id=job_id, state=UNSET if state == JobState.REMOVED else str(state))
