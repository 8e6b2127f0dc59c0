"""
The store that keeps everything in dicts: for tests, for trying things out, and to read first.

Rule 1: it says in plain Python what the other backends must do; both run server/tests/store/contract.py.
Rule 2: no verb awaits anything, so each is atomic on its event loop. One loop a store.
Rule 3: every change of the state goes through `_put`, `_hold` and `_link`, which note how to undo it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from heapq import nsmallest
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jobwire_server.model import (
    ANSWER_BYTES,
    TERMINAL,
    UNFINISHED,
    Change,
    ClaimRequest,
    Job,
    JobFilter,
    JobState,
    Page,
    PushItem,
    QueueInfo,
    QueueSettings,
    Standing,
)
from jobwire_server.store import cursors, images
from jobwire_server.store.base import (
    Applied,
    ApplyOutcome,
    ChildResolver,
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
    Stale,
    TooDeep,
)
from jobwire_server.store.sizes import Room
from jobwire_server.wire.limits import DAG_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SCAN_ROWS = (
    5_000  # how many jobs one find() looks at, so that a rare filter cannot hold up the store
)

_Key = tuple[str, str]
_Holder = tuple[
    str, int | None
]  # job id, and until when it holds the key; None while it is unfinished


class _Sorted:
    """A sorted list of tuples that end in a job id."""

    def __init__(self) -> None:
        self.entries: list[tuple[int | str, ...]] = []

    def add(self, entry: tuple[int | str, ...]) -> None:
        insort(self.entries, entry)

    def remove(self, entry: tuple[int | str, ...]) -> None:
        del self.entries[bisect_left(self.entries, entry)]

    def ids(self) -> Iterator[str]:
        return (str(entry[-1]) for entry in self.entries)


class MemoryStore:
    """Keeps jobs for as long as the process lives. See Store for what each verb promises."""

    def __init__(
        self,
        resolve_child: ChildResolver,
        *,
        max_depth: int = DAG_DEPTH,
        scan_rows: int = SCAN_ROWS,
    ) -> None:
        self._resolve_child = resolve_child
        self._max_depth = max_depth
        self._scan_rows = scan_rows
        self._jobs: dict[str, Job] = {}  # in order of acceptance
        self._seq: dict[str, int] = {}
        self._accepted = 0
        self._waiting: dict[str, _Sorted] = {}  # by queue
        self._due = _Sorted()
        self._keys: dict[_Key, _Holder] = {}
        self._children: dict[str, dict[str, None]] = {}  # parent id → child ids, in order
        self._claims: dict[str, tuple[list[tuple[str, int]], int]] = {}
        self._settings: dict[str, QueueSettings] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._undo: list[Callable[[], object]] = []
        self._can_undo = False  # insert alone takes things back

    # --- lifecycle ---

    async def open(self, now: int) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def check(self) -> None:
        """Memory can always be written."""

    @property
    def durability(self) -> str:
        return "memory"

    @property
    def is_full(self) -> bool:
        return False

    # --- insert ---

    async def insert(
        self, items: Sequence[PushItem], *, atomic: bool, now: int
    ) -> list[InsertOutcome]:
        self._can_undo = True
        outcomes = [self._insert_or_undo(item, now) for item in items]
        if atomic and any(isinstance(outcome, Refusal) for outcome in outcomes):
            self._take_back(0)
        self._can_undo = False
        self._undo.clear()
        return outcomes

    def _insert_or_undo(self, item: PushItem, now: int) -> InsertOutcome:
        mark = len(self._undo)
        outcome = self._insert(item, now)
        if not isinstance(outcome, Inserted):
            self._take_back(mark)
        return outcome

    def _insert(self, item: PushItem, now: int) -> InsertOutcome:
        """The checks in the order of Store.insert; a replaced job is gone before the length and the parents are looked at."""
        job = item.job
        known = self._jobs.get(job.id)
        if known is not None:
            return Existing(known) if _is_same(known, job) else IdTaken(known)
        settings = self._settings_of(job.queue)
        if settings.paused in images.PAUSED_FOR_PUSH:
            return QueueIsPaused(str(settings.paused))
        replaced = self._make_room(item, now)
        if isinstance(replaced, Existing | KeyTaken):
            return replaced
        if settings.max_length is not None and self._length(job.queue) >= settings.max_length:
            return QueueIsFull(settings.max_length)
        placed = self._place(job)
        return Inserted(self._accept(placed), *replaced) if isinstance(placed, Job) else placed

    def _make_room(
        self, item: PushItem, now: int
    ) -> tuple[Job | None, tuple[Job, ...]] | Existing | KeyTaken:
        """Who was cancelled for the unique key of this push, and the dependents that went along; or why it stays taken."""
        holder_id = self._holder(item.job, now)
        if holder_id is None:
            return None, ()
        holder = self._jobs.get(holder_id)
        if holder is None or item.on_conflict == "reject":
            return KeyTaken(holder_id)
        if item.on_conflict == "ignore":
            return Existing(holder)
        if holder.state not in images.REPLACEABLE:
            return KeyTaken(holder_id)
        done = self._change(Change(images.replaced(holder, now), holder.revision, "fail"), now)
        self._hold(_key(item.job), None)
        assert isinstance(done, Applied)  # nobody can come between
        return done.job, done.children

    def _holder(self, job: Job, now: int) -> str | None:
        """The id of the other job that holds the unique key of this one."""
        holder = self._keys.get(_key(job))
        if holder is None or job.unique_key is None or holder[0] == job.id:
            return None
        return holder[0] if holder[1] is None or holder[1] > now else None

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
        if depth > self._max_depth:
            return TooDeep(self._max_depth)
        return images.placed(job, depth, pending)

    def _accept(self, job: Job) -> Job:
        self._put(job)
        if job.unique_key is not None:
            self._hold(_key(job), (job.id, None))
        for parent_id in job.depends_on:
            if not self._jobs[parent_id].is_finished:
                self._link(parent_id, job.id)
        return job

    # --- claim ---

    async def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        before = self._claimed_before(request)
        if before:
            return before
        jobs: list[Job] = []
        room = Room(request.max_bytes)
        for queue in request.queues:
            jobs += self._claim_from(queue, request, now, request.count - len(jobs), room)
        if jobs and request.request_id is not None:
            taken = [(job.id, job.delivery) for job in jobs]
            self._claims[request.request_id] = taken, images.forget_claim_at(jobs, now)
        return jobs

    def _claimed_before(self, request: ClaimRequest) -> list[Job]:
        taken, _ = self._claims.get(request.request_id or "", ([], 0))
        jobs = [(self._jobs.get(job_id), delivery) for job_id, delivery in taken]
        return [
            job
            for job, delivery in jobs
            if job is not None and job.state == "active" and job.delivery == delivery
        ]

    def _claim_from(
        self, queue: str, request: ClaimRequest, now: int, count: int, room: Room
    ) -> list[Job]:
        settings = self._settings_of(queue)
        if settings.paused in images.PAUSED_FOR_PULL or count <= 0 or room.is_full:
            return []
        lease_ms = images.lease_length(request, settings)
        waiting = [self._jobs[i] for i in self._waiting.get(queue, _Sorted()).ids()]
        ready = (job for job in waiting if _can_be_claimed(job, request.names, now))
        leased = (images.leased(job, request.worker_id, lease_ms, now) for job in ready)
        jobs = list(takewhile(room.take, islice(leased, count)))
        for job in jobs:
            self._put(job)
        return jobs

    # --- apply ---

    async def apply(self, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        return [self._change(change, now) for change in changes]

    def _change(self, change: Change, now: int) -> ApplyOutcome:
        before = self._jobs.get(change.job.id)
        if before is None or before.revision != change.expect:
            return Stale(before)
        taken_by = self._settle_key(before, change.job, now)
        if taken_by is not None:
            return KeyTaken(taken_by)
        after = images.tombstone(change.job) if change.job.state == "removed" else change.job
        self._put(after)
        return Applied(after, self._change_children(change, after, now))

    def _settle_key(self, before: Job, after: Job, now: int) -> str | None:
        """Free the unique key of a job that finished, or take it again; the id of the job that has it otherwise."""
        if after.unique_key is None or before.is_finished == after.is_finished:
            return None
        if after.is_finished:
            self._free_key(after, now)
            return None
        holder = self._holder(after, now)
        if holder is None:
            self._hold(_key(after), (after.id, None))
        return holder

    def _free_key(self, job: Job, now: int) -> None:
        if self._keys.get(_key(job), ("", None))[0] == job.id:
            self._hold(_key(job), (job.id, job.unique_until) if job.unique_until > now else None)

    def _change_children(self, change: Change, after: Job, now: int) -> tuple[Job, ...]:
        """Breadth first, so that a dependent comes after every change that caused its own."""
        changed: list[Job] = []
        ended = deque([(after, change.children)])
        while ended:
            parent, children = ended.popleft()
            for child_id in list(self._children.get(parent.id, ())) if children != "none" else ():
                next_change = self._resolve_child(self._jobs[child_id], parent, now)
                done = None if next_change is None else self._change_alone(next_change, now)
                if next_change is not None and done is not None:
                    changed.append(done)
                    ended.append((done, next_change.children))
            if children != "none" and parent.completed_at is not None:
                self._unlink(parent.id)
        return tuple(changed)

    def _change_alone(self, change: Change, now: int) -> Job | None:
        done = self._change(Change(change.job, change.expect), now)
        return done.job if isinstance(done, Applied) else None

    # --- reads ---

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        return [self._jobs.get(job_id) for job_id in ids]

    async def find(
        self,
        wanted: JobFilter,
        *,
        limit: int,
        cursor: str | None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Page:
        seen = self._newest_first(wanted, cursors.read(cursor, wanted))
        room = Room(max_bytes)
        place: cursors.Place = ()
        found: list[Job] = []
        for here, job in seen[: self._scan_rows]:
            matches = _matches(job, wanted)
            if matches and not room.take(job):
                break
            place = here
            if matches:
                found.append(job)
            if len(found) == limit:
                break
        at_end = not seen or place == seen[-1][0]
        return Page(found, None if at_end else cursors.write(place))

    def _newest_first(
        self, wanted: JobFilter, after: cursors.Place | None
    ) -> list[tuple[cursors.Place, Job]]:
        rows: Iterable[tuple[cursors.Place, Job]]
        if cursors.by_end(wanted):
            dead = (j for j in self._jobs.values() if j.queue == wanted.queue and j.state == "dlq")
            rows = (((job.finished_at or 0, self._seq[job.id]), job) for job in dead)
        else:
            rows = (((self._seq[job.id],), job) for job in self._jobs.values())
        left = [row for row in rows if after is None or row[0] < after]
        return sorted(left, key=lambda row: row[0], reverse=True)

    async def oldest(self, queue: str, state: str, limit: int) -> list[Standing]:
        jobs = (j for j in self._jobs.values() if j.queue == queue and j.state == state)
        found = nsmallest(limit, jobs, key=self._entered)
        return [Standing(job.id, self._entered(job)[0]) for job in found]

    def _entered(self, job: Job) -> tuple[int, int]:
        entered = job.finished_at if job.is_finished else job.run_at
        return entered or 0, self._seq[job.id]

    # --- time ---

    async def due(self, now: int, limit: int) -> list[Job]:
        jobs = (self._jobs[job_id] for job_id in islice(self._due.ids(), limit))
        return [job for job in jobs if job.due_at is not None and job.due_at <= now]

    async def next_due(self) -> int | None:
        first = next(self._due.ids(), None)
        return None if first is None else self._jobs[first].due_at

    async def grace(self, now: int, shift: int = 0) -> int:
        active = [job for job in self._jobs.values() if job.state == "active"]
        after = [images.shifted(job, shift) if shift else images.graced(job, now) for job in active]
        changed = [new for old, new in zip(active, after, strict=True) if new is not old]
        for job in changed:
            self._put(job)
        return len(changed)

    async def prune(self, queue: str, state: str, before: int, limit: int) -> int:
        if state not in TERMINAL:
            raise ValueError(f"only finished jobs are pruned, not {state}")
        old = [
            job
            for job in self._jobs.values()
            if job.queue == queue and job.state == state and (job.finished_at or 0) < before
        ]
        gone = nsmallest(limit, old, key=self._entered)
        for job in gone:
            self._drop(job)
        return len(gone)

    async def sweep(self, now: int, tombstone_ms: int, limit: int) -> int:
        jobs = list(self._jobs.values())
        stones = [j for j in jobs if j.state == "removed" and j.updated_at <= now - tombstone_ms]
        keys = [k for k, (_, until) in self._keys.items() if until is not None and until <= now]
        claims = [r for r, (_, expires_at) in self._claims.items() if expires_at <= now]
        work: list[Callable[[], object]] = [lambda job=job: self._drop(job) for job in stones]  # type: ignore[misc]
        work += [lambda key=key: self._keys.pop(key) for key in keys]  # type: ignore[misc]
        work += [lambda rid=rid: self._claims.pop(rid) for rid in claims]  # type: ignore[misc]
        for forget in work[:limit]:
            forget()
        return len(work[:limit])

    # --- queues ---

    def queues(self) -> Mapping[str, QueueInfo]:
        names = dict.fromkeys([*self._settings, *(q for q, c in self._counts.items() if +c)])
        return {name: self.queue(name) for name in names}

    def queue(self, name: str) -> QueueInfo:
        counts = {state: n for state, n in self._counts.get(name, Counter()).items() if n}
        return QueueInfo(self._settings_of(name), counts)

    async def set_queue(self, name: str, fields: Mapping[str, Any]) -> QueueSettings:
        settings = replace(self._settings_of(name), **fields)
        if settings == QueueSettings(name):
            self._settings.pop(name, None)
        else:
            self._settings[name] = settings
        return settings

    def backlog(self, queue: str) -> int:
        if self._settings_of(queue).paused in images.PAUSED_FOR_PULL:
            return 0
        return self._counts.get(queue, Counter())["waiting"]

    def _settings_of(self, queue: str) -> QueueSettings:
        return self._settings.get(queue) or QueueSettings(queue)

    def _length(self, queue: str) -> int:
        return sum(self._counts.get(queue, Counter())[state] for state in UNFINISHED)

    # --- the three ways to change something ---

    def _put(self, job: Job) -> None:
        """Make this the image of its job, in every index."""
        before = self._jobs.get(job.id)
        if before is None:
            self._accepted += 1
            self._seq[job.id] = self._accepted
            self._note(lambda: self._drop(job))
        else:
            self._unlist(before)
            self._note(lambda: self._restore(job, before))
        self._list(job)

    def _restore(self, job: Job, before: Job) -> None:
        self._unlist(job)
        self._list(before)

    def _hold(self, key: _Key, holder: _Holder | None) -> None:
        """Set who holds a unique key; None frees it."""
        before = self._keys.get(key)
        _set_or_pop(self._keys, key, holder)
        self._note(lambda: _set_or_pop(self._keys, key, before))

    def _link(self, parent_id: str, child_id: str) -> None:
        self._children.setdefault(parent_id, {})[child_id] = None
        self._note(lambda: self._children[parent_id].pop(child_id, None))

    def _unlink(self, parent_id: str) -> None:
        before = self._children.pop(parent_id, None)
        if before is not None:
            self._note(lambda: self._children.__setitem__(parent_id, before))

    def _note(self, undo: Callable[[], object]) -> None:
        if self._can_undo:
            self._undo.append(undo)

    def _take_back(self, mark: int) -> None:
        while len(self._undo) > mark:
            self._undo.pop()()

    # --- indexes ---

    def _list(self, job: Job) -> None:
        self._jobs[job.id] = job
        if job.state != JobState.REMOVED:
            self._counts.setdefault(job.queue, Counter())[str(job.state)] += 1
        if job.state == JobState.WAITING:
            self._waiting.setdefault(job.queue, _Sorted()).add(self._turn(job))
        if job.due_at is not None:
            self._due.add((job.due_at, self._seq[job.id], job.id))

    def _unlist(self, job: Job) -> None:
        if job.state != JobState.REMOVED:
            self._counts[job.queue][str(job.state)] -= 1
        if job.state == JobState.WAITING:
            self._waiting[job.queue].remove(self._turn(job))
        if job.due_at is not None:
            self._due.remove((job.due_at, self._seq[job.id], job.id))

    def _turn(self, job: Job) -> tuple[int | str, ...]:
        return -job.priority, job.position, self._seq[job.id], job.id

    def _drop(self, job: Job) -> None:
        """Forget a job and its place in the dependency graph. Its unique key may outlive it."""
        self._unlist(job)
        self._children.pop(job.id, None)
        for parent_id in job.depends_on:
            self._children.get(parent_id, {}).pop(job.id, None)
        del self._jobs[job.id], self._seq[job.id]


def _set_or_pop(keys: dict[_Key, _Holder], key: _Key, holder: _Holder | None) -> None:
    if holder is None:
        keys.pop(key, None)
    else:
        keys[key] = holder


def _key(job: Job) -> _Key:
    return job.queue, job.unique_key or ""


def _is_same(known: Job, job: Job) -> bool:
    """Whether a push repeats an earlier one (JW-PUSH-3); of a tombstone the data is gone."""
    if known.state == "removed":
        return True
    return (known.queue, known.name, known.data) == (job.queue, job.name, job.data)


def _can_be_claimed(job: Job, names: tuple[str, ...], now: int) -> bool:
    alive = job.expires_at is None or job.expires_at > now
    return alive and (not names or job.name in names)


def _matches(job: Job, wanted: JobFilter) -> bool:
    equal = ("queue", "name", "group_id", "flow_id", "custom_id")
    return (
        job.state != "removed"
        and all(getattr(wanted, f) in (None, getattr(job, f)) for f in equal)
        and (not wanted.states or job.state in wanted.states)
        and (wanted.tag is None or wanted.tag in job.tags)
        and (wanted.created_after is None or job.created_at >= wanted.created_after)
        and (wanted.created_before is None or job.created_at < wanted.created_before)
    )
