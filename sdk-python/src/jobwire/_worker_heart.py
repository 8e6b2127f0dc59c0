"""
The heart of a worker: one thread with one connection that keeps leases alive and hears what the server has to say.

Both workers have it. For AsyncWorker it matters most: an event loop that a handler blocks stops everything but this.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from jobwire._errors import JobwireError
from jobwire._limits import BATCH_ITEMS, WAIT_MS
from jobwire._models import HeartbeatBatchResult, ItemResult, WorkerReport
from jobwire._worker_core import (
    GONE,
    Hearing,
    News,
    WorkerOptions,
    heartbeat_pause,
    news_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobwire._client import Client
    from jobwire._runtime import Runtime
    from jobwire._worker_held import HeldJob, HeldJobs
    from jobwire._worker_link import SharedLink

logger = logging.getLogger("jobwire")

CHANNEL: Final = "heartbeat"


def call_timeout(options: WorkerOptions) -> float:
    """
    How long an answer may be overdue before the connection counts as dead.

    A lease of three intervals must outlive one held heartbeat, one that gets lost, and the one that replaces it:
    1 (held) + 1/2 (overdue) leaves room; the 30 s of a client do not.
    """
    return max(options.heartbeat / 2, 0.25)


class Heart:
    """
    Sends a heartbeat for all held leases every `options.heartbeat` seconds, and acts on the answers.

    The server holds each heartbeat for that long unless a job of this worker is cancelled or lost, so that it is heard in
    a moment over HTTP as over TCP. `report` says how the worker is, `on_deaf` is called when the server finds it deaf.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        held: HeldJobs,
        options: WorkerOptions,
        runtime: Runtime,
        link: SharedLink,
        report: Callable[[], WorkerReport],
        on_deaf: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._held = held
        self._options = options
        self._runtime = runtime
        self._link = link
        self._report = report
        self._on_deaf = on_deaf
        self._hearing = Hearing(options.heartbeat)
        self._poked = threading.Event()
        self._stopped = threading.Event()
        self._said_quiet = threading.Event()
        self._client: Client | None = None
        self._speaks_batches = True  # False after an UNKNOWN_COMMAND: a server of wire version 1

    def poke(self) -> None:
        """Send the next heartbeat now, over a new connection, to say that the worker has changed."""
        self._poked.set()
        self._hang_up()

    def wait_until_quiet(self, timeout: float) -> bool:
        """Wait until the server has heard that the worker drains, so that it does not take it for deaf or lost."""
        return self._said_quiet.wait(timeout)

    def stop(self) -> None:
        """End `run` soon. Idempotent."""
        self._stopped.set()
        self._poked.set()
        self._hang_up()

    def _hang_up(self) -> None:
        # Closing ends the call that waits, and also one that is just about to: interrupting would miss that.
        client = self._client
        if client is not None:
            client.close()

    def run(self) -> None:
        """Beat until `stop`. A bug ends it with its exception; the worker's supervisor then runs it anew."""
        while not self._stopped.is_set():
            self._poked.clear()
            with self._connect() as self._client:
                while not (self._poked.is_set() or self._stopped.is_set()):
                    self._beat(self._client)

    def _beat(self, client: Client) -> None:
        started = self._runtime.monotonic()
        sent = self._held.leased()
        report = self._report()
        try:
            answer = self._send(client, sent, report, wait=self._hold(report))
        except JobwireError as error:
            self._failed(error)
            return
        self._link.answered(CHANNEL)
        if report.state == "quiet":
            self._said_quiet.set()
        news = news_of(answer, [held.job.id for held in sent])
        self._renew(sent, answer.results, started)
        self._act(news, sent)
        self._rebuild(report, deaf=news.deaf)
        self._pause(
            heartbeat_pause(
                elapsed=self._runtime.monotonic() - started,
                held=self._speaks_batches,
                interval=self._options.heartbeat,
                is_news=news.is_news,
            )
        )

    def _hold(self, report: WorkerReport) -> float:
        """How long the server may hold a heartbeat; not the one that brings it news."""
        if report.state == "quiet" and not self._said_quiet.is_set():
            return 0.0
        return self._link.hold(CHANNEL, min(self._options.heartbeat, WAIT_MS / 1000))

    def _send(
        self, client: Client, sent: Sequence[HeldJob], report: WorkerReport, wait: float
    ) -> HeartbeatBatchResult:
        if not self._speaks_batches:
            return HeartbeatBatchResult(results=tuple(self._send_one(client, x) for x in sent))
        jobs = [held.job for held in sent]
        earlier: list[HeartbeatBatchResult] = []
        while len(jobs) > BATCH_ITEMS:
            now, jobs = jobs[:BATCH_ITEMS], jobs[BATCH_ITEMS:]
            earlier.append(client.heartbeat_batch(now))
        last = client.heartbeat_batch(jobs, worker=report, wait=wait)
        return _joined([*earlier, last])

    def _send_one(self, client: Client, held: HeldJob) -> ItemResult:
        try:
            result = client.heartbeat(held.job)
        except JobwireError as error:
            if error.code not in GONE:
                raise
            return ItemResult(id=held.job.id, ok=False, error=error)
        return ItemResult(id=held.job.id, ok=True, cancelled=result.cancelled)

    def _failed(self, error: JobwireError) -> None:
        if error.code == "CLIENT_CLOSED":  # we hung up ourselves
            self._poked.set()
            return
        if error.code == "UNKNOWN_COMMAND" and self._speaks_batches:
            self._speaks_batches = False
            return
        self._pause(min(self._link.failed(CHANNEL, error), self._options.heartbeat))

    def _renew(
        self, sent: Sequence[HeldJob], results: Sequence[ItemResult], started: float
    ) -> None:
        renewed = {result.id for result in results if result.ok}
        for held in sent:
            if held.job.id in renewed:
                # From when the request left: the server's own count starts later, never sooner.
                held.expires_at = started + self._options.lease

    def _act(self, news: News, sent: Sequence[HeldJob]) -> None:
        for held in sent:
            # Once its settlement is on its way, the answer to that says whether the lease was still good.
            if held.job.id in news.lost and not held.is_sent and held.stop("lease_lost"):
                logger.warning("lease lost", extra={"job_id": held.job.id})
        for held in self._held.with_ids(news.cancelled):
            held.stop("cancel")

    def _rebuild(self, report: WorkerReport, *, deaf: bool) -> None:
        """Have jobs fetched over a new connection where the old one brings nothing, as the server says."""
        now = self._runtime.monotonic()
        if self._hearing.must_rebuild(deaf=deaf, free=report.free or 0, now=now):
            logger.warning("the server finds this worker deaf; fetching over a new connection")
            self._on_deaf()

    def _pause(self, seconds: float) -> None:
        if seconds > 0 and not self._stopped.is_set():
            self._runtime.pause(seconds, self._poked)


def _joined(answers: Sequence[HeartbeatBatchResult]) -> HeartbeatBatchResult:
    """Several answers as one."""
    return HeartbeatBatchResult(
        results=tuple(result for answer in answers for result in answer.results),
        lost=tuple(job_id for answer in answers for job_id in answer.lost),
        cancelled=tuple(job_id for answer in answers for job_id in answer.cancelled),
        deaf=any(answer.deaf for answer in answers),
    )
