"""
The queue of the fake server: every rule of spec/lifecycle.yaml, on a clock that only `advance` moves.

Pure: no sockets, threads, real time or randomness from outside. A call takes values and answers with values, or raises Refused
and changes nothing. What a TCP session should hear meanwhile gathers in `notices`.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from jobwire.testing._fake_job import (
    FakeJob,
    Refused,
    invalid,
    invalid_state,
    job_not_found,
    lease_lost,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DEFAULT_LEASE_MS: Final = 30_000
ERRORS_KEPT: Final = 20
LOGS_KEPT: Final = 100
TOMBSTONE_MS: Final = 60_000
DAG_DEPTH: Final = 100
FULL_RETRY_MS: Final = 1000
TIMEOUT_MESSAGE: Final = "job timed out"
LEASE_MESSAGE: Final = "lease expired (no heartbeat)"
RETENTION_MS: Final = {"completed": 604_800_000, "dlq": 7_776_000_000, "cancelled": 604_800_000}
SETTINGS: Final = (
    "lease_ms",
    "max_length",
    "retention_completed_ms",
    "retention_dlq_ms",
    "retention_cancelled_ms",
)

# Which states an operation of a caller accepts, and in which it answers "already" (spec/lifecycle.yaml).
CALLER_STATES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "cancel": (
        frozenset({"waiting", "delayed", "blocked", "active"}),
        frozenset({"cancelled"}),
    ),
    "retry": (frozenset({"dlq", "cancelled"}), frozenset()),
    "promote": (frozenset({"delayed"}), frozenset({"waiting"})),
    "delete": (
        frozenset({"waiting", "delayed", "blocked", "completed", "dlq", "cancelled"}),
        frozenset(),
    ),
}
# The operations that answer "already" when the same lease had said the same before.
REPEATABLE: Final = frozenset({"ack", "fail", "release"})

Outcome = Literal["created", "existing", "replaced"]


@dataclass(slots=True)
class QueueState:
    """What a person set for a queue; None means the default."""

    paused: str | None = None
    settings: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(SETTINGS))

    @property
    def is_default(self) -> bool:
        return self.paused is None and not any(v is not None for v in self.settings.values())


@dataclass(slots=True)
class WorkerState:
    """What a worker last reported, and the jobs it lost or should stop and has not been told of."""

    id: str
    first_seen_at: int
    last_seen_at: int
    report: dict[str, Any] = field(default_factory=dict)
    last_pull_at: int | None = None
    transport: str = "http"
    client: str | None = None
    deaf: bool = False
    lost: dict[str, None] = field(default_factory=dict)  # in order, as are those below
    cancelled: dict[str, None] = field(default_factory=dict)


class FakeQueue:
    """
    Jobs, queues and workers in memory.

    `now` is in milliseconds since the epoch and stands still between calls of `advance`. `seed` decides backoff
    jitter and weighted pulls, so that a run can be repeated.
    """

    def __init__(self, now: int, seed: int = 0) -> None:
        self.now = now
        self.jobs: dict[str, FakeJob] = {}
        self.queues: dict[str, QueueState] = {}
        self.workers: dict[str, WorkerState] = {}
        self.notices: list[
            tuple[Any, dict[str, Any]]
        ] = []  # (session, notice), emptied by the shell
        self._random = random.Random(seed)
        self._sequence = 0
        self._keys: dict[
            tuple[str, str], str
        ] = {}  # (queue, unique_key) -> the job that took it last
        self._claims: dict[str, list[tuple[str, int]]] = {}  # request_id -> (job, delivery)

    # --- pushing ---

    def push(self, queue: str, item: dict[str, Any], pointer: str = "") -> tuple[str, Outcome]:
        """Insert one job, or answer with the one that is there already (JW-PUSH)."""
        job_id = item.get("id") or str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        known = self.jobs.get(job_id)
        if known is not None:
            return self._repeated(known, queue, item, pointer)
        self._refuse_paused(queue, pointer)
        holder = self._holder(queue, item.get("unique_key"))
        if holder is not None:
            answer = self._conflict(holder, item.get("on_conflict", "reject"), pointer)
            if answer is not None:
                return answer
        self._refuse_full(queue, pointer, freed=0 if holder is None else 1)
        job = self._new_job(job_id, queue, item)
        self._attach_parents(job, pointer)
        if holder is not None:
            self._finish(holder, "cancelled", reason="replaced")
        self._insert(job)
        return job.id, "created" if holder is None else "replaced"

    def push_all(self, queue: str, items: Sequence[dict[str, Any]]) -> list[tuple[str, Outcome]]:
        """Insert all or none (JW-PUSH-6); the refusal of one item names it by its pointer."""
        saved = self._snapshot()
        answers: dict[int, tuple[str, Outcome]] = {}
        try:
            order = parents_first(items)
            if len(order) < len(items):
                raise circular(min(set(range(len(items))).difference(order)))
            for index in order:
                answers[index] = self.push(queue, items[index], f"/jobs/{index}")
        except Refused:
            self._restore(saved)
            raise
        return [answers[index] for index in range(len(items))]

    def _repeated(
        self, known: FakeJob, queue: str, item: dict[str, Any], pointer: str
    ) -> tuple[str, Outcome]:
        same = (known.queue, known.name, known.data) == (queue, item["name"], item.get("data", {}))
        if same or known.state == "removed":
            return known.id, "existing"
        raise Refused(
            "ID_CONFLICT",
            f"Job '{known.id}' exists with another queue, name or data",
            {"id": known.id, "pointer": f"{pointer}/id"},
        )

    def _conflict(
        self, holder: FakeJob, on_conflict: str, pointer: str
    ) -> tuple[str, Outcome] | None:
        """What becomes of a push whose key is taken; None when it replaces the holder."""
        if on_conflict == "ignore":
            return holder.id, "existing"
        if on_conflict == "replace" and holder.state in ("waiting", "delayed", "blocked"):
            return None
        raise self._key_taken(holder, f"{pointer}/unique_key")

    def _key_taken(self, holder: FakeJob, pointer: str) -> Refused:
        message = f"Duplicate unique key '{holder.unique_key}'"
        return Refused("DUPLICATE_KEY", message, {"existing_id": holder.id, "pointer": pointer})

    def _holder(self, queue: str, key: str | None) -> FakeJob | None:
        """The job that holds a unique key now: unfinished, or within its window."""
        if key is None:
            return None
        job = self.jobs.get(self._keys.get((queue, key), ""))
        if job is None or not job.is_finished:
            return job
        return job if job.created_at + (job.unique_for_ms or 0) > self.now else None

    def _refuse_paused(self, queue: str, pointer: str) -> None:
        if self.state_of(queue).paused in ("push", "both"):
            details = {"queue": queue, "pointer": pointer or "/queue"}
            raise Refused("QUEUE_PAUSED", f"Queue '{queue}' is paused", details)

    def _refuse_full(self, queue: str, pointer: str, freed: int) -> None:
        limit = self.state_of(queue).settings["max_length"]
        unfinished = sum(1 for job in self.of_queue(queue) if not job.is_finished)
        if limit is not None and unfinished - freed >= limit:
            details = {"queue": queue, "limit": limit, "pointer": pointer or "/queue"}
            message = f"Queue '{queue}' holds {limit} unfinished jobs"
            raise Refused("QUEUE_FULL", message, details, retry_after_ms=FULL_RETRY_MS)

    def _new_job(self, job_id: str, queue: str, item: dict[str, Any]) -> FakeJob:
        kept = {k: v for k, v in item.items() if k not in _NOT_KEPT}
        kept["max_attempts"] = max(1, kept.get("max_attempts", 3))
        run_at = max(self.now, item.get("run_at", self.now + item.get("delay_ms", 0)))
        self._sequence += 1
        job = FakeJob(
            **{"data": {}, **kept},
            id=job_id,
            queue=queue,
            created_at=self.now,
            updated_at=self.now,
            run_at=run_at,
            sequence=self._sequence,
        )
        job.state = "delayed" if run_at > self.now else "waiting"
        return job

    def _attach_parents(self, job: FakeJob, pointer: str) -> None:
        for index, parent_id in enumerate(job.depends_on):
            at = f"{pointer}/depends_on/{index}"
            parent = self.jobs.get(parent_id)
            if parent is None or (parent.state == "removed" and parent.completed_at is None):
                raise invalid(at, f"Dependency parent job '{parent_id}' not found")
            if parent.state in ("dlq", "cancelled"):
                state = parent.state.capitalize()
                raise invalid(
                    at, f"Dependency parent job '{parent_id}' is in terminal state '{state}'"
                )
            job.pending_parents += not parent.is_finished
            job.depth = max(job.depth, parent.depth + 1)
        if job.depth > DAG_DEPTH:
            message = f"Dependency chain exceeds maximum depth of {DAG_DEPTH}"
            raise invalid(f"{pointer}/depends_on", message, limit=DAG_DEPTH)

    def _insert(self, job: FakeJob) -> None:
        if job.pending_parents:
            job.state = "blocked"
        self.jobs[job.id] = job
        if job.unique_key is not None:
            self._keys[job.queue, job.unique_key] = job.id

    def _snapshot(self) -> Any:
        # A push changes only these, and other jobs by replacing; jobs are copied shallowly field by field.
        return (
            {job_id: (job, _fields_of(job)) for job_id, job in self.jobs.items()},
            dict(self._keys),
            list(self.notices),
        )

    def _restore(self, saved: Any) -> None:
        jobs, self._keys, self.notices = saved
        self.jobs = {}
        for job_id, (job, values) in jobs.items():
            for name, value in values.items():
                setattr(job, name, value)
            self.jobs[job_id] = job

    # --- pulling ---

    def pull(
        self,
        queues: Sequence[str],
        *,
        count: int,
        lease_ms: int | None = None,
        weights: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        worker_id: str | None = None,
        request_id: str | None = None,
        owner: Any = None,
    ) -> list[FakeJob]:
        """Lease up to *count* jobs (JW-PULL); a request_id asked again answers the leases that still live."""
        again = self._claimed(request_id)
        if again:
            for job in again:
                job.owner = owner
            return again
        order = self._draw(queues, weights)
        taken = [
            self._lease(job, lease_ms, worker_id, owner)
            for job in self._ready(order, names)[:count]
        ]
        if request_id is not None and taken:
            self._claims[request_id] = [(job.id, job.delivery) for job in taken]
        return taken

    def _claimed(self, request_id: str | None) -> list[FakeJob]:
        claims = self._claims.get(request_id or "", [])
        jobs = [(self.jobs.get(job_id), delivery) for job_id, delivery in claims]
        return [
            job
            for job, delivery in jobs
            if job is not None and job.state == "active" and job.delivery == delivery
        ]

    def _draw(self, queues: Sequence[str], weights: Sequence[int] | None) -> list[str]:
        """The queues in the order in which this pull tries them."""
        if weights is None:
            return list(queues)
        # Efraimidis and Spirakis: sorting by u^(1/w) draws without replacement in proportion to w.
        keyed = [
            (self._random.random() ** (1 / w), q) for q, w in zip(queues, weights, strict=True)
        ]
        return [queue for _, queue in sorted(keyed, reverse=True)]

    def _ready(self, queues: Iterable[str], names: Sequence[str] | None) -> list[FakeJob]:
        found: list[FakeJob] = []
        for queue in dict.fromkeys(queues):
            if self.state_of(queue).paused in ("pull", "both"):
                continue
            waiting = (job for job in self.of_queue(queue) if job.state == "waiting")
            named = (job for job in waiting if not names or job.name in names)
            found += sorted(named, key=lambda job: job.order)
        return found

    def _lease(
        self, job: FakeJob, lease_ms: int | None, worker_id: str | None, owner: Any
    ) -> FakeJob:
        job.state = "active"
        job.delivery += 1
        job.lease_ms = lease_ms or self.state_of(job.queue).settings["lease_ms"] or DEFAULT_LEASE_MS
        job.lease_expires_at = self.now + job.lease_ms
        job.started_at = job.updated_at = self.now
        job.last_heartbeat = job.settled_by = None
        job.worker_id = worker_id
        job.owner = owner
        return job

    # --- what a worker says about its job ---

    def ack(self, job_id: str, lease: str | None, result: Any = None) -> bool:
        """The job is done; True when this lease had said so before (JW-ACK)."""
        job, already = self._speaks("ack", job_id, lease)
        if not already:
            job.result, job.completed_at = result, self.now
            self._finish(job, "completed", settled_by="ack")
        return already

    def fail(
        self,
        job_id: str,
        lease: str | None,
        message: str,
        retry_in_ms: int | None = None,
        discard: bool = False,
    ) -> bool:
        """This attempt failed; True when this lease had said so before (JW-FAIL)."""
        job, already = self._speaks("fail", job_id, lease)
        if not already:
            wait = self._backoff(job) if retry_in_ms is None else retry_in_ms
            self._failed(job, "error", message, wait, settled_by="fail", give_up=discard)
        return already

    def release(self, job_id: str, lease: str | None, delay_ms: int = 0) -> bool:
        """Give the job back without burning an attempt; True when this lease had done so before."""
        job, already = self._speaks("release", job_id, lease)
        if already:
            return True
        if job.cancel_requested_at is not None:
            self._finish(job, "cancelled", reason="cancelled", settled_by="release")
            return False
        self._end_lease(job, "release")
        job.state = "delayed" if delay_ms > 0 else "waiting"
        job.run_at = self.now + delay_ms if delay_ms > 0 else job.run_at
        return False

    def heartbeat(self, job_id: str, lease: str | None, lease_ms: int | None = None) -> FakeJob:
        """The worker lives: its lease lasts its length from now on (JW-HB)."""
        job, _ = self._speaks("heartbeat", job_id, lease)
        job.lease_ms = lease_ms or job.lease_ms
        job.lease_expires_at = self.now + job.lease_ms
        job.last_heartbeat = job.updated_at = self.now
        return job

    def progress(self, job_id: str, lease: str | None, percent: int, message: str | None) -> None:
        """How far the handler is, and a line for the log (JW-PROG)."""
        job, _ = self._speaks("progress", job_id, lease)
        job.progress, job.updated_at = min(percent, 100), self.now
        if message is not None:
            job.logs = [*job.logs, {"at": self.now, "message": message}][-LOGS_KEPT:]

    def _speaks(self, operation: str, job_id: str, lease: str | None) -> tuple[FakeJob, bool]:
        """The job, and whether this lease has said the same before; raises when it may not speak (JW-LEASE)."""
        job = self._known(job_id)
        ours = lease is None or lease == job.lease
        if job.state == "active" and ours:
            return job, False
        if lease is not None and ours and operation in REPEATABLE and job.settled_by == operation:
            return job, True
        if job.state == "removed":
            raise job_not_found(job_id)
        raise lease_lost(job) if lease is not None else invalid_state(job, "Active")

    # --- what a caller asks for ---

    def cancel(self, job_id: str) -> tuple[FakeJob, bool]:
        """Stop the job, or ask its worker to; True when that had been done before (JW-CANCEL)."""
        job, already = self._asked("cancel", job_id)
        if already or job.cancel_requested_at is not None:
            return job, True
        if job.state != "active":
            self._finish(job, "cancelled", reason="cancelled")
            return job, False
        job.cancel_requested_at = job.updated_at = self.now
        if job.worker_id in self.workers:
            self.workers[job.worker_id].cancelled[job.id] = None
        self._notify("job.cancel", job)
        return job, False

    def retry(self, job_id: str) -> FakeJob:
        """Run a dead letter or a cancelled job again, attempts from the start (JW-RETRY)."""
        job, _ = self._asked("retry", job_id)
        holder = self._holder(job.queue, job.unique_key)
        if holder is not None and holder is not job:
            raise self._key_taken(holder, "/id")
        waits = (
            job.state == "cancelled" and job.pending_parents > 0 and job.reason != "parent_failed"
        )
        job.state = "blocked" if waits else "waiting"
        job.run_at = job.updated_at = self.now
        job.attempt = 0
        job.reason = job.ttl_ms = job.completed_at = job.finished_at = None
        job.cancel_requested_at = job.settled_by = None
        if job.unique_key is not None:
            self._keys[job.queue, job.unique_key] = job.id
        return job

    def promote(self, job_id: str) -> tuple[FakeJob, bool]:
        """A delayed job is ready now; True when it was waiting already."""
        job, already = self._asked("promote", job_id)
        if not already:
            job.state = "waiting"
            job.run_at = job.updated_at = self.now
        return job, already

    def delete(self, job_id: str) -> None:
        """Forget the job; whoever waits for it is cancelled (JW-DEL)."""
        job, _ = self._asked("delete", job_id)
        was_finished = job.is_finished
        job.state, job.finished_at, job.updated_at = "removed", self.now, self.now
        if not was_finished:
            self._take_down_children(job, died=False)

    def get(self, job_id: str) -> FakeJob:
        """The job; raises JOB_NOT_FOUND for one that was removed."""
        job = self._known(job_id)
        if job.state == "removed":
            raise job_not_found(job_id)
        return job

    def _asked(self, operation: str, job_id: str) -> tuple[FakeJob, bool]:
        job = self.get(job_id)
        moves, already = CALLER_STATES[operation]
        if job.state in already:
            return job, True
        if job.state not in moves:
            allowed = sorted(moves | already, key=_STATES.index)
            raise invalid_state(job, " or ".join(state.capitalize() for state in allowed))
        return job, False

    def _known(self, job_id: str) -> FakeJob:
        job = self.jobs.get(job_id)
        if job is None:
            raise job_not_found(job_id)
        return job

    # --- time ---

    def advance(self, milliseconds: int) -> None:
        """Move the clock on; everything that falls due on the way happens in its order, at its instant."""
        target = self.now + milliseconds
        while (job := self._next_due(target)) is not None:
            self.now = max(self.now, job.due_at or self.now)
            self._elapse(job)
        self.now = target
        self._prune()

    def grace(self) -> None:
        """What a start gives every active lease: its whole length again (C6)."""
        for job in self.jobs.values():
            if job.state == "active":
                job.lease_expires_at = max(job.lease_expires_at or 0, self.now + job.lease_ms)

    def _next_due(self, until: int) -> FakeJob | None:
        due = (job for job in self.jobs.values() if job.due_at is not None and job.due_at <= until)
        return min(due, key=lambda job: (job.due_at or 0, job.sequence), default=None)

    def _elapse(self, job: FakeJob) -> None:
        if job.state == "active":
            self._overdue(job)
        elif job.expires_at is not None and job.expires_at <= self.now:
            self._finish(job, "cancelled", reason="expired")
        else:
            job.state, job.updated_at = "waiting", self.now

    def _overdue(self, job: FakeJob) -> None:
        """Of lease and timeout, the one that ended first counts (JW-TIME-4)."""
        if job.worker_id in self.workers:
            self.workers[job.worker_id].lost[job.id] = None
        self._notify("lease.lost", job)
        timeout, lease = job.timeout_at, job.lease_expires_at
        if timeout is not None and timeout <= self.now and (lease is None or timeout < lease):
            wait = self._backoff(job)
            self._failed(job, "timeout", TIMEOUT_MESSAGE, wait, settled_by="timeout")
        else:
            self._failed(job, "lease_expired", LEASE_MESSAGE, 0, settled_by="lease_expired")

    def _prune(self) -> None:
        """Forget tombstones, and finished jobs past their queue's retention."""
        gone = [job.id for job in self.jobs.values() if self._is_past(job)]
        for job_id in gone:
            del self.jobs[job_id]

    def _is_past(self, job: FakeJob) -> bool:
        if job.finished_at is None:
            return False
        kept: int | None = TOMBSTONE_MS
        if job.state != "removed":
            kept = self.state_of(job.queue).settings[f"retention_{job.state}_ms"]
        if kept is None:
            kept = RETENTION_MS[job.state]
        holds_key = self.now < job.created_at + (job.unique_for_ms or 0)
        return job.finished_at + kept <= self.now and not holds_key

    # --- the steps they share ---

    def _failed(
        self,
        job: FakeJob,
        kind: str,
        message: str,
        wait: int,
        *,
        settled_by: str,
        give_up: bool = False,
    ) -> None:
        job.attempt += 1
        entry = {
            "attempt": job.attempt,
            "at": self.now,
            "kind": kind,
            "message": message,
            "worker_id": job.worker_id,
        }
        job.last_error, job.errors = message, [*job.errors, entry][-ERRORS_KEPT:]
        if job.cancel_requested_at is not None:
            self._finish(job, "cancelled", reason="cancelled", settled_by=settled_by)
        elif give_up or job.attempt >= job.max_attempts:
            reason = "poison" if kind == "lease_expired" else "failed"
            self._finish(job, "dlq", reason=reason, settled_by=settled_by)
        else:
            self._end_lease(job, settled_by)
            job.state = "delayed" if wait > 0 else "waiting"
            job.run_at = self.now + wait

    def _end_lease(self, job: FakeJob, settled_by: str) -> None:
        job.lease_expires_at, job.settled_by, job.updated_at = None, settled_by, self.now

    def _finish(
        self,
        job: FakeJob,
        state: str,
        *,
        reason: str | None = None,
        settled_by: str | None = None,
    ) -> None:
        """End the job, and what waits for it: completed releases, dlq and cancelled take down (JW-DEP)."""
        removed = (state == "completed" and job.remove_on_complete) or (
            state == "dlq" and job.remove_on_fail
        )
        self._end_lease(job, settled_by or job.settled_by or "")
        job.settled_by = job.settled_by or None
        job.state = "removed" if removed else state
        job.reason, job.finished_at = reason, self.now
        if state == "completed":
            self._release_children(job)
        else:
            self._take_down_children(job, died=state == "dlq")

    def _children(self, parent: FakeJob) -> list[FakeJob]:
        return [job for job in self.jobs.values() if parent.id in job.depends_on]

    def _release_children(self, parent: FakeJob) -> None:
        for child in self._children(parent):
            child.pending_parents = max(child.pending_parents - 1, 0)
            if child.state == "blocked" and child.pending_parents == 0:
                child.state = "delayed" if child.run_at > self.now else "waiting"
                child.run_at, child.updated_at = max(child.run_at, self.now), self.now

    def _take_down_children(self, parent: FakeJob, *, died: bool) -> None:
        for child in self._children(parent):
            if child.state == "blocked":
                end = "moved to DLQ" if died else "was cancelled"
                child.last_error = f"parent job '{parent.id}' {end}"
                self._finish(child, "dlq" if died else "cancelled", reason="parent_failed")

    def _backoff(self, job: FakeJob) -> int:
        """How long the job waits after its next failure (JW-FAIL-3)."""
        attempt, base = job.attempt + 1, job.backoff_delay_ms
        schedule = job.backoff_schedule_ms
        if schedule:
            delay = schedule[min(attempt, len(schedule)) - 1]
        else:
            growth: dict[str, Callable[[], int]] = {
                "fixed": lambda: base,
                "linear": lambda: base * attempt,
                "exponential": lambda: base << min(attempt - 1, 63),
            }
            delay = growth[job.backoff]()
        delay = min(delay, job.backoff_max_ms)
        return delay - int(delay * job.jitter * self._random.random())

    def _notify(self, notice: str, job: FakeJob) -> None:
        if job.owner is not None:
            self.notices.append((job.owner, {"notice": notice, "id": job.id, "lease": job.lease}))

    # --- queues and workers ---

    def state_of(self, queue: str) -> QueueState:
        return self.queues.get(queue) or QueueState()

    def settings_of(self, queue: str) -> QueueState:
        """The settings of a queue, to be changed."""
        return self.queues.setdefault(queue, QueueState())

    def of_queue(self, queue: str) -> list[FakeJob]:
        return [job for job in self.jobs.values() if job.queue == queue and job.state != "removed"]

    def oldest_dead(self, queue: str) -> list[FakeJob]:
        """The dead letters of a queue, oldest first."""
        dead = (job for job in self.of_queue(queue) if job.state == "dlq")
        return sorted(dead, key=lambda job: (job.finished_at or 0, job.sequence))

    def dead_letter(self, queue: str, job_id: str) -> FakeJob:
        """A dead letter of this queue; raises for any other job (JW-DLQ-4)."""
        job = self.get(job_id)
        if job.queue != queue:
            raise job_not_found(job_id)
        if job.state != "dlq":
            raise invalid_state(job, "Dlq")
        return job

    def worker(self, worker_id: str, transport: str, client: str | None = None) -> WorkerState:
        """The worker of this name, seen now."""
        seen = self.workers.setdefault(worker_id, WorkerState(worker_id, self.now, self.now))
        seen.last_seen_at, seen.transport = self.now, transport
        seen.client = client or seen.client
        return seen

    def held_by(self, worker_id: str) -> list[FakeJob]:
        held = (job for job in self.jobs.values() if job.state == "active")
        return [job for job in held if job.worker_id == worker_id]


_NOT_KEPT: Final = frozenset({"id", "delay_ms", "run_at", "on_conflict"})
_STATES: Final = ("waiting", "delayed", "blocked", "active", "completed", "dlq", "cancelled")


def _fields_of(job: FakeJob) -> dict[str, Any]:
    return {name: getattr(job, name) for name in FakeJob.__slots__}


def parents_first(items: Sequence[dict[str, Any]]) -> list[int]:
    """
    The indexes of a batch so that parents come before their children, otherwise in the order given. Left out are those that wait for each other in a
    circle (JW-DEP-3), or for such jobs.
    """
    place = {item["id"]: index for index, item in enumerate(items) if item.get("id")}
    waits = [{place[p] for p in item.get("depends_on", ()) if p in place} for item in items]
    order: list[int] = []
    while len(order) < len(items):
        ready = [i for i in range(len(items)) if i not in order and waits[i] <= set(order)]
        if not ready:
            break
        order += ready
    return order


def circular(index: int) -> Refused:
    return invalid(f"/jobs/{index}/depends_on", "Circular dependency detected")
