"""
apply: changes as compare-and-set, and what they do to dependents.

Plan: the heads (seq, revision, state) of all jobs of a transaction that are not known are read in one statement and kept up to
      date while the changes are noted; the guard on the revision stands in the UPDATE as well.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from jobwire_server.model import TERMINAL, Change, Children, Job
from jobwire_server.store import images
from jobwire_server.store.base import Applied, ApplyOutcome, KeyTaken, Stale
from jobwire_server.store.sqlite.queries import SQL
from jobwire_server.store.sqlite.reading import ID_CHUNK, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.store.sqlite.heads import Head
    from jobwire_server.store.sqlite.session import Session

ApplyArguments = tuple["Sequence[Change]", int]  # changes, now
Dependents = dict[str, list[str]]  # parent id → child ids, in order of acceptance


def apply_all(session: Session, calls: Sequence[ApplyArguments]) -> list[list[ApplyOutcome]]:
    """The outcomes of several calls of apply, which share what they look up."""
    session.flush()
    every = [change for changes, _ in calls for change in changes]
    applying = _Applying(session, every)
    return [[applying.apply(change, now) for change in changes] for changes, now in calls]


def apply_one(session: Session, change: Change, now: int) -> ApplyOutcome:
    """A change that another verb makes in its transaction."""
    return apply_all(session, [([change], now)])[0][0]


class _Applying:
    def __init__(self, session: Session, changes: Sequence[Change]) -> None:
        self._session = session
        self._heads = _load_heads(session, [change.job.id for change in changes])
        self._waiting = _load_dependents(
            session, [change.job.id for change in changes if change.children != "none"]
        )

    def apply(self, change: Change, now: int) -> ApplyOutcome:
        outcome = self._change(change, now)
        causes_more = change.children != "none" and change.job.id in self._waiting
        if causes_more and isinstance(outcome, Applied):
            return Applied(outcome.job, self._change_children(change, outcome.job, now))
        return outcome

    def _change(self, change: Change, now: int) -> ApplyOutcome:
        """Step 1: nobody was first. Step 2: the unique key. Step 3: note the row."""
        job = change.job
        head = self._heads.get(job.id)
        if head is None or head[1] != change.expect:
            return Stale(self._current(job.id) if head is not None else None)
        seq, revision, state = head
        holder = self._settle_key(state, job, now)
        if holder is not None:
            return KeyTaken(holder)
        if job.state == "removed":
            job = images.tombstone(job)
        self._session.change(seq, revision, state, job)
        self._heads[job.id] = (seq, job.revision, job.state)
        return Applied(job)

    def _current(self, job_id: str) -> Job | None:
        self._session.flush()
        return self._session.get([job_id])[0]

    def _settle_key(self, state: str, job: Job, now: int) -> str | None:
        """Free the unique key of a job that finished, or take it again; the id of the job that has it otherwise."""
        if job.unique_key is None or (state in TERMINAL) == job.is_finished:
            return None
        if not job.is_finished:
            return self._session.take_key(job, now)
        self._session.end_key(job, now)
        return None

    def _change_children(self, change: Change, parent: Job, now: int) -> tuple[Job, ...]:
        """Breadth first, level by level, so that a dependent comes after every change that caused its own."""
        changed: list[Job] = []
        level: list[tuple[Job, Children]] = [(parent, change.children)]
        waiting = self._waiting
        while level:
            self._load_children(level, waiting)
            level = [done for parent, _ in level for done in self._resolve(parent, waiting, now)]
            changed += [job for job, _ in level]
            level = [(job, children) for job, children in level if children != "none"]
            waiting = _load_dependents(self._session, [job.id for job, _ in level])
        if parent.completed_at is not None:
            self._session.connection.execute(SQL["forget_dependents"], (texts([parent.id]),))
            del self._waiting[parent.id]
        return tuple(changed)

    def _load_children(self, level: Sequence[tuple[Job, Children]], waiting: Dependents) -> None:
        self._session.flush()
        ids = [child_id for parent, _ in level for child_id in waiting.get(parent.id, ())]
        found = self._session.by_id(ids)
        self._children = {job_id: job for job_id, (_, job) in found.items()}
        for job_id, (seq, job) in found.items():
            self._heads[job_id] = (seq, job.revision, job.state)

    def _resolve(self, parent: Job, waiting: Dependents, now: int) -> list[tuple[Job, Children]]:
        """What becomes of those who wait for this parent, with what that means for their own dependents."""
        done: list[tuple[Job, Children]] = []
        for child_id in waiting.get(parent.id, ()):
            change = self._session.resolve_child(self._children[child_id], parent, now)
            outcome = None if change is None else self._change(change, now)
            if change is not None and isinstance(outcome, Applied):
                self._children[child_id] = outcome.job
                done.append((outcome.job, change.children))
        return done


def _load_heads(session: Session, ids: Sequence[str]) -> dict[str, Head]:
    heads = session.heads.known(ids)
    unknown = [job_id for job_id in ids if job_id not in heads]
    for start in range(0, len(unknown), ID_CHUNK):
        part = texts(unknown[start : start + ID_CHUNK])
        for job_id, seq, revision, state in session.listed("heads", part):
            heads[job_id] = (seq, revision, state)
    return heads


def _load_dependents(session: Session, ids: Sequence[str]) -> Dependents:
    waiting: Dependents = defaultdict(list)
    if ids and session.has_links:
        for parent_id, child_id in session.listed("dependents", texts(ids)):
            waiting[parent_id].append(child_id)
    return dict(waiting)
