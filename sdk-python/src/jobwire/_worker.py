"""
Worker: runs handlers in threads.

    fetch thread ──▶ runner threads ──▶ settle thread        heart thread: leases, cancels, "you are deaf"
     (a slot first)   (the handlers)     (batches)            timer thread: job timeouts

What is decided about a job, a slot or a failure is in `_worker_core`, alike for AsyncWorker; here are threads and waiting.
Each of the three connections belongs to one thread. The supervisor starts a loop again that dies of a bug.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jobwire._errors import HandlerOutcome, JobwireError
from jobwire._models import Job, WorkerReport
from jobwire._worker_clients import (
    CALL_TIMEOUT,
    check_client,
    heart_sibling,
    longest_wait,
    sibling,
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
from jobwire._worker_settler import Settler
from jobwire._worker_settling import Ledger
from jobwire._worker_threads import Supervisor, Timers

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from jobwire._client import Client

logger = logging.getLogger("jobwire")

H = TypeVar("H", bound=Handler)
OnError = Callable[[BaseException, "Job | None"], object]

DEFAULT_CONCURRENCY: Final = 8
DEFAULT_LEASE: Final = 30.0
DEFAULT_WAIT: Final = 20.0
DEFAULT_GRACE: Final = 30.0
FETCH: Final = "fetch"
FETCH_NOTICE: Final = 2.0  # seconds for the last pull to be answered
QUIET_NOTICE: Final = 1.0  # seconds for the server to hear that the worker ends
STOP_NOTICE: Final = 1.0  # seconds that handlers have, after the grace, to hear that they must stop
SETTLE_NOTICE: Final = 5.0  # seconds that the last outcomes have to reach the server
JOIN_NOTICE: Final = 5.0  # seconds for the worker's own threads to end
LOOK_UP_EVERY: Final = 0.5  # seconds
INTERRUPT_EVERY: Final = (
    0.1  # seconds; a pull may start in the moment in which waits are interrupted
)


class JobContext:
    """
    What a handler may know and say while it runs: `def f(job, ctx)`.

    Attributes:
        attempt: How often the job has failed before; 0 the first time.
        cancelled: Set when the handler should stop, whatever the reason. Wait on it in place of sleeping.
        client: The worker's client, for pushing more jobs.
    """

    def __init__(self, held: HeldJob, client: Client, reporter: Client) -> None:
        self.attempt = held.job.attempt
        self.cancelled = threading.Event()
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

        Returning early would be an ack: the server would believe that the work was done.
        """
        if self.cancelled.is_set():
            raise Stopped(self.reason or "")

    def progress(self, percent: int, message: str | None = None) -> None:
        """
        Tell how far the job is, 0–100, and add *message* to its log.

        Where the server cannot be reached this is logged and passed over; a lost lease is heard through `cancelled`.
        """
        self._percent = percent
        try:
            self._reporter.progress(self._held.job, percent, message)
        except JobwireError as error:
            if error.code in GONE:
                self._held.stop("lease_lost")
            elif not error.retryable:
                raise
            else:
                logger.warning("progress lost: %s", error, extra={"job_id": self._held.job.id})

    def log(self, message: str) -> None:
        """Add *message* to the job's log; its progress stays as it is."""
        self.progress(self._percent, message)


