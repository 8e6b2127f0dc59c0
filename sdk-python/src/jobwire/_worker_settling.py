"""
Settlements on their way to the server: what may still be sent, what an answer means, and when a job is done with.

No I/O; the settlers of both workers send what `batches` gives and tell what came back. Used by one thread or task.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jobwire._models import FailItem, ItemResult, Job
from jobwire._worker_core import (
    Ack,
    Batch,
    Fail,
    GiveBack,
    Settlement,
    Verdict,
    batches_of,
    can_still_live,
    judge,
    judge_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jobwire._errors import JobwireError
    from jobwire._operations import AckEntry
    from jobwire._worker_held import HeldJob, HeldJobs

logger = logging.getLogger("jobwire")


class Ledger:
    """Decides about settlements; `on_settled` is called once for each held job that is done with."""

    def __init__(self, held: HeldJobs, on_settled: Callable[[HeldJob], None]) -> None:
        self._held = held
        self._on_settled = on_settled
        self._alone: set[tuple[str, str | None]] = set()  # refused in company, sent one by one
        self.sends_singly = False  # the server has no batch for failures (wire version 1)

    def batches(
        self, settlements: Iterable[Settlement], now: float, last_contact: float
    ) -> list[Batch]:
        """What is still worth sending, in batches; the rest is dropped with a line in the log."""
        together: list[Settlement] = []
        alone: list[Settlement] = []
        for item in settlements:
            held = self._held.of(item.job)
            if held is None:
                continue  # settled meanwhile, or its job came back
            if not self._may_send(held, now, last_contact):
                self._end(item.job)
                continue
            held.is_sent = True
            goes_alone = (
                self.sends_singly
                or isinstance(item, GiveBack)  # the wire has no batch of releases
                or (item.job.id, item.job.lease) in self._alone
            )
            (alone if goes_alone else together).append(item)
        return [*batches_of(together), *(Batch(type(item), [item]) for item in alone)]

    def _may_send(self, held: HeldJob, now: float, last_contact: float) -> bool:
        if held.reason == "lease_lost" and not held.is_sent:
            return False
        if can_still_live(now, held.expires_at, last_contact):
            return True
        logger.warning("outcome dropped, the lease is over", extra={"job_id": held.job.id})
        return False

    def answered(self, batch: Batch, results: Sequence[ItemResult]) -> list[Settlement]:
        """Note the answer to a batch; what must be sent again."""
        again: list[Settlement] = []
        for item, result in zip(batch.items, results, strict=True):
            again += self._settle(item, judge(result), result.error)
        return again

    def refused(self, batch: Batch, error: JobwireError) -> list[Settlement]:
        """Note that a batch as a whole met with *error*; what must be sent again."""
        verdict = judge_error(error)
        if error.code == "UNKNOWN_COMMAND" and batch.kind is Fail and not self.sends_singly:
            self.sends_singly = True
            return batch.items
        if verdict == "again" or len(batch.items) > 1:
            if verdict != "again":  # one of them spoils the others; find out which
                self._alone |= {(item.job.id, item.job.lease) for item in batch.items}
            return batch.items
        return self._settle(batch.items[0], verdict, error)

    def _settle(
        self, item: Settlement, verdict: Verdict, error: JobwireError | None
    ) -> list[Settlement]:
        if verdict == "again":
            return [item]
        if verdict == "refused" and isinstance(item, Ack):
            return [Fail(job=item.job, error=f"the handler's result was refused: {error}")]
        if verdict != "done":
            line = "outcome dropped, the lease is lost" if verdict == "gone" else "outcome refused"
            logger.warning("%s: %s", line, error, extra={"job_id": item.job.id})
        self._end(item.job)
        return []

    def _end(self, job: Job) -> None:
        self._alone.discard((job.id, job.lease))
        held = self._held.remove(job)
        if held is not None:
            self._on_settled(held)


def ack_entries(batch: Batch) -> list[AckEntry]:
    """The items of a batch of acks, as the client takes them."""
    acks = [item for item in batch.items if isinstance(item, Ack)]
    return [(item.job, item.result) for item in acks]


def fail_items(batch: Batch) -> list[FailItem]:
    """The items of a batch of failures, as the client takes them."""
    fails = [item for item in batch.items if isinstance(item, Fail)]
    return [FailItem(item.job, item.error, item.retry_in, item.discard) for item in fails]


def give_backs(batch: Batch) -> list[GiveBack]:
    """The items of a batch of releases, which travel one by one."""
    return [item for item in batch.items if isinstance(item, GiveBack)]


def items_of(batches: Iterable[Batch]) -> list[Settlement]:
    """What travels in several batches."""
    return [item for batch in batches for item in batch.items]


def repeat_reason(results: Iterable[ItemResult]) -> JobwireError | None:
    """Why something of an answered batch has to be sent again; None when nothing has."""
    return next((result.error for result in results if judge(result) == "again"), None)
