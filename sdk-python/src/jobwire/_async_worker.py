"""
AsyncWorker: runs handlers as tasks of an event loop.

    fetch task ──▶ a task a handler ──▶ settle task       heart thread: leases, cancels, "you are deaf"
    (a slot first)                       (batches)         watch thread: is the loop blocked?

What is decided about a job, a slot or a failure is in `_worker_core`, alike for Worker. The heart has a thread and a connection
of its own, so that a handler that blocks the loop cannot cost other jobs their leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import signal
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobwire._async_worker_settler import AsyncSettler
from jobwire._async_worker_watch import Watchdog
from jobwire._backoff import reconnect_delay
from jobwire._errors import HandlerOutcome, JobwireError
from jobwire._models import Job, WorkerReport
from jobwire._worker import (
    DEFAULT_CONCURRENCY,
    DEFAULT_GRACE,
    DEFAULT_LEASE,
    DEFAULT_WAIT,
    FETCH,
    FETCH_NOTICE,
    INTERRUPT_EVERY,
    JOIN_NOTICE,
    QUIET_NOTICE,
    SETTLE_NOTICE,
    STOP_NOTICE,
    OnError,
    default_worker_id,
)
from jobwire._worker_clients import (
    CALL_TIMEOUT,
    async_sibling,
    check_client,
    heart_sibling,
    longest_wait,
    sync_runtime,
)
from jobwire._worker_core import (
    GONE,
    Ending,
    GiveBack,
    Pacer,
    PullPlan,
    Raised,
    Returned,
    Settlement,
    Slots,
    Stopped,
    StopReason,
    check_options,
    settlement_of,
    unknown_name,
)
from jobwire._worker_handlers import Handler, HandlerTable, Registered, Wrapper, fit_job
from jobwire._worker_heart import Heart, call_timeout
from jobwire._worker_held import HeldJob, HeldJobs
from jobwire._worker_link import SharedLink
from jobwire._worker_settling import Ledger
from jobwire._worker_threads import CRASH_CAP, Supervisor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
    from types import FrameType, TracebackType

    from jobwire._async_client import AsyncClient

logger = logging.getLogger("jobwire")

H = TypeVar("H", bound=Handler)

DEFAULT_BLOCK_WARNING: Final = 1.0


class AsyncJobContext:
    """
    What a handler may know and say while it runs: `async def f(job, ctx)`.

    Attributes:
        attempt: How often the job has failed before; 0 the first time.
        cancelled: Set when the handler should stop; its task is cancelled at the same moment.
        client: The worker's client, for pushing more jobs.
    """

    def __init__(self, held: HeldJob, client: AsyncClient, reporter: AsyncClient) -> None:
        self.attempt = held.job.attempt
        self.cancelled = asyncio.Event()
        self.client = client
        self._reporter = reporter  # the same connection, with more haste
        self._held = held
        self._percent = held.job.progress or 0

    @property
    def reason(self) -> StopReason | None:
        """Why the handler should stop: cancel, lease_lost, timeout or shutdown; None while it need not."""
        return self._held.reason

    @property
    def lease_expires_at(self) -> datetime:
        """When the lease ends if no further heartbeat is answered, by this machine's clock."""
        runtime = self.client._runtime
        left = self._held.expires_at - runtime.monotonic()
        return datetime.fromtimestamp(runtime.now() + left, timezone.utc)

    def check(self) -> None:
        """
        Raise Stopped when the handler should stop, which settles the job as the reason asks.

        For code that shields itself from the cancellation of its task.
        """
        if self.cancelled.is_set():
            raise Stopped(self.reason or "")

    async def progress(self, percent: int, message: str | None = None) -> None:
        """
        Tell how far the job is, 0–100, and add *message* to its log.

        Where the server cannot be reached this is logged and passed over; a lost lease cancels the handler's task.
        """
        self._percent = percent
        try:
            await self._reporter.progress(self._held.job, percent, message)
        except JobwireError as error:
            if error.code in GONE:
                self._held.stop("lease_lost")
            elif not error.retryable:
                raise
            else:
                logger.warning("progress lost: %s", error, extra={"job_id": self._held.job.id})

    async def log(self, message: str) -> None:
        """Add *message* to the job's log; its progress stays as it is."""
        await self.progress(self._percent, message)


