"""
Client: the synchronous front. Each method builds a Request, has it carried, and reads the answer.

What a method means, sends and gets is in `_operations`; how it travels is in `_transports`; AsyncClient has the same
methods with the same arguments, which a test compares.
"""

from __future__ import annotations

import copy
import threading
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
from jobwire._runtime import Runtime
from jobwire._transports.base import NoticeCallback, Transport, client_closed
from jobwire._transports.sync_http import HttpTransport
from jobwire._transports.sync_tcp import TcpTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from jobwire._operations import AckEntry, FailEntry, HeartbeatEntry, Request
    from jobwire._strict_json import JSONValue

T = TypeVar("T")

_POLL = 0.5  # seconds between pulls from a server that does not hold them open


class Client:
    """
    Pushes jobs and works on them, from any number of threads.

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
        transport: Transport | None = None,
        _runtime: Runtime | None = None,
        _silence: float | None = None,
    ) -> None:
        self._endpoint = resolve(
            url, token=token, tls=tls, connect_timeout=connect_timeout, client_name=client_name
        )
        self._timeout = timeout
        self._policy = RetryPolicy(retries, retry_budget)
        self._runtime = _runtime or Runtime()
        self._transport = transport or _transport_for(self._endpoint, _silence)
        self._closed = threading.Event()

    def __repr__(self) -> str:
        return f"<Client {self._endpoint}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Calls in flight in other threads raise TransportError CLIENT_CLOSED. Idempotent."""
        self._closed.set()
        self._transport.close()

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        retry_budget: float | None = None,
    ) -> Client:
        """
        This client with other settings; what is None stays as it is.

        The two share their connections, and closing either closes both.
        """
        view = copy.copy(self)
        view._timeout = self._timeout if timeout is None else timeout
        view._policy = RetryPolicy(
            self._policy.retries if retries is None else retries,
            self._policy.budget if retry_budget is None else retry_budget,
        )
        return view

    # --- pushing ------------------------------------------------------------------------------------------------------

    def push(
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
        """
        Put a job in *queue*. When this returns, the job survives whatever the server's durability promises.

        Args:
            queue: 1–256 characters of `A-Za-z0-9._-`; made by its first push.
            name: What kind of job it is; a worker picks the handler by it.
            data: JSON, at most 1 MiB; dataclasses and pydantic models are written as objects. None is null.
            id: A UUID; made here when left out. The same id again answers with that job and makes no second one.
            priority: Higher goes first; 0 when left out.
            delay: Seconds until it may run. run_at: The same as an aware datetime; not both.
            max_attempts: Tries before it is a dead letter; 3 when left out.
            backoff: `fixed`, `linear` or `exponential`. backoff_delay: Its unit in seconds. backoff_max: Its cap.
            backoff_schedule: Seconds before each repeat, in place of backoff. jitter: 0–1, how much is left to chance.
            ttl: Seconds it may wait before it is given up. timeout: Seconds one try may take.
            unique_key: No second unfinished job of the queue may have it. unique_for: Nor for these seconds.
            on_conflict: What a taken key leads to: `reject` (the default), `ignore` or `replace`.
            depends_on: Ids of jobs that must be completed first. flow_id: A name that ties jobs together.

        Returns:
            The id, and whether the job was created, existed, or replaced another.

        Raises:
            ValidationError: A bad argument, or data that is not JSON.
            ConflictError: DUPLICATE_KEY (`details["existing_id"]`), or ID_CONFLICT: this id has another payload.
            RateLimitedError: QUEUE_FULL.
            UnavailableError: QUEUE_PAUSED for pushes, STORAGE_FULL, and other passing trouble, after the retries.

        Repeated safely after a lost answer; the outcome is then `existing`. Requirements JW-PUSH, JW-UNIQ, JW-DEP.
        """
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
        return self._call(operations.push(queue, item, self._runtime.new_id()))

    def push_batch(
        self, queue: str, jobs: Iterable[PushItem | Mapping[str, Any]], *, atomic: bool = True
    ) -> list[PushResult | JobwireError]:
        """
        Put up to 1,000 jobs in *queue*, in one transaction.

        Args:
            jobs: PushItems, or mappings with the names of the arguments of `push`.
            atomic: True: one bad item refuses the whole batch, and the error's `details["pointer"]` names it. False:
                each item has its own outcome.

        Returns:
            In the order of *jobs* a PushResult each, and with ``atomic=False`` a JobwireError for a refused item.

        Raises:
            As `push`. Repeated safely: the ids are made before the first try.
        """
        return self._call(
            operations.push_batch(queue, jobs, atomic=atomic, new_id=self._runtime.new_id)
        )

    # --- working ------------------------------------------------------------------------------------------------------

    def pull(
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
        """
        Claim up to *count* jobs that are waiting: highest priority first, then the one that was ready first.

        Args:
            queues: Names, tried in order. weights: One a queue; the order is then drawn in proportion.
            count: 1–1,000. Fewer may come back even when more are waiting.
            wait: Seconds, at most 60, to hold the request open while nothing is ready; 0 returns at once.
            lease: Seconds that the claim lasts, 1 to 43,200; the queue's setting (30) when left out. Renew it with
                `heartbeat`; when it runs out the job is waiting again, and a late `ack` raises LEASE_LOST.
            names: Only jobs with these names.
            worker_id: Who holds the jobs, for `list_workers` and for notices.
            request_id: Made here when left out, so that a repeat after a lost answer gets the same jobs.

        Returns:
            The jobs, each with its lease; ``[]`` when *wait* ran out.

        Raises:
            ValidationError: A bad argument.
            RequestTimeout, TransportError: No answer, after the retries; **jobs may have been claimed** and will
                come back when their lease ends.

        Two calls claim different jobs, unless they carry the same request_id. Requirements JW-PULL, JW-LEASE.
        """
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
        jobs = self._call(request)
        while not jobs and self._transport.polls and (left := end - self._runtime.monotonic()) > 0:
            self._runtime.pause(min(_POLL, left), self._closed)
            jobs = self._call(request)
        return jobs

    def ack(
        self, job: Job | str, result: JSONValue | Unset = UNSET, *, lease: str | None = None
    ) -> bool:
        """
        Report that *job* is done, with an optional JSON *result* of at most 1 MiB.

        Args:
            job: A pulled Job, whose lease is sent along, or an id; then *lease*, or else the current lease is meant.

        Returns:
            True when this lease had acked the job before.

        Raises:
            ConflictError: LEASE_LOST (the lease ran out: drop the result), INVALID_STATE.
            NotFoundError: JOB_NOT_FOUND.

        Idempotent under one lease. Requirements JW-ACK.
        """
        return self._call(operations.ack(job, result, lease=lease))

    def ack_batch(self, items: Iterable[AckEntry]) -> list[ItemResult]:
        """
        Report up to 1,000 jobs as done in one request.

        Args:
            items: Jobs, ids, or pairs of one of these and a result.

        Returns:
            An outcome per item, in order; a refused item raises nothing. Idempotent as `ack`.
        """
        return self._call(operations.ack_batch(items))

    def fail(
        self,
        job: Job | str,
        error: str | BaseException,
        *,
        retry_in: float | None = None,
        discard: bool = False,
    ) -> FailResult:
        """
        Report that this try of *job* failed; it is tried again after its backoff while attempts are left.

        Args:
            error: Kept in the job's history; cut to 10,240 bytes. An exception is written as `Type: message`.
            retry_in: Seconds, in place of the backoff.
            discard: Do not try again; the job is a dead letter.

        Returns:
            Whether it will be tried again, and when.

        Raises:
            As `ack`. Idempotent under one lease. Requirements JW-FAIL.
        """
        return self._call(operations.fail(FailItem(job, error, retry_in, discard)))

    def fail_batch(self, items: Iterable[FailEntry]) -> list[ItemResult]:
        """Report up to 1,000 failed tries in one request: FailItems, or pairs of a job and an error. As `ack_batch`."""
        return self._call(operations.fail_batch(items))

    def release(self, job: Job | str, *, delay: float = 0.0) -> StateResult:
        """
        Give *job* back unfinished, without burning an attempt; it may be taken again after *delay* seconds.

        Raises:
            As `ack`. Idempotent under one lease. Requirements JW-LEASE.
        """
        return self._call(operations.release(job, delay=delay))

    def heartbeat(self, job: Job | str, *, lease: float | None = None) -> HeartbeatResult:
        """
        Renew the lease of *job*, for *lease* seconds from now or for its old length.

        Returns:
            The new end, and whether the job is asked to stop.

        Raises:
            As `ack`; LEASE_LOST means that another worker may have the job. Requirements JW-HB.
        """
        return self._call(operations.heartbeat(job, lease=lease))

    def heartbeat_batch(
        self,
        items: Iterable[HeartbeatEntry],
        *,
        worker: WorkerReport | None = None,
        wait: float = 0.0,
    ) -> HeartbeatBatchResult:
        """
        Renew many leases in one request, and report the state of a worker.

        Args:
            items: Jobs, ids, or pairs of one of these and a new length in seconds.
            worker: What `list_workers` shows, and what lets the server say "you are deaf".
            wait: Seconds, at most 60, to hold the answer until a job of *worker* is cancelled or lost; needs *worker*.

        Returns:
            An outcome per item, and the ids that were lost or cancelled. Requirements JW-HB, JW-WORKER.
        """
        return self._call(operations.heartbeat_batch(items, worker=worker, wait=wait))

    def progress(self, job: Job | str, percent: int, message: str | None = None) -> None:
        """
        Set the progress of an active *job*, 0–100, and append *message* (cut to 1,024 bytes) to its log.

        Raises:
            As `ack`. Requirements JW-PROG.
        """
        self._call(operations.progress(job, percent, message))

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def cancel(self, job: Job | str) -> StateResult:
        """
        Stop a job: at once while it waits; when it is active its worker is told, and `state` is still active.

        Raises:
            NotFoundError; ConflictError INVALID_STATE when it has ended otherwise. Requirements JW-CANCEL.
        """
        return self._call(operations.cancel(job))

    def retry(self, job: Job | str) -> StateResult:
        """
        Put a dead letter or a cancelled job back in its queue, with its attempts counted anew.

        Raises:
            ConflictError INVALID_STATE or DUPLICATE_KEY; NotFoundError. Repeated only when it provably was not
            carried out. Requirements JW-RETRY.
        """
        return self._call(operations.retry(job))

    def promote(self, job: Job | str) -> StateResult:
        """Make a delayed job ready now. Raises ConflictError INVALID_STATE, NotFoundError. Requirements JW-RETRY."""
        return self._call(operations.promote(job))

    def get_job(self, job: Job | str) -> Job:
        """The job as it is now, without a lease. Raises NotFoundError. Requirements JW-FIND."""
        return self._call(operations.get_job(job))

    def delete_job(self, job: Job | str) -> None:
        """
        Remove a job that is not active.

        Raises:
            ConflictError INVALID_STATE; NotFoundError. Repeated only when it provably was not carried out.
            Requirements JW-DEL.
        """
        self._call(operations.delete_job(job))

    def find(
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
    ) -> Iterator[Job]:
        """
        Go through all jobs that match, newest first, fetching page after page.

        Args:
            state: One state or several; the other filters must all match. What is None does not filter.
            created_after: Inclusive; created_before: exclusive; both aware.
            page_size: Jobs a request, 1–1,000; 50 when left out.

        Raises:
            ValidationError at the first step. Requirements JW-FIND.
        """
        cursor: str | None = None
        wanted = operations.wanted_states(
            state
        )  # *state* may be an iterator, and each page needs it
        while True:
            page = self.find_page(
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
            yield from page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return

    def find_page(
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
        """One page of `find`: at most *limit* jobs from *cursor* on, the `next_cursor` of the page before."""
        return self._call(
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

    def list_queues(self) -> list[QueueInfo]:
        """All queues by name, with counts and pause mode. Requirements JW-QUEUE."""
        return self._call(operations.list_queues())

    def get_queue(self, queue: str) -> QueueInfo:
        """A queue with its settings; one that was never used has zero counts. Requirements JW-QUEUE."""
        return self._call(operations.get_queue(queue))

    def update_queue(
        self,
        queue: str,
        *,
        lease: float | Unset | None = UNSET,
        max_length: int | Unset | None = UNSET,
        retention_completed: float | Unset | None = UNSET,
        retention_dlq: float | Unset | None = UNSET,
        retention_cancelled: float | Unset | None = UNSET,
    ) -> QueueInfo:
        """
        Change settings of a queue; what is left out stays, None goes back to the server's default.

        Args:
            lease: Default length of a lease in seconds. max_length: Unfinished jobs that it may hold.
            retention_completed, retention_dlq, retention_cancelled: Seconds that ended jobs are kept.

        Requirements JW-QUEUE.
        """
        return self._call(
            operations.update_queue(
                queue,
                lease=lease,
                max_length=max_length,
                retention_completed=retention_completed,
                retention_dlq=retention_dlq,
                retention_cancelled=retention_cancelled,
            )
        )

    def stats(self, queue: str) -> QueueStats:
        """Counts by state, pause mode, and the age of the oldest waiting job. Requirements JW-QUEUE."""
        return self._call(operations.stats(queue))

    def pause_queue(self, queue: str, mode: str = "pull") -> None:
        """Stop delivery (`pull`), acceptance (`push`) or `both`, until `resume_queue`. Requirements JW-QUEUE."""
        self._call(operations.pause_queue(queue, mode))

    def resume_queue(self, queue: str) -> None:
        """End a pause; nothing happens when there is none. Requirements JW-QUEUE."""
        self._call(operations.resume_queue(queue))

    def dlq(self, queue: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """A page of a queue's dead letters, the newest first; 50 when *limit* is left out. Requirements JW-DLQ."""
        return self._call(operations.dlq(queue, limit=limit, cursor=cursor))

    def retry_dlq(
        self, queue: str, *, ids: Iterable[Job | str] | None = None, limit: int | None = None
    ) -> BulkResult:
        """
        Put dead letters back in *queue*: those of *ids*, or the oldest, at most *limit* (1,000 when left out).

        Returns:
            How many, each one's outcome, and how many dead letters remain. Requirements JW-DLQ.
        """
        return self._call(operations.retry_dlq(queue, ids=ids, limit=limit))

    def discard_dlq(
        self, queue: str, *, ids: Iterable[Job | str] | None = None, limit: int | None = None
    ) -> BulkResult:
        """Remove dead letters; arguments and answer are those of `retry_dlq`. Requirements JW-DLQ."""
        return self._call(operations.discard_dlq(queue, ids=ids, limit=limit))

    # --- flows, workers, the server -----------------------------------------------------------------------------------

    def get_flow(self, flow_id: str) -> Flow:
        """The jobs of a flow, oldest first, at most 1,000, and how many are in each state. Requirements JW-DEP."""
        return self._call(operations.get_flow(flow_id))

    def list_workers(self) -> list[WorkerInfo]:
        """Who works, by id, and who is alive, quiet, deaf or lost. Requirements JW-WORKER."""
        return self._call(operations.list_workers())

    def health(self) -> Health:
        """The server's state, version and verified durability; needs no token. Requirements JW-HEALTH."""
        return self._call(operations.health())

    def capabilities(self) -> Capabilities:
        """What the server can do, its limits and its defaults; needs no token. Requirements JW-HEALTH."""
        return self._call(operations.capabilities())

    def ping(self) -> None:
        """Ask the server for a sign of life; needs no token."""
        self._call(operations.ping())

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

    def _call(self, request: Request[T]) -> T:
        """Carry *request* out, and repeat it as its retry class and the policy allow."""
        state = RetryState(self._policy, request.retry)
        while not self._closed.is_set():
            try:
                return request.read(self._transport.send(request, self._timeout + request.wait))
            except JobwireError as error:
                runtime = self._runtime
                pause = state.after(error, now=runtime.monotonic(), u=runtime.random())
                if pause is None:
                    raise
                log_retry(request, error, state.failures, pause)
            if pause:
                runtime.pause(pause, self._closed)
        raise client_closed()


def _transport_for(endpoint: Endpoint, silence: float | None) -> Transport:
    if endpoint.is_tcp:
        return TcpTransport(endpoint, silence)
    return HttpTransport(endpoint, silence)
