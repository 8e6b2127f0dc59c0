"""
insert: new jobs, with all that a push can be refused for.

Plan: a call whose jobs have neither unique keys nor parents, in queues without a limit, is noted as rows right away. Any other
      call looks up everything that its checks need in two statements, then decides item by item as memory.py does.
      Ids are hardly ever repeated, and to look for them first costs a tenth of an insert: so the rows are written without a look,
      the constraint refuses a known id, and then the writer runs the whole group again with a careful session.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING

from jobwire_server.model import Change, Job, PushItem
from jobwire_server.store import images
from jobwire_server.store.base import (
    Applied,
    Existing,
    IdTaken,
    Inserted,
    InsertOutcome,
    KeyTaken,
    ParentEnded,
    ParentMissing,
    QueueIsFull,
    QueueIsPaused,
    Refusal,
    TooDeep,
)
from jobwire_server.store.sqlite.changing import apply_one
from jobwire_server.store.sqlite.reading import ID_CHUNK, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.store.sqlite.session import Session

_ID, _QUEUE = attrgetter("id"), attrgetter("queue")
_UNIQUE_KEY, _DEPENDS_ON = attrgetter("unique_key"), attrgetter("depends_on")

InsertArguments = tuple["Sequence[PushItem]", bool, int]  # items, atomic, now


def insert_all(session: Session, calls: Sequence[InsertArguments]) -> list[list[InsertOutcome]]:
    """The outcomes of several calls of insert, which share what they look up."""
    ids = [item.job.id for items, _, _ in calls for item in items]
    known = _known_ids(session, ids) if session.is_careful else set()
    return [_insert(session, call, known) for call in calls]


def _known_ids(session: Session, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(ids), ID_CHUNK):
        known.update(session.listed("known_ids", texts(ids[start : start + ID_CHUNK])))
    return known


def _insert(session: Session, call: InsertArguments, known: set[str]) -> list[InsertOutcome]:
    items, atomic, now = call
    jobs = [item.job for item in items]
    if _are_plain(session, jobs, known):
        session.add(jobs)
        return list(map(Inserted, jobs))
    if not atomic or len(items) == 1:
        return _Inserting(session, items, now).outcomes()
    with session.tentative() as take_back:
        outcomes = _Inserting(session, items, now).outcomes()
        if any(isinstance(outcome, Refusal) for outcome in outcomes):
            take_back()
    return outcomes


def _are_plain(session: Session, jobs: Sequence[Job], known: set[str]) -> bool:
    """True when nothing can be refused; then the ids of the jobs are added to the known ones."""
    ids = set(map(_ID, jobs))
    are_plain = (
        len(ids) == len(jobs)
        and ids.isdisjoint(known)
        and set(map(_UNIQUE_KEY, jobs)) == {None}
        and not any(map(_DEPENDS_ON, jobs))
        and all(_takes_all(session, queue) for queue in set(map(_QUEUE, jobs)))
    )
    known |= ids
    return are_plain


def _takes_all(session: Session, queue: str) -> bool:
    settings = session.settings_of(queue)
    return settings.paused not in images.PAUSED_FOR_PUSH and settings.max_length is None


class _Inserting:
    """One call that needs checks. `_jobs` and `_holders` are kept as the transaction would find them."""

    def __init__(self, session: Session, items: Sequence[PushItem], now: int) -> None:
        session.flush()
        self._session, self._items, self._now = session, items, now
        keys = sorted({_key(item.job) for item in items if item.job.unique_key is not None})
        self._holders = self._find_holders(keys) if keys else {}
        wanted = [i for item in items for i in (item.job.id, *item.job.depends_on)]
        found = session.by_id([*wanted, *self._holders.values()])
        self._jobs = {job_id: job for job_id, (_, job) in found.items()}

    def _find_holders(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        self._session.clear_windows(keys, self._now)
        held = self._session.listed("key_holders", json.dumps(keys), self._now)
        return {(queue, key): job_id for queue, key, job_id in held}

    def outcomes(self) -> list[InsertOutcome]:
        return [self._insert(item) for item in self._items]

    def _insert(self, item: PushItem) -> InsertOutcome:
        """The checks in the order of Store.insert."""
        job = item.job
        known = self._jobs.get(job.id)
        if known is not None:
            return Existing(known) if _is_same(known, job) else IdTaken(known)
        settings = self._session.settings_of(job.queue)
        if settings.paused in images.PAUSED_FOR_PUSH:
            return QueueIsPaused(str(settings.paused))
        holder_id = None if job.unique_key is None else self._holders.get(_key(job))
        if holder_id is not None:
            return self._insert_beside(item, holder_id)
        return self._insert_free(job)

    def _insert_free(self, job: Job) -> InsertOutcome:
        """The unique key is free: look at the length of the queue and at the parents."""
        limit = self._session.settings_of(job.queue).max_length
        if limit is not None and self._session.length(job.queue) >= limit:
            return QueueIsFull(limit)
        placed = self._place(job)
        return self._accept(placed) if isinstance(placed, Job) else placed

    def _insert_beside(self, item: PushItem, holder_id: str) -> InsertOutcome:
        """The unique key is held: refuse, answer the holder, or take its place."""
        holder = self._jobs.get(holder_id)
        if holder is None or item.on_conflict == "reject":
            return KeyTaken(holder_id)
        if item.on_conflict == "ignore":
            return Existing(holder)
        if holder.state not in images.REPLACEABLE:
            return KeyTaken(holder_id)
        return self._replace(item.job, holder)

    def _replace(self, job: Job, holder: Job) -> InsertOutcome:
        jobs, holders = dict(self._jobs), dict(self._holders)
        with self._session.tentative() as take_back:
            done = self._cancel(holder)
            outcome = self._insert_free(job)
            if isinstance(outcome, Inserted):
                return Inserted(outcome.job, done.job, done.children)
            take_back()
        self._jobs, self._holders = jobs, holders
        return outcome

    def _cancel(self, holder: Job) -> Applied:
        """Cancel the holder of a key, with its dependents, and free the key whatever its window."""
        change = Change(images.replaced(holder, self._now), holder.revision, "fail")
        done = apply_one(self._session, change, self._now)
        assert isinstance(done, Applied)  # it was read in this transaction
        self._session.free_key(holder)
        self._session.flush()
        self._jobs |= {job.id: job for job in (done.job, *done.children) if job.id in self._jobs}
        for child in done.children:
            self._let_key_go(child)
        return done

    def _let_key_go(self, child: Job) -> None:
        """A dependent that ended with the holder has freed its own key, unless the window of that is open."""
        key = _key(child)
        is_free = child.is_finished and child.unique_until <= self._now
        if is_free and self._holders.get(key) == child.id:
            del self._holders[key]

    def _place(self, job: Job) -> Job | Refusal:
        """Find the parents: how deep the job stands, and how many of them it waits for."""
        depth = pending = 0
        for index, parent_id in enumerate(job.depends_on):
            parent = self._jobs.get(parent_id)
            if parent is None or (parent.state == "removed" and parent.completed_at is None):
                return ParentMissing(index, parent_id)
            if parent.state in ("dlq", "cancelled"):
                return ParentEnded(index, parent_id, parent.state)
            depth = max(depth, parent.depth + 1)
            pending += not parent.is_finished and parent_id not in job.depends_on[:index]
        limit = self._session.max_depth
        return TooDeep(limit) if depth > limit else images.placed(job, depth, pending)

    def _accept(self, job: Job) -> Inserted:
        self._jobs[job.id] = job
        self._session.add([job])
        if job.unique_key is not None:
            self._holders[_key(job)] = job.id
            self._session.hold_key(job)
        for parent_id in job.depends_on:
            if not self._jobs[parent_id].is_finished:
                self._session.link(parent_id, job.id)
        return Inserted(job)


def _key(job: Job) -> tuple[str, str]:
    return job.queue, job.unique_key or ""


def _is_same(known: Job, job: Job) -> bool:
    """Whether a push repeats an earlier one (JW-PUSH-3); of a tombstone the data is gone."""
    if known.state == "removed":
        return True
    return (known.queue, known.name, known.data) == (job.queue, job.name, job.data)