class Worker:
    """
    Takes jobs from queues and runs a handler for each, several at a time, in threads.

        worker = Worker(client, queues=["emails"], concurrency=8)

        @worker.handler("welcome")
        def welcome(job, ctx):
            send(job.data["to"])

        worker.run()

    A handler that returns has done its job; the value is kept as the job's result. One that raises has failed, and the job
    is tried again after its backoff. `Discard`, `RetryIn` and `Release` say otherwise. `ctx.cancelled` is set when the
    job is cancelled, its lease is lost, its timeout is over or the worker shuts down.

    Args:
        client: Where the jobs are. The worker makes connections of its own beside it, and never closes it.
        queues: Tried in order. weights: One a queue; the order is then drawn in proportion for each pull.
        concurrency: Jobs at a time. A job is only asked for when there is a slot for it.
        lease: Seconds that a job is held without a sign of life. heartbeat: Seconds between two; a third of the lease.
        wait: Seconds that the server holds a pull open while nothing is ready; over HTTP half a heartbeat at most.
        names: Only jobs with these names; without it a job without a handler fails, and is tried again.
        grace: Seconds that running jobs have to end after SIGTERM; the others are given back, no attempt burnt.
        worker_id: How the server shows this worker; made from host, process and chance.
        wrap: Called once for each handler; what it returns is run as handler(job, ctx) in its place.
        on_error: Called with each exception that a handler or a loop of the worker raised, and the job or None.

    Thread-safe. A worker runs once. Requirements JW-WORKER.
    """

    def __init__(
        self,
        client: Client,
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
            block_warning=1.0,
        )
        self._wrap = wrap
        self._on_error = on_error
        self._table = HandlerTable(is_async=False)
        self._handlers: dict[str, Registered] = {}
        self._runtime = client._runtime
        self._reporter = client.with_options(timeout=CALL_TIMEOUT, retries=1)
        self._held = HeldJobs()
        self._link = SharedLink(self._runtime, self._on_fatal)
        self._pacer = Pacer()
        self._timers = Timers(self._runtime)
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # ends the wait of run()
        self._ready: queue.SimpleQueue[HeldJob | None] = queue.SimpleQueue()
        self._draining = threading.Event()
        self._stopped = threading.Event()  # the loops end
        self._over = threading.Event()  # stop() has done everything
        self._signals = 0
        self._fatal: JobwireError | None = None
        silence = self._options.silence
        self._wait = longest_wait(client, self._options.wait, silence)
        self._sibling = functools.partial(sibling, client, silence)
        self._settler = Settler(
            self._sibling, Ledger(self._held, self._settled), self._runtime, self._link
        )
        self._heart = Heart(
            functools.partial(heart_sibling, client, silence, call_timeout(self._options)),
            self._held,
            self._options,
            self._runtime,
            self._link,
            self._report,
            self._fetch_anew,
        )
        self._threads = Supervisor(self._runtime, self._stopped, self._tell_error)
        self._runners = Supervisor(self._runtime, self._stopped, self._tell_error)

        self._changed = threading.Condition()  # guards what follows; notified at each change
        self._slots = Slots(self._options.concurrency)
        self._plan: PullPlan | None = None  # the pull that has no answer yet, whoever asks
        self._generation = 0  # of the fetch loop; an older one must not accept jobs
        self._fetch_client: Client | None = None
        self._fetching = 0  # fetch threads that have not ended
        self._active: set[HeldJob] = set()  # those with a runner, or on their way to one
        self._idle_runners = 0
        self._gave_up = False  # stop() gave back jobs whose handlers still ran
        self._last_pull_at: float | None = None
        self._state = "new"

    def __repr__(self) -> str:
        options = self._options
        return f"<Worker {options.worker_id} {','.join(options.queues)} {self._state}>"

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def worker_id(self) -> str:
        """How the server shows this worker."""
        return self._options.worker_id

    # --- handlers ---------------------------------------------------------------------------------------------------

    def handler(self, name: str, *, data: Any = None) -> Callable[[H], H]:
        """
        Register a function for jobs named *name*: `def f(job)` or `def f(job, ctx)`.

        Args:
            data: What `job.data` should be: a dataclass (built by keywords), a TypedDict, or a class with
                `model_validate`, such as a pydantic model. A job whose data does not fit is a dead letter at once.

        Raises:
            ValueError: There is a handler for *name* already.
            TypeError: The function cannot be called so, or is a coroutine function.
            RuntimeError: The worker has started.
        """

        def register(function: H) -> H:
            if self._state != "new":
                raise RuntimeError("handlers are registered before the worker starts")
            self._table.add(name, function, data)
            return function

        return register

    # --- starting and stopping --------------------------------------------------------------------------------------

    def run(self) -> None:
        """
        Work until SIGTERM, SIGINT or `stop`, then finish what runs.

        In the main thread the first signal drains: no new jobs, `grace` seconds for the running ones, the rest is given
        back. A second signal ends the process at once. Signal handlers are put back afterwards.

        Raises:
            JobwireError: The server refused the very first request for a reason that no retry mends.
        """
        with self._handling_signals():
            self.start()
            self._wait_until_told()
            self.stop()
        if self._fatal is not None:
            raise self._fatal

    def _wait_until_told(self) -> None:
        """
        Until a signal or `stop`. Looks up now and then: a signal that comes in the moment before the wait begins does
        not interrupt it, and its Python handler runs only when the main thread runs again.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=LOOK_UP_EVERY)
                return

    def start(self) -> None:
        """Work in the background, until `stop`. RuntimeError when the worker was started before."""
        with self._changed:
            if self._state != "new":
                raise RuntimeError(f"the worker is {self._state}; a worker runs once")
            self._state = "running"
        self._handlers = self._table.wrapped(self._wrap)
        self._threads.start("timers", self._timers.run)
        self._threads.start("settle", self._settler.run)
        self._threads.start("heart", self._heart.run)
        self._start_fetching()
        logger.info(
            "worker started",
            extra={"worker_id": self.worker_id, "queues": self._options.queues},
        )

    def stop(self, timeout: float | None = None) -> bool:
        """
        Stop fetching, let running jobs end for *timeout* seconds (`grace` when left out), give the rest back.

        Returns:
            Whether every job ended by itself. From a second thread, this waits for the first one's result.
            Idempotent.
        """
        with self._changed:
            is_first, was_new = self._state in ("new", "running"), self._state == "new"
            if is_first:
                self._state = "draining"
        if is_first:
            try:
                if not was_new:
                    self._stop(self._options.grace if timeout is None else timeout)
            finally:
                self._state = "stopped"
                self._over.set()
                self._wake.put(None)
        self._over.wait()
        return not self._gave_up

    # --- draining ---------------------------------------------------------------------------------------------------

    def _stop(self, grace: float) -> None:
        """Step by step: no new jobs, wait for the running ones, give back the rest, wait for the answers, end."""
        end = self._runtime.monotonic() + grace
        logger.info("worker draining", extra={"worker_id": self.worker_id, "held": len(self._held)})
        with self._changed:
            self._draining.set()
            self._changed.notify_all()
        self._heart.poke()  # tells the server `quiet`
        self._end_fetching()
        if not self._await(lambda: not self._active, end - self._runtime.monotonic()):
            self._give_back_running()
        if not self._await(lambda: len(self._held) == 0, SETTLE_NOTICE):
            for held in self._held.all():
                logger.warning("outcome not delivered", extra={"job_id": held.job.id})
        self._heart.wait_until_quiet(QUIET_NOTICE if self._fatal is None else 0.0)
        self._end_threads()
        logger.info("worker stopped", extra={"worker_id": self.worker_id})

    def _await(self, claim: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(claim, max(seconds, 0.0))

    def _end_fetching(self) -> None:
        """End the pull that waits; what it had claimed after all is given back by `_accept`."""
        end = self._runtime.monotonic() + FETCH_NOTICE
        while True:
            client = self._fetch_client
            if client is not None and self._runtime.monotonic() < end:
                client._interrupt_waits()
            elif client is not None:
                client.close()
            if self._await(lambda: self._fetching == 0, INTERRUPT_EVERY):
                return

    def _give_back_running(self) -> None:
        for held in self._held.all():
            held.stop("shutdown")
        if self._await(lambda: not self._active, STOP_NOTICE):
            return
        with self._changed:
            left = list(self._active)
            for held in left:
                held.is_abandoned = True
            self._gave_up = bool(left)
        for held in left:
            logger.warning("job given back, its handler runs on", extra={"job_id": held.job.id})
            self._settle(held, None if held.reason == "lease_lost" else GiveBack(job=held.job))

    def _end_threads(self) -> None:
        self._stopped.set()
        self._timers.stop()
        self._heart.stop()
        self._settler.stop()
        for _ in range(self._options.concurrency):
            self._ready.put(None)
        if not self._gave_up:
            self._runners.join(JOIN_NOTICE)
        if not self._threads.join(JOIN_NOTICE):
            logger.error("threads of the worker did not end", extra={"worker_id": self.worker_id})

    def _on_fatal(self, error: JobwireError) -> None:
        """The server refuses this worker for good: end run(), or in the background go on trying, and say so."""
        if self._fatal is None:
            self._fatal = error
            logger.error("the server refuses this worker: %s", error)
            self._tell_error(error)
            self._wake.put(None)

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        """Have SIGTERM and SIGINT drain; only the main thread may ask for that."""
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
            self._wake.put(None)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # --- fetching ---------------------------------------------------------------------------------------------------

    def _start_fetching(self) -> None:
        with self._changed:
            self._generation += 1
            generation = self._generation
            self._fetching += 1
        self._threads.start(f"fetch-{generation}", functools.partial(self._fetch, generation))

    def _fetch_anew(self) -> None:
        """Leave the connection that brings nothing: a new loop takes over its open pull, with the same request_id."""
        with self._changed:
            if self._draining.is_set():
                return
            old = self._fetch_client
        self._start_fetching()
        if old is not None:
            old.close()

    def _fetch(self, generation: int) -> None:
        with self._sibling() as client:
            client._notices(self._on_notice)
            with self._changed:
                if generation == self._generation:
                    self._fetch_client = client
            while (plan := self._next_plan(generation)) is not None:
                self._fetch_once(client, plan, generation)
        self._recover(generation)
        with self._changed:
            self._fetching -= 1
            self._changed.notify_all()

    def _next_plan(self, generation: int) -> PullPlan | None:
        """The pull to make, when there is a slot for its job; None when this loop should end."""
        with self._changed:
            self._changed.wait_for(lambda: self._must_end(generation) or self._can_ask())
            if self._must_end(generation):
                return None
            if self._plan is None:
                self._plan = PullPlan(self._slots.ask(), self._runtime.new_id())
            return self._plan

    def _must_end(self, generation: int) -> bool:
        return generation != self._generation or self._draining.is_set()

    def _can_ask(self) -> bool:
        return self._plan is not None or self._slots.free > 0

    def _fetch_once(self, client: Client, plan: PullPlan, generation: int) -> None:
        wait = self._link.hold(FETCH, self._wait)
        started = self._last_pull_at = self._runtime.monotonic()
        try:
            jobs = self._pull(client, plan, wait)
        except JobwireError as error:
            if not self._must_end(generation):
                self._settler.doubt()
                self._runtime.pause(self._link.failed(FETCH, error), self._draining)
            return
        self._link.answered(FETCH)
        self._accept(plan, jobs, generation)
        pause = self._pacer.after(
            found=len(jobs),
            elapsed=self._runtime.monotonic() - started,
            wait=wait,
            u=self._runtime.random(),
        )
        if pause:
            self._runtime.pause(pause, self._draining)

    def _pull(self, client: Client, plan: PullPlan, wait: float) -> list[Job]:
        options = self._options
        return client.pull(
            options.queues,
            count=plan.count,
            wait=wait,
            lease=options.lease,
            names=options.names,
            worker_id=options.worker_id,
            request_id=plan.request_id,
            weights=options.weights,
        )

    def _accept(self, plan: PullPlan, jobs: list[Job], generation: int) -> None:
        """Fill the slots of *plan*; while draining, give the jobs back at once."""
        now = self._runtime.monotonic()
        with self._changed:
            if generation != self._generation or self._plan is not plan:
                return  # a newer loop asks with the same request_id, and gets the same jobs
            taken = [HeldJob(job, now + self._options.lease) for job in jobs[: plan.count]]
            self._plan = None
            self._slots.answered(plan.count, len(taken))
            for held in taken:
                self._replace(self._held.add(held))
            is_late = self._draining.is_set()
            if not is_late:
                self._active.update(taken)
            self._changed.notify_all()
        for held in taken:
            if is_late:
                self._settle(held, GiveBack(job=held.job))
            else:
                self._dispatch(held)

    def _replace(self, before: HeldJob | None) -> None:
        """Give up a job that has come back, if any: its handler is told, and its outcome dropped. The lock is held."""
        if before is None:
            return
        before.stop("lease_lost")
        if before in self._active:
            before.is_replaced = True
        else:  # its settlement is on its way, and will be dropped
            self._slots.vacate()

    def _recover(self, generation: int) -> None:
        """
        Ask once more for the jobs of a pull that got no answer before the drain, so that they do not wait for their lease.
        """
        plan = self._plan
        if plan is None or generation != self._generation:
            return
        try:
            with self._sibling(FETCH_NOTICE) as client:
                self._accept(plan, self._pull(client, plan, 0.0), generation)
        except JobwireError as error:
            logger.info("the last pull stays unanswered: %s", error)

    def _on_notice(self, name: str, fields: Mapping[str, Any]) -> None:
        """What the server says by itself over TCP; runs in the thread that reads answers."""
        held = self._held.get(str(fields.get("id")), fields.get("lease"))
        if held is None:
            return
        if name == "job.cancel":
            held.stop("cancel")
        elif name == "lease.lost" and not held.is_sent:
            held.stop("lease_lost")

    # --- running ----------------------------------------------------------------------------------------------------

    def _dispatch(self, held: HeldJob) -> None:
        """Hand the job to a runner: one that is idle, or a new one; there are never more than slots."""
        with self._changed:
            is_new = self._idle_runners == 0
            self._idle_runners -= not is_new
        self._ready.put(held)
        if is_new:
            self._runners.start("runner", self._run_jobs)

    def _run_jobs(self) -> None:
        while (held := self._ready.get()) is not None:
            self._run_job(held)
            with self._changed:
                self._idle_runners += 1

    def _run_job(self, held: HeldJob) -> None:
        context = JobContext(held, self.client, self._reporter)
        held.on_stop(context.cancelled.set)
        timer = None
        if held.job.timeout is not None:
            at = self._runtime.monotonic() + held.job.timeout
            timer = self._timers.add(at, lambda: held.stop("timeout"))
        settlement = self._handle(held, context)
        if timer is not None:
            self._timers.cancel(timer)
        with self._changed:
            self._active.discard(held)
            is_abandoned, is_replaced = held.is_abandoned, held.is_replaced
            self._changed.notify_all()
        if is_replaced:
            self._settled(held)
        elif not is_abandoned:
            self._settle(held, settlement)

    def _handle(self, held: HeldJob, context: JobContext) -> Settlement | None:
        job = held.job
        registered = self._handlers.get(job.name)
        if registered is None:
            logger.warning("no handler", extra={"job_id": job.id, "job_name": job.name})
            return unknown_name(job, self._handlers)
        ending = self._call(registered, job, context)
        if isinstance(ending, Raised) and not isinstance(ending.error, HandlerOutcome):
            logger.warning("handler failed", exc_info=ending.error, extra={"job_id": job.id})
            self._tell_error(ending.error, job)
        return settlement_of(job, ending, held.reason)

    def _call(self, registered: Registered, job: Job, context: JobContext) -> Ending:
        try:
            return Returned(registered.call(fit_job(job, registered.fit), context))
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its job's failure, and must free its slot
            return Raised(error)

    def _settle(self, held: HeldJob, settlement: Settlement | None) -> None:
        if settlement is not None:
            self._settler.put(settlement)
        elif self._held.remove(held.job) is not None:
            self._settled(held)

    def _settled(self, held: HeldJob) -> None:
        """The job is done with: its slot is free."""
        with self._changed:
            self._slots.vacate()
            self._changed.notify_all()

    # --- telling ----------------------------------------------------------------------------------------------------

    def _report(self) -> WorkerReport:
        options = self._options
        now = self._runtime.monotonic()
        with self._changed:
            is_quiet = self._draining.is_set()
            free = 0 if is_quiet else options.concurrency - self._slots.held
            asked_at = self._last_pull_at
        return WorkerReport(
            id=options.worker_id,
            queues=options.queues,
            concurrency=options.concurrency,
            free=free,
            state="quiet" if is_quiet else "running",
            last_pull=None if asked_at is None else now - asked_at,
        )

    def _tell_error(self, error: BaseException, job: Job | None = None) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, job)
        except Exception:
            logger.exception("on_error failed")


def default_worker_id() -> str:
    """Host, process and chance: unique, and a person sees where the worker runs."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
