"""
One loop for every operation that changes a job that is there: look, decide, compare and set, and again when someone was first.

Jobs that this server handed out are decided on from memory (`Held`), which saves the read; a decision made on a memory that has aged is refused by the
store's comparison, so it can be wrong but never take effect.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from jobwire_server.engine.decide import ALREADY, Decision
from jobwire_server.errors import JobwireError, job_not_found
from jobwire_server.events import Event
from jobwire_server.model import Change, Job, JobState
from jobwire_server.store.base import Applied, KeyTaken, Stale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.operations.core import Core

_PER_JOB: Final = 1_000  # a rough size of a Job without what weighs

# Each lost race means that another call won, so rounds are few; the bound is against a bug, not against load.
_ROUNDS: Final = 64

_EVENTS: Final = {
    "ack": "job.completed",
    "fail": "job.failed",
    "lease_expired": "job.failed",
    "timeout": "job.failed",
    "release": "job.released",
    "heartbeat": None,
    "progress": "job.progress",
    "cancel": "job.cancelled",
    "retry": "job.retried",
    "promote": "job.promoted",
    "delete": "job.deleted",
}


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What a caller wants of a job: `decide` is the engine's function with everything but the job filled in."""

    job_id: str
    decide: Callable[[Job], Decision]


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The job after the operation; `already` when it had been carried out before."""

    job: Job
    already: bool


class Held:
    """
    Jobs that were handed out here and not settled yet, as last seen; bounded in bytes, the oldest go first.

    Only a memory to decide on: nothing depends on a job being in it.
    """

    _MAX_BYTES: Final = 16 * 1024 * 1024

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, tuple[Job, int]] = OrderedDict()  # with about how many bytes
        self._bytes = 0

    def get(self, job_id: str) -> Job | None:
        kept = self._jobs.get(job_id)
        return None if kept is None else kept[0]

    def put(self, job: Job) -> None:
        self.drop(job.id)
        weight = _weight(job)
        self._jobs[job.id] = (job, weight)
        self._bytes += weight
        while self._bytes > self._MAX_BYTES:
            self._bytes -= self._jobs.popitem(last=False)[1][1]

    def drop(self, job_id: str) -> None:
        kept = self._jobs.pop(job_id, None)
        if kept is not None:
            self._bytes -= kept[1]

    def clear(self) -> None:
        self._jobs.clear()
        self._bytes = 0

    def saw(self, job: Job) -> None:
        """Keep what is active, forget what is not."""
        if job.state == JobState.ACTIVE:
            self.put(job)
        else:
            self.drop(job.id)


def _weight(job: Job) -> int:
    """About how many bytes a job keeps: its metadata, errors and logs may be some 400 KiB beside the data."""
    said = sum(len(error.message) for error in job.errors) if job.errors else 0
    if job.logs:
        said += sum(len(line.message) for line in job.logs)
    return _PER_JOB + len(job.data) + len(job.metadata or b"") + said


class Settler:
    """Carries out wishes, a batch at a time."""

    def __init__(self, core: Core, held: Held) -> None:
        self._core = core
        self._held = held

    async def settle(self, operation: str, wishes: Sequence[Wish]) -> list[Settled | JobwireError]:
        """One result a wish, in order. A job that is named twice is settled in that order."""
        results: list[Settled | JobwireError | None] = [None] * len(wishes)
        seen: list[Job | None] = [self._held.get(wish.job_id) for wish in wishes]
        remembered = {index for index, job in enumerate(seen) if job is not None}
        await self._read(wishes, [i for i in range(len(wishes)) if i not in remembered], seen)
        pending = list(range(len(wishes)))
        unread: set[int] = set()
        for _ in range(_ROUNDS + len(wishes)):
            turn, later = _first_of_each_job(wishes, pending)
            await self._read(wishes, [index for index in turn if index in unread], seen)
            unread = unread.difference(turn).union(later)
            decided: list[tuple[int, Change]] = []
            doubtful: list[int] = []
            for index in turn:
                verdict = _decide(wishes[index], seen[index])
                if isinstance(verdict, Change):
                    decided.append((index, verdict))
                elif index in remembered:
                    doubtful.append(index)
                else:
                    results[index] = verdict
            stale = await self._apply(operation, decided, seen, results)
            await self._read(wishes, doubtful, seen)
            remembered.clear()
            pending = sorted([*stale, *doubtful, *later])
            if not pending:
                return [result for result in results if result is not None]
        raise JobwireError(
            "OVERLOADED", "The job changes faster than this request can be decided; try again"
        )

    async def _read(
        self, wishes: Sequence[Wish], indexes: Sequence[int], seen: list[Job | None]
    ) -> None:
        if not indexes:
            return
        found = await self._core.store.get([wishes[index].job_id for index in indexes])
        for index, job in zip(indexes, found, strict=True):
            seen[index] = job

    async def _apply(
        self,
        operation: str,
        decided: Sequence[tuple[int, Change]],
        seen: list[Job | None],
        results: list[Settled | JobwireError | None],
    ) -> list[int]:
        """Apply, write down the results, publish; the indexes that were stale, with what the job is now in `seen`."""
        if not decided:
            return []
        outcomes = await self._core.store.apply(
            [change for _, change in decided], self._core.clock.now()
        )
        stale: list[int] = []
        events: list[Event] = []
        for (index, change), outcome in zip(decided, outcomes, strict=True):
            if type(outcome) is Applied:
                job = outcome.job
                results[index] = Settled(job, False)
                self._held.saw(job)
                if operation == "ack" and not outcome.children:  # what nearly every change is
                    events.append(Event("job.completed", job))
                else:
                    events += happened(operation, job, outcome.children)
            elif isinstance(outcome, Stale):
                self._held.drop(change.job.id)
                seen[index] = outcome.current
                stale.append(index)
            else:
                assert isinstance(outcome, KeyTaken)
                results[index] = key_taken(outcome.existing_id)
        self._core.bus.publish(events)
        return stale


def _first_of_each_job(
    wishes: Sequence[Wish], pending: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The wishes whose turn it is, one a job, and those that come after an earlier one for the same job."""
    if len({wishes[index].job_id for index in pending}) == len(pending):
        return list(pending), []
    named: set[str] = set()
    turn: list[int] = []
    later: list[int] = []
    for index in pending:
        job_id = wishes[index].job_id
        (later if job_id in named else turn).append(index)
        named.add(job_id)
    return turn, later