class AsyncWorker:
    """
    Takes jobs from queues and runs a handler for each, several at a time, as tasks of the event loop.

        worker = AsyncWorker(client, queues=["emails"], concurrency=100)

        @worker.handler("welcome")
        async def welcome(job, ctx):
            await send(job.data["to"])

        await worker.run()

    As `Worker`, with these differences: handlers are coroutine functions; when a handler should stop, its task is
    cancelled; and an event loop that a handler blocks is reported in the log, with the place.

    Args:
        client: Where the jobs are. The worker makes connections of its own beside it, and never closes it.
        queues: Tried in order. weights: One a queue; the order is then drawn in proportion for each pull.
        concurrency: Jobs at a time. A job is only asked for when there is a slot for it.
        lease: Seconds that a job is held without a sign of life. heartbeat: Seconds between two; a third of the lease.
        wait: Seconds that the server holds a pull open while nothing is ready; over HTTP half a heartbeat at most.
        names: Only jobs with these names; without it a job without a handler fails, and is tried again.
        grace: Seconds that running jobs have to end after SIGTERM; the others are given back, no attempt burnt.
        worker_id: How the server shows this worker; made from host, process and chance.
        wrap: Called once for each handler; what it returns is awaited as handler(job, ctx) in its place.
        on_error: Called with each exception that a handler or a loop of the worker raised, and the job or None.
        block_warning: Seconds without a turn after which the event loop counts as blocked.

    Belongs to the event loop in which it is started. A worker runs once. Requirements JW-WORKER.
    """

    def __init__(
        self,
        client: AsyncClient,
        queues: str | Sequence[str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        lease: float = DEFAULT_LEASE,
        wait: float = DEFAULT_WAIT,
        weights: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        heartbeat: float | None = None,
        grace: float = DEFAULT_GRACE,
        worker_id: str | None = None,
        wrap: Wrapper | None = None,
        on_error: OnError | None = None,
        block_warning: float = DEFAULT_BLOCK_WARNING,
    ) -> None:
        check_client(client)
        self.client = client
        self._options = check_options(
            queues=queues,
            concurrency=concurrency,
            lease=lease,
            wait=wait,
            weights=weights,
            names=names,
            heartbeat=heartbeat,
            grace=grace,
            worker_id=worker_id or default_worker_id(),
            block_warning=block_warning,
        )
        self._wrap = wrap
        self._on_error = on_error
        self._table = HandlerTable(is_async=True)
        self._handlers: dict[str, Registered] = {}
        self._runtime = client._runtime
        self._reporter = client.with_options(timeout=CALL_TIMEOUT, retries=1)
        self._held = HeldJobs()
        self._link = SharedLink(sync_runtime(client), self._on_fatal)
        self._pacer = Pacer()
        self._slots = Slots(self._options.concurrency)
        self._plan: PullPlan | None = None  # the pull that has no answer yet
        self._active: dict[HeldJob, asyncio.Task[Ending]] = {}
        self._changed = asyncio.Event()  # set at each change; who waits clears it and looks again
        self._wake = asyncio.Event()  # ends the wait of run()
        self._over = asyncio.Event()  # stop() has done everything
        self._stopped = threading.Event()
        self._draining = False
        self._gave_up = False  # stop() gave back jobs whose handlers still ran
        self._state = "new"
        self._signals = 0
        self._fatal: JobwireError | None = None
        self._last_pull_at: float | None = None
        self._fetch_client: AsyncClient | None = None
        self._fetch_task: asyncio.Task[None] | None = None
        self._loops: set[asyncio.Task[None]] = (
            set()
        )  # fetch and settle, and a fetch that was replaced until it ends
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: Watchdog | None = None
        silence = self._options.silence
        self._wait = longest_wait(client, self._options.wait, silence)
        self._sibling = functools.partial(async_sibling, client, silence)
        self._settler = AsyncSettler(
            self._sibling,
            Ledger(self._held, self._settled),
            self._runtime,
            self._link,
        )
        self._heart = Heart(
            functools.partial(heart_sibling, client, silence, call_timeout(self._options)),
            self._held,
            self._options,
            sync_runtime(client),
            self._link,
            self._report,
            self._found_deaf,
        )
        self._threads = Supervisor(sync_runtime(client), self._stopped, self._tell_error)

    def __repr__(self) -> str:
        options = self._options
        return f"<AsyncWorker {options.worker_id} {','.join(options.queues)} {self._state}>"

    async def __aenter__(self) -> AsyncWorker:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def worker_id(self) -> str:
        """How the server shows this worker."""
        return self._options.worker_id

    # --- handlers ---------------------------------------------------------------------------------------------------

    def handler(self, name: str, *, data: Any = None) -> Callable[[H], H]:
        """
        Register a coroutine function for jobs named *name*: `async def f(job)` or `async def f(job, ctx)`.

        Args:
            data: What `job.data` should be: a dataclass (built by keywords), a TypedDict, or a class with
                `model_validate`, such as a pydantic model. A job whose data does not fit is a dead letter at once.

        Raises:
            ValueError: There is a handler for *name* already.
            TypeError: The function cannot be called so, or is no coroutine function.
            RuntimeError: The worker has started.
        """

        def register(function: H) -> H:
            if self._state != "new":
                raise RuntimeError("handlers are registered before the worker starts")
            self._table.add(name, function, data)
            return function

        return register

    # --- starting and stopping --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """
        Work until SIGTERM, SIGINT, `stop` or the cancellation of this call, then finish what runs.

        In the main thread the first signal drains: no new jobs, `grace` seconds for the running ones, the rest is given
        back. A second signal ends the process at once. Signal handlers are put back afterwards.

        Raises:
            JobwireError: The server refused the very first request for a reason that no retry mends.
        """
        with self._handling_signals():
            await self.start()
            try:
                await self._wake.wait()
            finally:
                await self.stop()
        if self._fatal is not None:
            raise self._fatal

    async def start(self) -> None:
        """Work in the background, until `stop`. RuntimeError when the worker was started before."""
        if self._state != "new":
            raise RuntimeError(f"the worker is {self._state}; a worker runs once")
        self._state = "running"
        self._loop = asyncio.get_running_loop()
        self._handlers = self._table.wrapped(self._wrap)
        self._watchdog = Watchdog(
            self._loop, self._options.block_warning, sync_runtime(self.client), self._heart.stop
        )
        self._threads.start("heart", self._heart.run)
        self._threads.start("watch", self._watchdog.run)
        self._start_loop("settle", self._settler.run)
        self._fetch_task = self._start_loop("fetch", self._fetch)
        logger.info(
            "worker started",
            extra={"worker_id": self.worker_id, "queues": self._options.queues},
        )

    async def stop(self, timeout: float | None = None) -> bool:
        """
        Stop fetching, let running jobs end for *timeout* seconds (`grace` when left out), give the rest back.

        Returns:
            Whether every job ended by itself. From a second task, this waits for the first one's result. Idempotent.
        """
        is_first, was_new = self._state in ("new", "running"), self._state == "new"
        if is_first:
            self._state = "draining"
            try:
                if not was_new:
                    await self._stop(self._options.grace if timeout is None else timeout)
            finally:
                self._state = "stopped"
                self._over.set()
                self._wake.set()
        await self._over.wait()
        return not self._gave_up

    # --- draining ---------------------------------------------------------------------------------------------------

    async def _stop(self, grace: float) -> None:
        """Step by step: no new jobs, wait for the running ones, give back the rest, wait for the answers, end."""
        end = self._runtime.monotonic() + grace
        logger.info("worker draining", extra={"worker_id": self.worker_id, "held": len(self._held)})
        try:
            self._draining = True
            self._changed.set()
            self._heart.poke()  # tells the server `quiet`
            await self._end_fetching()
            if not await self._await(lambda: not self._active, end - self._runtime.monotonic()):
                await self._give_back_running()
            if not await self._await(lambda: len(self._held) == 0, SETTLE_NOTICE):
                for held in self._held.all():
                    logger.warning("outcome not delivered", extra={"job_id": held.job.id})
            patience = QUIET_NOTICE if self._fatal is None else 0.0
            await asyncio.to_thread(self._heart.wait_until_quiet, patience)
        finally:
            await self._end_loops()
        logger.info("worker stopped", extra={"worker_id": self.worker_id})

    async def _await(self, claim: Callable[[], bool], seconds: float) -> bool:
        """Wait until *claim* holds; it is asked again at each change."""
        try:
            await asyncio.wait_for(self._until(claim), max(seconds, 0.0))
        except asyncio.TimeoutError:
            return claim()
        return True

    async def _until(self, claim: Callable[[], bool]) -> None:
        while not claim():
            self._changed.clear()
            await self._changed.wait()

    async def _end_fetching(self) -> None:
        """End the pull that waits; what it had claimed after all is given back by `_accept`."""
        task = self._fetch_task
        if task is None:
            return
        end = self._runtime.monotonic() + FETCH_NOTICE
        while not task.done() and self._runtime.monotonic() < end:
            if self._fetch_client is not None:
                self._fetch_client._interrupt_waits()
            await asyncio.wait({task}, timeout=INTERRUPT_EVERY)
        task.cancel()
        await asyncio.wait({task})
        await self._recover()

    async def _give_back_running(self) -> None:
        for held in self._held.all():
            held.stop("shutdown")
        if await self._await(lambda: not self._active, STOP_NOTICE):
            return
        left = list(self._active)
        self._gave_up = bool(left)
        for held in left:
            held.is_abandoned = True
            logger.warning("job given back, its handler runs on", extra={"job_id": held.job.id})
            self._settle(held, None if held.reason == "lease_lost" else GiveBack(job=held.job))

    async def _end_loops(self) -> None:
        self._stopped.set()
        tasks = set(self._loops)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=JOIN_NOTICE)
        if self._watchdog is not None:
            self._watchdog.stop()
        self._heart.stop()
        if not await asyncio.to_thread(self._threads.join, JOIN_NOTICE):
            logger.error("threads of the worker did not end", extra={"worker_id": self.worker_id})

    def _on_fatal(self, error: JobwireError) -> None:
        """The server refuses this worker for good: end run(), or in the background go on trying, and say so."""
        if self._fatal is None:
            self._fatal = error
            logger.error("the server refuses this worker: %s", error)
            self._tell_error(error)
            self._in_loop(self._wake.set)

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        """
        Have SIGTERM and SIGINT drain; only the main thread may ask for that.

        Not with loop.add_signal_handler: behind a blocked event loop the second signal would not be heard.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only what is safe in a signal handler: no lock of ours, no logging.
        self._signals += 1
        if self._signals == 1:
            self._in_loop(self._wake.set)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _in_loop(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the event loop, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    # --- loops that do not stay dead --------------------------------------------------------------------------------

    def _start_loop(
        self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._keep(name, loop), name=f"jobwire-{name}")
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)
        return task

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run *loop* until it returns, again when it dies of a bug."""
        for crashes in itertools.count():
            try:
                await loop()
                return
            except Exception as exc:
                logger.exception("a loop of the worker died and is started again: %s", name)
                self._tell_error(exc)
            await self._runtime.sleep(
                reconnect_delay(crashes, self._runtime.random(), cap=CRASH_CAP)
            )

    # --- fetching ---------------------------------------------------------------------------------------------------

    def _found_deaf(self) -> None:
        """Called by the heart, in its thread."""
        self._in_loop(self._fetch_anew)

    def _fetch_anew(self) -> None:
        """Leave the connection that brings nothing: a new loop takes over its open pull, with the same request_id."""
        if self._draining or self._fetch_task is None:
            return
        self._fetch_task.cancel()
        self._fetch_task = self._start_loop("fetch", self._fetch)

    async def _fetch(self) -> None:
        async with self._sibling() as client:
            self._fetch_client = client
            client._notices(self._on_notice)
            while (plan := await self._next_plan()) is not None:
                await self._fetch_once(client, plan)

    async def _next_plan(self) -> PullPlan | None:
        """The pull to make, when there is a slot for its job; None when the worker drains."""
        await self._until(lambda: self._draining or self._plan is not None or self._slots.free > 0)
        if self._draining:
            return None
        if self._plan is None:
            self._plan = PullPlan(self._slots.ask(), self._runtime.new_id())
        return self._plan

    async def _fetch_once(self, client: AsyncClient, plan: PullPlan) -> None:
        wait = self._link.hold(FETCH, self._wait)
        started = self._last_pull_at = self._runtime.monotonic()
        try:
            jobs = await self._pull(client, plan, wait)
        except JobwireError as error:
            if not self._draining:
                self._settler.doubt()
                await self._pause(self._link.failed(FETCH, error))
            return
        self._link.answered(FETCH)
        self._accept(plan, jobs)
        pause = self._pacer.after(
            found=len(jobs),
            elapsed=self._runtime.monotonic() - started,
            wait=wait,
            u=self._runtime.random(),
        )
        await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not into the drain."""
        if seconds <= 0 or self._draining:
            return
        sleep = asyncio.ensure_future(self._runtime.sleep(seconds))
        drain = asyncio.ensure_future(self._until(lambda: self._draining))
        try:
            await asyncio.wait({sleep, drain}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            drain.cancel()

    async def _pull(self, client: AsyncClient, plan: PullPlan, wait: float) -> list[Job]:
        options = self._options
        return await client.pull(
            options.queues,
            count=plan.count,
            wait=wait,
            lease=options.lease,
            names=options.names,
            worker_id=options.worker_id,
            request_id=plan.request_id,
            weights=options.weights,
        )

    def _accept(self, plan: PullPlan, jobs: list[Job]) -> None:
        """Fill the slots of *plan*; while draining, give the jobs back at once."""
        if self._plan is not plan:
            return  # a newer loop has had the same jobs by the same request_id
        now = self._runtime.monotonic()
        taken = [HeldJob(job, now + self._options.lease) for job in jobs[: plan.count]]
        self._plan = None
        self._slots.answered(plan.count, len(taken))
        for held in taken:
            self._replace(self._held.add(held))
            if self._draining:
                self._settle(held, GiveBack(job=held.job))
            else:
                self._dispatch(held)
        self._changed.set()

    def _replace(self, before: HeldJob | None) -> None:
        """Give up a job that has come back, if any: its handler is told, and its outcome dropped."""
        if before is None:
            return
        before.stop("lease_lost")
        if before in self._active:
            before.is_replaced = True
        else:  # its settlement is on its way, and will be dropped
            self._slots.vacate()

    async def _recover(self) -> None:
        """
        Ask once more for the jobs of a pull that got no answer before the drain, so that they do not wait for their lease.
        """
        plan = self._plan
        if plan is None:
            return
        try:
            async with self._sibling(FETCH_NOTICE) as client:
                self._accept(plan, await self._pull(client, plan, 0.0))
        except JobwireError as error:
            logger.info("the last pull stays unanswered: %s", error)

    def _on_notice(self, name: str, fields: Mapping[str, Any]) -> None:
        """What the server says by itself over TCP; runs where answers are read."""
        held = self._held.get(str(fields.get("id")), fields.get("lease"))
        if held is None:
            return
        if name == "job.cancel":
            held.stop("cancel")
        elif name == "lease.lost" and not held.is_sent:
            held.stop("lease_lost")

    # --- running ----------------------------------------------------------------------------------------------------

    def _dispatch(self, held: HeldJob) -> None:
        """Start the handler of a job as a task; what becomes of the task is read in `_ended`."""
        job = held.job
        registered = self._handlers.get(job.name)
        if registered is None:
            logger.warning("no handler", extra={"job_id": job.id, "job_name": job.name})
            self._settle(held, unknown_name(job, self._handlers))
            return
        context = AsyncJobContext(held, self.client, self._reporter)
        task = asyncio.create_task(
            _call(registered, job, context), name=f"jobwire-{job.name}-{job.id}"
        )
        self._active[held] = task
        timer = self._start_timer(held)
        # By a callback: a task that is cancelled before its first step runs no line of its own.
        task.add_done_callback(functools.partial(self._ended, held, timer))
        held.on_stop(functools.partial(self._in_loop, lambda: _stop_handler(task, context)))

    def _start_timer(self, held: HeldJob) -> asyncio.TimerHandle | None:
        if held.job.timeout is None:
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(held.job.timeout, lambda: held.stop("timeout"))

    def _ended(
        self, held: HeldJob, timer: asyncio.TimerHandle | None, task: asyncio.Task[Ending]
    ) -> None:
        if timer is not None:
            timer.cancel()
        self._active.pop(held, None)
        self._changed.set()
        ending = _ending_of(task)
        if isinstance(ending, Raised):
            self._tell_failure(held.job, ending)
        if held.is_replaced:
            self._settled(held)
        elif not held.is_abandoned:
            self._settle(held, settlement_of(held.job, ending, held.reason))

    def _tell_failure(self, job: Job, ending: Raised) -> None:
        if ending.was_cancelled or isinstance(ending.error, HandlerOutcome):
            return
        logger.warning("handler failed", exc_info=ending.error, extra={"job_id": job.id})
        self._tell_error(ending.error, job)

    def _settle(self, held: HeldJob, settlement: Settlement | None) -> None:
        if settlement is not None:
            self._settler.put(settlement)
        elif self._held.remove(held.job) is not None:
            self._settled(held)

    def _settled(self, held: HeldJob) -> None:
        """The job is done with: its slot is free."""
        self._slots.vacate()
        self._changed.set()

    # --- telling ----------------------------------------------------------------------------------------------------

    def _report(self) -> WorkerReport:
        """How the worker is; called by the heart, in its thread, so it only reads."""
        options = self._options
        asked_at = self._last_pull_at
        return WorkerReport(
            id=options.worker_id,
            queues=options.queues,
            concurrency=options.concurrency,
            free=0 if self._draining else options.concurrency - self._slots.held,
            state="quiet" if self._draining else "running",
            last_pull=None if asked_at is None else self._runtime.monotonic() - asked_at,
        )

    def _tell_error(self, error: BaseException, job: Job | None = None) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, job)
        except Exception:
            logger.exception("on_error failed")


async def _call(registered: Registered, job: Job, context: AsyncJobContext) -> Ending:
    try:
        return Returned(await registered.call(fit_job(job, registered.fit), context))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is its job's failure
        return Raised(error)


def _ending_of(task: asyncio.Task[Ending]) -> Ending:
    if task.cancelled():
        return Raised(asyncio.CancelledError(), was_cancelled=True)
    error = task.exception()
    return task.result() if error is None else Raised(error)


def _stop_handler(task: asyncio.Task[Ending], context: AsyncJobContext) -> None:
    context.cancelled.set()
    task.cancel()
