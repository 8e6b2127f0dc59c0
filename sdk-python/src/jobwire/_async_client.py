"""
AsyncClient: the asyncio front. The methods, arguments, results and errors are those of Client, which a test compares;
their docstrings there hold here too.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, TypeVar

from jobwire import _operations as operations
from jobwire._backoff import RetryPolicy, RetryState
from jobwire._endpoint import Endpoint, resolve
from jobwire._errors import JobwireError
from jobwire._models import (
    UNSET,
    BulkResult,
    Capabilities,
    FailItem,
    FailResult,
    Flow,
    Health,
    HeartbeatBatchResult,
    HeartbeatResult,
    ItemResult,
    Job,
    JobState,
    Page,
    PushItem,
    PushResult,
    QueueInfo,
    QueueStats,
    StateResult,
    Unset,
    WorkerInfo,
    WorkerReport,
)
from jobwire._retry_log import log_retry
from jobwire._runtime import AsyncRuntime
from jobwire._transports.async_http import AsyncHttpTransport
from jobwire._transports.async_tcp import AsyncTcpTransport
from jobwire._transports.base import AsyncTransport, NoticeCallback, client_closed

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from jobwire._operations import AckEntry, FailEntry, HeartbeatEntry, Request
    from jobwire._strict_json import JSONValue

T = TypeVar("T")

_POLL = 0.5  # seconds between pulls from a server that does not hold them open


class AsyncClient:
    """
    Pushes jobs and works on them, from any number of tasks of one event loop.

    Args:
        url: `http://`, `https://`, `tcp://` or `tcps://`; the scheme picks the transport. Without it JOBWIRE_URL, or
            `http://localhost:6790`.
        token: The bearer token; without it JOBWIRE_TOKEN. It is never logged and never follows a redirect.
        timeout: Seconds for one try of a call; a waiting call gets its `wait` on top.
        connect_timeout: Seconds to make a connection.
        retries: How often a call that may be repeated is repeated; 0 switches this off. Connections that cannot be
            made do not count, they are tried again until the budget is used up.
        retry_budget: Seconds after its first failure in which a call may be repeated.
        tls: The context for `https` and `tcps`; without it certificates are verified against the system's.
        client_name: What the server shows for this client.
        transport: In place of a connection to *url*; see `jobwire.MockTransport`.

    Nothing is connected before the first call. Every push, pull, ack and fail carries an id, a lease or a request
    id, so that its repeat after a lost answer changes nothing more.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        retries: int = 5,
        retry_budget: float = 30.0,
        tls: ssl.SSLContext | None = None,
        client_name: str | None = None,
        transport: AsyncTransport | None = None,
        _runtime: AsyncRuntime | None = None,
        _silence: float | None = None,
    ) -> None:
        self._endpoint = resolve(
            url, token=token, tls=tls, connect_timeout=connect_timeout, client_name=client_name
        )
        self._timeout = timeout
        self._policy = RetryPolicy(retries, retry_budget)
        self._runtime = _runtime or AsyncRuntime()
        self._transport = transport or _transport_for(self._endpoint, _silence)
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<AsyncClient {self._endpoint}>"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """As `Client.close`."""
        self._closed.set()
        await self._transport.aclose()

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        retry_budget: float | None = None,
    ) -> AsyncClient:
        """As `Client.with_options`."""
        view = copy.copy(self)
        view._timeout = self._timeout if timeout is None else timeout
        view._policy = RetryPolicy(
            self._policy.retries if retries is None else retries,
            self._policy.budget if retry_budget is None else retry_budget,
        )
        return view

    # --- pushing ------------------------------------------------------------------------------------------------------

    async def push(
        self,
        queue: str,
        name: str,
        data: JSONValue = None,
        *,
        id: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        max_attempts: int | None = None,
        backoff: str | None = None,
        backoff_delay: float | None = None,
        backoff_schedule: Sequence[float] | None = None,
        backoff_max: float | None = None,
        jitter: float | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        unique_key: str | None = None,
        unique_for: float | None = None,
        on_conflict: str | None = None,
        tags: Sequence[str] | None = None,
        group_id: str | None = None,
        lifo: bool | None = None,
        remove_on_complete: bool | None = None,
        remove_on_fail: bool | None = None,
        custom_id: str | None = None,
        metadata: JSONValue = None,
        depends_on: Sequence[str] | None = None,
        flow_id: str | None = None,
    ) -> PushResult:
        """As `Client.push`."""
        item = PushItem(
            name=name,
            data=data,
            id=id,
            priority=priority,
            delay=delay,
            run_at=run_at,
            max_attempts=max_attempts,
            backoff=backoff,
            backoff_delay=backoff_delay,
            backoff_schedule=backoff_schedule,
            backoff_max=backoff_max,
            jitter=jitter,
            ttl=ttl,
            timeout=timeout,
            unique_key=unique_key,
            unique_for=unique_for,
            on_conflict=on_conflict,
            tags=tags,
            group_id=group_id,
            lifo=lifo,
            remove_on_complete=remove_on_complete,
            remove_on_fail=remove_on_fail,
            custom_id=custom_id,
            metadata=metadata,
            depends_on=depends_on,
            flow_id=flow_id,
        )
        return await self._call(operations.push(queue, item, self._runtime.new_id()))

    async def push_batch(
        self, queue: str, jobs: Iterable[PushItem | Mapping[str, Any]], *, atomic: bool = True
    ) -> list[PushResult | JobwireError]:
        """As `Client.push_batch`."""
        return await self._call(
            operations.push_batch(queue, jobs, atomic=atomic, new_id=self._runtime.new_id)
        )

    # --- working ------------------------------------------------------------------------------------------------------

    async def pull(
        self,
        queues: str | Sequence[str],
        *,
        count: int = 1,
        wait: float = 0.0,
        lease: float | None = None,
        names: Sequence[str] | None = None,
        worker_id: str | None = None,
        request_id: str | None = None,
        weights: Sequence[int] | None = None,
    ) -> list[Job]:
        """As `Client.pull`."""
        request = operations.pull(
            queues,
            count=count,
            wait=wait,
            lease=lease,
            names=names,
            worker_id=worker_id,
            request_id=request_id or self._runtime.new_id(),
            weights=weights,
        )
        end = self._runtime.monotonic() + wait
        jobs = await self._call(request)
        while not jobs and self._transport.polls and (left := end - self._runtime.monotonic()) > 0:
            await self._runtime.sleep(min(_POLL, left))
            jobs = await self._call(request)
        return jobs

    async def ack(
        self, job: Job | str, result: JSONValue | Unset = UNSET, *, lease: str | None = None
    ) -> bool:
        """As `Client.ack`."""
        return await self._call(operations.ack(job, result, lease=lease))

    async def ack_batch(self, items: Iterable[AckEntry]) -> list[ItemResult]:
        """As `Client.ack_batch`."""
        return await self._call(operations.ack_batch(items))

    async def fail(
        self,
        job: Job | str,
        error: str | BaseException,
        *,
        retry_in: float | None = None,
        discard: bool = False,
    ) -> FailResult:
        """As `Client.fail`."""
        return await self._call(operations.fail(FailItem(job, error, retry_in, discard)))

    async def fail_batch(self, items: Iterable[FailEntry]) -> list[ItemResult]:
        """As `Client.fail_batch`."""
        return await self._call(operations.fail_batch(items))

    async def release(self, job: Job | str, *, delay: float = 0.0) -> StateResult:
        """As `Client.release`."""
        return await self._call(operations.release(job, delay=delay))

    async def heartbeat(self, job: Job | str, *, lease: float | None = None) -> HeartbeatResult:
        """As `Client.heartbeat`."""
        return await self._call(operations.heartbeat(job, lease=lease))

    async def heartbeat_batch(
        self,
        items: Iterable[HeartbeatEntry],
        *,
        worker: WorkerReport | None = None,
        wait: float = 0.0,
    ) -> HeartbeatBatchResult:
        """As `Client.heartbeat_batch`."""
        return await self._call(operations.heartbeat_batch(items, worker=worker, wait=wait))

    async def progress(self, job: Job | str, percent: int, message: str | None = None) -> None:
        """As `Client.progress`."""
        await self._call(operations.progress(job, percent, message))

    # --- jobs ---------------------------------------------------------------------------------------------------------

    async def cancel(self, job: Job | str) -> StateResult:
        """As `Client.cancel`."""
        return await self._call(operations.cancel(job))

    async def retry(self, job: Job | str) -> StateResult:
        """As `Client.retry`."""
        return await self._call(operations.retry(job))

    async def promote(self, job: Job | str) -> StateResult:
        """As `Client.promote`."""
        return await self._call(operations.promote(job))

    async def get_job(self, job: Job | str) -> Job:
        """As `Client.get_job`."""
        return await self._call(operations.get_job(job))

    async def delete_job(self, job: Job | str) -> None:
        """As `Client.delete_job`."""
        await self._call(operations.delete_job(job))

    async def find(
        self,
        *,
        queue: str | None = None,
        state: JobState | str | Iterable[JobState | str] | None = None,
        name: str | None = None,
        tag: str | None = None,
        group_id: str | None = None,
        flow_id: str | None = None,
        custom_id: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[Job]:
        """As `Client.find`."""
        cursor: str | None = None
        wanted = operations.wanted_states(
            state
        )  # *state* may be an iterator, and each page needs it
        while True:
            page = await self.find_page(
                queue=queue,
                state=wanted,
                name=name,
                tag=tag,
                group_id=group_id,
                flow_id=flow_id,
                custom_id=custom_id,
                created_after=created_after,
                created_before=created_before,
                limit=page_size,
                cursor=cursor,
            )
            for job in page.jobs:
                yield job
            cursor = page.next_cursor
            if cursor is None:
                return

    async def find_page(
        self,
        *,
        queue: str | None = None,
        state: JobState | str | Iterable[JobState | str] | None = None,
        name: str | None = None,
        tag: str | None = None,
        group_id: str | None = None,
        flow_id: str | None = None,
        custom_id: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """As `Client.find_page`."""
        return await self._call(
            operations.find(
                queue=queue,
                state=state,
                name=name,
                tag=tag,
                group_id=group_id,
                flow_id=flow_id,
                custom_id=custom_id,
                created_after=created_after,
                created_before=created_before,
                limit=limit,
                cursor=cursor,
            )
        )

    # --- queues -------------------------------------------------------------------------------------------------------

    async def list_queues(self) -> list[QueueInfo]:
        """As `Client.list_queues`."""
        return await self._call(operations.list_queues())

    async def get_queue(self, queue: str) -> QueueInfo:
        """As `Client.get_queue`."""
        return await self._call(operations.get_queue(queue))

    async def update_queue(
        self,
        queue: str,
        *,
        lease: float | Unset | None = UNSET,
        max_length: int | Unset | None = UNSET,
        retention_completed: float | Unset | None = UNSET,
        retention_dlq: float | Unset | None = UNSET,
        retention_cancelled: float | Unset | None = UNSET,
    ) -> QueueInfo:
        """As `Client.update_queue`."""
        return await self._call(
            operations.update_queue(
                queue,
                lease=lease,
                max_length=max_length,
                retention_completed=retention_completed,
                retention_dlq=retention_dlq,
                retention_cancelled=retention_cancelled,
            )
        )

    async def stats(self, queue: str) -> QueueStats:
        """As `Client.stats`."""
        return await self._call(operations.stats(queue))

    async def pause_queue(self, queue: str, mode: str = "pull") -> None:
        """As `Client.pause_queue`."""
        await self._call(operations.pause_queue(queue, mode))

    async def resume_queue(self, queue: str) -> None:
        """As `Client.resume_queue`."""
        await self._call(operations.resume_queue(queue))

    async def dlq(self, queue: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """As `Client.dlq`."""
        return await self._call(operations.dlq(queue, limit=limit, cursor=cursor))

    async def retry_dlq(
        self, queue: str, *, ids: Iterable[Job | str] | None = None, limit: int | None = None
    ) -> BulkResult:
        """As `Client.retry_dlq`."""
        return await self._call(operations.retry_dlq(queue, ids=ids, limit=limit))

    async def discard_dlq(
        self, queue: str, *, ids: Iterable[Job | str] | None = None, limit: int | None = None
    ) -> BulkResult:
        """As `Client.discard_dlq`."""
        return await self._call(operations.discard_dlq(queue, ids=ids, limit=limit))

    # --- flows, workers, the server -----------------------------------------------------------------------------------

    async def get_flow(self, flow_id: str) -> Flow:
        """As `Client.get_flow`."""
        return await self._call(operations.get_flow(flow_id))

    async def list_workers(self) -> list[WorkerInfo]:
        """As `Client.list_workers`."""
        return await self._call(operations.list_workers())

    async def health(self) -> Health:
        """As `Client.health`."""
        return await self._call(operations.health())

    async def capabilities(self) -> Capabilities:
        """As `Client.capabilities`."""
        return await self._call(operations.capabilities())

    async def ping(self) -> None:
        """As `Client.ping`."""
        await self._call(operations.ping())

    # --- inside -------------------------------------------------------------------------------------------------------

    def _notices(self, callback: NoticeCallback) -> Callable[[], None]:
        """
        Have *callback* called with each notice (name, fields) of a TCP connection; what comes back ends that.

        It is called where answers are read: it must return at once and must not call this client. Over HTTP there
        are no notices.
        """
        return self._transport.subscribe(callback)

    def _interrupt_waits(self) -> None:
        """Have calls that wait on the server's side answered soon, as if their wait had run out."""
        self._transport.interrupt()

    def _close_idle(self) -> None:
        """Have the next call make a new connection, where nothing is in flight on the one that there is."""
        self._transport.close_idle()

    async def _call(self, request: Request[T]) -> T:
        """Carry *request* out, and repeat it as its retry class and the policy allow."""
        state = RetryState(self._policy, request.retry)
        while not self._closed.is_set():
            try:
                return request.read(
                    await self._transport.send(request, self._timeout + request.wait)
                )
            except JobwireError as error:
                runtime = self._runtime
                pause = state.after(error, now=runtime.monotonic(), u=runtime.random())
                if pause is None:
                    raise
                log_retry(request, error, state.failures, pause)
            if pause:
                await runtime.sleep(pause)
        raise client_closed()


def _transport_for(endpoint: Endpoint, silence: float | None) -> AsyncTransport:
    if endpoint.is_tcp:
        return AsyncTcpTransport(endpoint, silence)
    return AsyncHttpTransport(endpoint, silence)
