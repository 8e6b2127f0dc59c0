"""What the clients had been promised by an instant, and what may be at most. From the ledgers of history.py; instants in µs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.proof.history import Call

Row = Mapping[str, Any]  # id, state, data, result (both parsed), attempt, delivery
Paused = Mapping[str, str | None]  # how a queue is paused, by name


@dataclass(slots=True)
class Job:
    """One id. `must_*` was answered, `may_*` was asked for."""

    must_exist: bool = False
    must_be: tuple[str, ...] = ()  # one of these states
    result: Any = None
    attempt: int = 0  # at least
    delivery: int = 0  # at least
    may_exist: bool = False
    data: Any = None
    removes_itself: bool = False
    may_complete: bool = False
    may_be_cancelled: bool = False
    retries: int = 0  # under way, or never answered
    retried_at: int = 0  # when the last one was answered, in µs

    def is_settled_since(self, call: Call) -> bool:
        """Whether no retry can have come between this call and now."""
        return not self.retries and self.retried_at < call.t0


@dataclass(frozen=True, slots=True)
class Moment:
    at: int
    is_answer: bool
    call: Call


class Promises:
    """The jobs as time goes on; `advance` only forwards."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._coming = sorted(moments(calls), key=lambda moment: moment.at)
        self._place = 0
        self.jobs: dict[str, Job] = {}
        self.paused: dict[str, str | None] = {}  # only queues of which it is known
        self.kept = 0  # answers that are promises so far

    def advance(self, instant: int) -> None:
        while self._place < len(self._coming) and self._coming[self._place].at <= instant:
            moment = self._coming[self._place]
            learn = (ANSWERED if moment.is_answer else ASKED).get(moment.call.op)
            if learn is not None:
                learn(self, moment.call)
                self.kept += moment.is_answer
            self._place += 1

    def job(self, job_id: str | None) -> Job:
        return self.jobs.setdefault(str(job_id), Job())

    def broken_by(self, rows: Iterable[Row], paused: Paused | None = None) -> Iterator[str]:
        """What is wrong with what was found, in words."""
        found = {row["id"]: row for row in rows}
        for job_id, job in self.jobs.items():
            if job.must_exist and job_id not in found and not _may_be_gone(job):
                yield f"job {job_id} was acknowledged and is gone"
        for job_id, row in found.items():
            yield from _broken_by_row(self.jobs.get(job_id, Job()), row)
        for queue, mode in self.paused.items():
            if paused is not None and paused.get(queue) != mode:
                yield f"queue {queue} must be paused for {mode} and is for {paused.get(queue)}"


def _broken_by_row(job: Job, row: Row) -> Iterator[str]:
    state, told = row["state"], f"job {row['id']} is {row['state']} and"
    if not job.may_exist:
        yield f"{told} was never pushed"
    if state == "completed" and not job.may_complete:
        yield f"{told} nobody completed it"
    if state == "removed" and _may_be_gone(job):
        return
    if job.must_be and state not in job.must_be:
        yield f"{told} must be {' or '.join(job.must_be)}"
    if job.must_be == ("completed",) and row["result"] != job.result:
        yield f"{told} has the result {row['result']} and not {job.result}"
    if row["data"] != job.data:
        yield f"{told} has another payload"
    if row["attempt"] < job.attempt or row["delivery"] < job.delivery:
        yield f"{told} its attempt or delivery fell"


def _may_be_gone(job: Job) -> bool:
    return job.removes_itself and job.may_complete


def moments(calls: Iterable[Call]) -> Iterator[Moment]:
    """A call that was refused had no effect."""
    for call in calls:
        if call.may_have_happened:
            yield Moment(call.t0, False, call)
        if call.out == "ok":
            yield Moment(call.returned, True, call)


# ── What a call may do from its beginning on ──


def may_push(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    job.may_exist = True
    job.data = call.request["data"]
    job.removes_itself = bool(call.request.get("remove_on_complete"))
    job.may_be_cancelled |= "unique_key" in call.request  # by one that replaces it


def may_ack(known: Promises, call: Call) -> None:
    known.job(call.id).may_complete = True


def may_cancel(known: Promises, call: Call) -> None:
    """An active job is told so, and is cancelled when its worker fails it (JW-CANCEL-3)."""
    known.job(call.id).may_be_cancelled = True


def may_retry(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    job.retries += 1
    job.must_be, job.attempt = (), 0


def may_pause(known: Promises, call: Call) -> None:
    known.paused.pop(call.request["queue"], None)


# ── What it has done once it is answered ──


def has_pushed(known: Promises, call: Call) -> None:
    known.job(call.answer["id"]).must_exist = True


def has_acked(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    if job.is_settled_since(call):
        job.must_be, job.result = ("completed",), call.request.get("result")


def has_failed(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    if job.is_settled_since(call) and not call.answer["will_retry"]:
        job.must_be = ("dlq", "cancelled") if job.may_be_cancelled else ("dlq",)


def has_cancelled(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    if job.is_settled_since(call) and call.answer["state"] == "cancelled":
        job.must_be = ("cancelled",)


def has_retried(known: Promises, call: Call) -> None:
    job = known.job(call.id)
    job.retries -= 1
    job.retried_at = call.returned


def has_pulled(known: Promises, call: Call) -> None:
    for given in call.answer["jobs"]:
        job = known.job(given["id"])
        job.must_exist = True
        job.delivery = max(job.delivery, given["delivery"])
        if job.is_settled_since(call):
            job.attempt = max(job.attempt, given["attempt"])


def has_paused(known: Promises, call: Call) -> None:
    known.paused[call.request["queue"]] = call.request.get("mode")


Learn = Callable[[Promises, Call], None]

ASKED: dict[str, Learn] = {
    "push": may_push,
    "ack": may_ack,
    "cancel": may_cancel,
    "retry": may_retry,
    "queue_pause": may_pause,
    "queue_resume": may_pause,
}
ANSWERED: dict[str, Learn] = {
    "push": has_pushed,
    "ack": has_acked,
    "fail": has_failed,
    "cancel": has_cancelled,
    "retry": has_retried,
    "pull": has_pulled,
    "queue_pause": has_paused,
    "queue_resume": has_paused,
}