def _decide(wish: Wish, job: Job | None) -> Change | Settled | JobwireError:
    if job is None:
        return job_not_found(wish.job_id)
    try:
        decision = wish.decide(job)
    except JobwireError as error:
        return error
    return Settled(job, already=True) if decision is ALREADY else decision


def happened(operation: str, job: Job, children: Sequence[Job] = ()) -> list[Event]:
    """The events of one applied change."""
    name = _EVENTS.get(operation)
    events = [] if name is None else [Event(name, job)]
    if job.state == JobState.ACTIVE and operation == "cancel":
        events = [Event("job.cancel_requested", job)]
    elif name == "job.failed" and job.reason in ("failed", "poison"):
        events.append(Event("job.dlq", job))
    elif name == "job.failed" and job.state == JobState.CANCELLED:
        events.append(Event("job.cancelled", job))
    events += [Event(_child_event(child), child) for child in children]
    return events


def _child_event(child: Job) -> str:
    match child.state:
        case JobState.DLQ | JobState.REMOVED:
            return "job.dlq"
        case JobState.CANCELLED:
            return "job.cancelled"
        case JobState.WAITING | JobState.DELAYED:
            return "job.pushed"
    return "job.blocked"


def key_taken(existing_id: str, **at: str) -> JobwireError:
    """DUPLICATE_KEY; a push adds the JSON `pointer` of its unique_key."""
    return JobwireError(
        "DUPLICATE_KEY",
        f"Duplicate unique key: it is held by job '{existing_id}'",
        {"existing_id": existing_id, **at},
    )
