"""
One job at a time, in the calling thread: `work_one` for a job of a server, `inline_client` for code that pushes.

Both decide what becomes of a job as the workers do, with the same functions, and neither has heartbeats or timeouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from jobwire._client import Client
from jobwire._errors import error_for
from jobwire._models import UNSET, Job
from jobwire._transports.mock import MockTransport
from jobwire._worker import JobContext, Worker
from jobwire._worker_core import (
    Ack,
    Ending,
    Fail,
    GiveBack,
    Raised,
    Returned,
    Settlement,
    settlement_of,
    unknown_name,
)
from jobwire._worker_handlers import Handler, HandlerTable, Registered, fit_job
from jobwire._worker_held import HeldJob
from jobwire.testing._fake_job import EPOCH, Refused, job_view
from jobwire.testing._fake_operations import Caller, FakeOperations
from jobwire.testing._fake_queue import FakeQueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobwire._operations import Request
    from jobwire._strict_json import JSONValue

Handlers: TypeAlias = "Mapping[str, Handler] | Worker"
Kind: TypeAlias = Literal["ack", "fail", "discard", "release"]

LEASE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What a handler made of a job, and what the server was told.

    Attributes:
        job: The job as it was pulled.
        kind: `ack`, `fail`, `discard` (a fail that is not tried again) or `release`.
        result: What the handler returned, after an ack.
        error: The text of a fail.
        exception: What the handler raised, if anything.
    """

    job: Job
    kind: Kind
    result: JSONValue = None
    error: str | None = None
    exception: BaseException | None = None


def work_one(
    client: Client,
    queues: str | Sequence[str],
    handlers: Handlers,
    *,
    wait: float = 0.0,
) -> Outcome | None:
    """
    Pull at most one job, run its handler in this thread, and tell the server how it ended.

    Args:
        client: Any client, of a FakeServer or of a real server.
        handlers: Functions by job name, or a Worker whose handlers (and wrapper) are used; it need not be started.
        wait: Seconds to wait for a job.

    Returns:
        What happened; None when there was no job. A handler's exception is in the outcome, it is not raised.
    """
    jobs = client.pull(queues, wait=wait, lease=LEASE)
    return _work(client, jobs[0], _table(handlers)) if jobs else None


def inline_client(
    handlers: Handlers, *, now: datetime | None = None, raise_errors: bool = False
) -> InlineClient:
    """
    A client without a server: a push runs the job's handler before it returns.

        client = inline_client({"welcome": welcome})
        client.push("emails", "welcome", {"to": "ada"})
        assert client.outcomes[-1].kind == "ack"

    Everything else of a client works too, on a queue in memory: `get_job` shows the result, `find` and `stats` the rest.
    Delayed jobs and retries run in `advance`. Jobs without a handler stay waiting.

    Args:
        handlers: Functions by job name, or a Worker whose handlers (and wrapper) are used; it need not be started.
        now: Where the clock starts; the real time by default.
        raise_errors: Raise what a handler raises, after the job was settled, from the push that ran it.
    """
    return InlineClient(_table(handlers), now=now, raise_errors=raise_errors)


class InlineClient(Client):
    """What `inline_client` makes. `outcomes` holds what every handler did, in order. For one thread."""

    def __init__(
        self, table: Mapping[str, Registered], *, now: datetime | None, raise_errors: bool
    ) -> None:
        super().__init__(transport=MockTransport(self._answer), retries=0)
        self.outcomes: list[Outcome] = []
        self._table = table
        self._raise_errors = raise_errors
        start = self._runtime.now() if now is None else (now - EPOCH) / timedelta(seconds=1)
        self._queue = FakeQueue(round(start * 1000))
        self._server = FakeOperations(self._queue)

    def advance(self, seconds: float) -> None:
        """Move the clock on, and run what has become ready: delayed jobs, and retries after their backoff."""
        self._queue.advance(round(seconds * 1000))
        self._run_ready()

    def _answer(self, request: Request[Any]) -> dict[str, Any]:
        try:
            answer = self._server.run(request.op, dict(request.fields), Caller("inline"))
        except Refused as refusal:
            raise error_for(refusal.code, str(refusal), details=refusal.details) from None
        if request.op in ("push", "push_batch"):
            self._run_ready()
        return answer

    def _run_ready(self) -> None:
        """Run every ready job that has a handler; a handler that pushes runs those jobs first."""
        names = list(self._table)
        while names and (jobs := self._queue.pull(self._queues(), count=1, names=names)):
            job = Job.parse(job_view(jobs[0], lease=True))
            outcome = _work(self, job, self._table)
            self.outcomes.append(outcome)
            if self._raise_errors and outcome.exception is not None:
                raise outcome.exception

    def _queues(self) -> list[str]:
        return sorted({job.queue for job in self._queue.jobs.values()})


def _table(handlers: Handlers) -> Mapping[str, Registered]:
    if isinstance(handlers, Worker):
        return handlers._table.wrapped(handlers._wrap)
    table = HandlerTable(is_async=False)
    for name, handler in handlers.items():
        table.add(name, handler)
    return table.wrapped(None)


def _work(client: Client, job: Job, table: Mapping[str, Registered]) -> Outcome:
    """Run the handler of *job*, and settle it through *client*."""
    registered = table.get(job.name)
    if registered is None:
        return _told(client, unknown_name(job, table), None)
    held = HeldJob(job, client._runtime.monotonic() + LEASE)
    context = JobContext(held, client, client)
    held.on_stop(context.cancelled.set)
    ending = _call(registered, job, context)
    error = ending.error if isinstance(ending, Raised) else None
    settlement = settlement_of(job, ending, held.reason)
    if settlement is None:  # the lease was lost, which progress() heard
        return Outcome(job=job, kind="release", exception=error)
    return _told(client, settlement, error)


def _call(registered: Registered, job: Job, context: JobContext) -> Ending:
    try:
        return Returned(registered.call(fit_job(job, registered.fit), context))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is its job's failure
        return Raised(error)


def _told(client: Client, settlement: Settlement, error: BaseException | None) -> Outcome:
    job = settlement.job
    match settlement:
        case Ack(result=result):
            client.ack(job, result)
            value = None if result is UNSET else result
            return Outcome(job=job, kind="ack", result=value, exception=error)
        case Fail(error=text, retry_in=retry_in, discard=discard):
            client.fail(job, text, retry_in=retry_in, discard=discard)
            kind: Kind = "discard" if discard else "fail"
            return Outcome(job=job, kind=kind, error=text, exception=error)
        case GiveBack(delay=delay):
            client.release(job, delay=delay)
    return Outcome(job=job, kind="release", exception=error)
