"""
The life of jobs once more, in the plainest words: what test_model.py compares the server with.

It is written from spec/lifecycle.md, without a look at how the server does it: no revisions, no stores, a dict of jobs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

LEASE_MS = 30_000
RECOUNT_MS = 60_000
UNFINISHED = ("waiting", "delayed", "blocked", "active")


@dataclass
class Options:
    """What a push of the model can ask for."""

    priority: int = 0
    delay: int = 0
    max_attempts: int = 3
    backoff: int = 0
    ttl: int | None = None
    timeout: int | None = None
    key: str | None = None
    on_conflict: str = "reject"
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    parents: tuple[str, ...] = ()


@dataclass
class ModelJob:
    id: str
    queue: str
    order: int
    created: int
    options: Options
    state: str = "waiting"
    run_at: int = 0
    attempt: int = 0
    delivery: int = 0
    lease: str | None = None
    lease_end: int = 0
    started: int = 0
    floor: int = 0  # the grace after a restart
    settled: str | None = None
    stop: bool = False
    reason: str | None = None
    acked: bool = False
    ttl: int | None = None
    waits_for: set[str] = field(default_factory=set)

    @property
    def expires(self) -> int | None:
        return None if self.ttl is None else self.created + self.ttl

    @property
    def times_out(self) -> int | None:
        return None if self.options.timeout is None else self.started + self.options.timeout

    def due(self) -> int | None:
        instants = {
            "waiting": [self.expires],
            "delayed": [self.run_at, self.expires],
            "active": [self.lease_end, self.times_out],
        }.get(self.state, [])
        known = [instant for instant in instants if instant is not None]
        return max(min(known), self.floor if self.state == "active" else 0) if known else None


class Model:
    """Every method answers with what the server must answer: "ok", "already", an outcome, or the code of the refusal."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.jobs: dict[str, ModelJob] = {}
        self.paused: dict[str, str] = {}
        self.max_length: dict[str, int] = {}
        self.next_recount = 0

    # --- what callers do ---

    def push(self, job_id: str, queue: str, options: Options) -> str:
        if job_id in self.jobs:
            return "existing"
        if self.paused.get(queue) in ("push", "both"):
            return "QUEUE_PAUSED"
        holder = self.holder(queue, options.key)
        if holder is not None:
            if options.on_conflict == "ignore":
                return "existing"
            if options.on_conflict == "reject" or holder.state == "active":
                return "DUPLICATE_KEY"
        length = sum(job.queue == queue and job.state in UNFINISHED for job in self.jobs.values())
        if holder is not None:
            # In one step: what the end of the holder takes down makes room as well.
            length -= sum(1 for job in self._below(holder) if job.queue == queue) + 1
        if length >= self.max_length.get(queue, 10**9):
            return "QUEUE_FULL"
        taken_down = (
            set() if holder is None else {holder.id, *(job.id for job in self._below(holder))}
        )
        parents = [self.jobs.get(parent) for parent in options.parents]
        if any(
            p is None
            or p.id in taken_down
            or p.state in ("dlq", "cancelled")
            or (p.state == "removed" and not p.acked)
            for p in parents
        ):
            return "VALIDATION_ERROR"
        if holder is not None:
            self._end(holder, "cancelled", "replaced")
        self._insert(job_id, queue, options)
        return "created" if holder is None else "replaced"

    def _insert(self, job_id: str, queue: str, options: Options) -> None:
        job = ModelJob(job_id, queue, len(self.jobs), self.now, options, ttl=options.ttl)
        job.run_at = self.now + options.delay
        job.waits_for = {p for p in options.parents if self.jobs[p].state in UNFINISHED}
        job.state = "blocked" if job.waits_for else "delayed" if options.delay else "waiting"
        self.jobs[job_id] = job

    def pull(self, queue: str, count: int) -> list[str]:
        if self.paused.get(queue) in ("pull", "both"):
            return []
        ready = [
            job
            for job in self.jobs.values()
            if job.queue == queue
            and job.state == "waiting"
            and (job.expires is None or job.expires > self.now)
        ]
        ready.sort(
            key=lambda job: (
                -job.options.priority,
                -job.run_at if job.options.lifo else job.run_at,
                job.order,
            )
        )
        for job in ready[:count]:
            job.state, job.delivery, job.settled = "active", job.delivery + 1, None
            job.started, job.lease_end, job.floor = self.now, self.now + LEASE_MS, 0
        return [job.id for job in ready[:count]]

    def speak(self, operation: str, job_id: str, lease: str | None) -> str:
        """Whether a worker may speak for the job: "ok", "already" or a code."""
        job = self.jobs[job_id]
        ours = lease is None or lease == job.lease
        if job.state == "active" and ours:
            return "ok"
        if lease is not None and ours and job.settled == operation:
            return "already"
        if job.state == "removed":
            return "JOB_NOT_FOUND"
        return "INVALID_STATE" if lease is None else "LEASE_LOST"

    def ack(self, job_id: str, lease: str | None) -> str:
        verdict = self.speak("ack", job_id, lease)
        if verdict == "ok":
            job = self.jobs[job_id]
            job.settled, job.acked = "ack", True
            job.state = "removed" if job.options.remove_on_complete else "completed"
            self._release_children(job)
        return verdict

    def fail(self, job_id: str, lease: str | None, *, discard: bool) -> str:
        verdict = self.speak("fail", job_id, lease)
        if verdict == "ok":
            self._failed(
                self.jobs[job_id], "fail", self.jobs[job_id].options.backoff, discard=discard
            )
        return verdict

    def release(self, job_id: str, lease: str | None, delay: int) -> str:
        verdict = self.speak("release", job_id, lease)
        if verdict == "ok":
            job = self.jobs[job_id]
            job.settled = "release"
            if job.stop:
                self._end(job, "cancelled", "cancelled")
            elif delay:
                job.state, job.run_at = "delayed", self.now + delay
            else:
                job.state = "waiting"
        return verdict

    def heartbeat(self, job_id: str, lease: str | None) -> str:
        verdict = self.speak("heartbeat", job_id, lease)
        if verdict == "ok":
            self.jobs[job_id].lease_end, self.jobs[job_id].floor = self.now + LEASE_MS, 0
        return verdict

    def progress(self, job_id: str, lease: str | None) -> str:
        verdict = self.speak("progress", job_id, lease)
        if verdict == "ok":
            self.jobs[job_id].floor = 0
        return verdict

    def cancel(self, job_id: str) -> str:
        job = self.jobs[job_id]
        if job.state == "removed":
            return "JOB_NOT_FOUND"
        if job.state in ("completed", "dlq"):
            return "INVALID_STATE"
        if job.state == "cancelled" or (job.state == "active" and job.stop):
            return "already"
        if job.state == "active":
            job.stop, job.floor = True, 0
        else:
            self._end(job, "cancelled", "cancelled")
        return "ok"

    def retry(self, job_id: str) -> str:
        job = self.jobs[job_id]
        if job.state == "removed":
            return "JOB_NOT_FOUND"
        if job.state not in ("dlq", "cancelled"):
            return "INVALID_STATE"
        if self.holder(job.queue, job.options.key) is not None:
            return "DUPLICATE_KEY"
        waits = job.state == "cancelled" and job.waits_for and job.reason != "parent_failed"
        job.state = "blocked" if waits else "waiting"
        job.run_at, job.attempt, job.reason, job.ttl = self.now, 0, None, None
        job.settled, job.stop = None, False
        return "ok"

    def promote(self, job_id: str) -> str:
        job = self.jobs[job_id]
        if job.state == "removed":
            return "JOB_NOT_FOUND"
        if job.state == "waiting":
            return "already"
        if job.state != "delayed":
            return "INVALID_STATE"
        job.state, job.run_at = "waiting", self.now
        return "ok"

    def delete(self, job_id: str) -> str:
        job = self.jobs[job_id]
        if job.state == "removed":
            return "JOB_NOT_FOUND"
        if job.state == "active":
            return "INVALID_STATE"
        if job.state in UNFINISHED:
            self._end(job, "removed", "cancelled")
        else:
            job.state, job.reason = "removed", "cancelled"
        return "ok"

    # --- what time does ---

    def pass_time(self, ms: int) -> None:
        self.now += ms
        while due := sorted(
            (at, job.order, job)
            for job in self.jobs.values()
            if (at := job.due()) is not None and at <= self.now
        ):
            self._elapse(due[0][2])
        if self.now >= self.next_recount:
            self.next_recount = self.now + RECOUNT_MS
            self._recount()

    def restart(self) -> None:
        """The server starts anew: grace for every lease, and its housekeeping from the start."""
        self.next_recount = 0
        for job in self.jobs.values():
            if job.state == "active":
                job.floor = self.now + LEASE_MS
                job.lease_end = max(job.lease_end, job.floor)

    def _elapse(self, job: ModelJob) -> None:
        if job.state == "active":
            timeout = job.times_out
            if timeout is not None and timeout <= self.now and timeout < job.lease_end:
                self._failed(job, "timeout", job.options.backoff)
            else:
                self._failed(job, "lease_expired", 0)
        elif job.expires is not None and job.expires <= self.now:
            self._end(job, "cancelled", "expired")
        else:
            job.state = "waiting"

    def _recount(self) -> None:
        """What is blocked by nothing is freed, what is blocked by the dead goes down; each looked at as it stood before."""
        before = {job.id: job.state for job in self.jobs.values()}
        seen: list[tuple[ModelJob, str | None, set[str]]] = []
        for job in sorted(self.jobs.values(), key=lambda job: -job.order):
            if job.state == "blocked":
                dead = next(
                    (before[p] for p in job.options.parents if before[p] in ("dlq", "cancelled")),
                    None,
                )
                seen.append(
                    (job, dead, {p for p in job.options.parents if before[p] in UNFINISHED})
                )
        for job, dead, waits_for in seen:
            if job.state != "blocked":
                continue
            if dead is not None:
                self._take_down(job, died=dead == "dlq")
            elif waits_for != job.waits_for:
                job.waits_for = waits_for
                self._free(job)

    # --- the steps they share ---

    def holder(self, queue: str, key: str | None) -> ModelJob | None:
        """The unfinished job that holds a unique key."""
        held = (
            job
            for job in self.jobs.values()
            if key is not None
            and job.queue == queue
            and job.options.key == key
            and job.state in UNFINISHED
        )
        return next(held, None)

    def _failed(self, job: ModelJob, settled: str, wait: int, *, discard: bool = False) -> None:
        job.settled, job.attempt = settled, job.attempt + 1
        if job.stop:
            self._end(job, "cancelled", "cancelled")
        elif discard or job.attempt >= job.options.max_attempts:
            reason = "poison" if settled == "lease_expired" else "failed"
            self._end(job, "removed" if job.options.remove_on_fail else "dlq", reason)
        else:
            job.state, job.run_at = ("delayed" if wait else "waiting"), self.now + wait

    def _end(self, job: ModelJob, state: str, reason: str) -> None:
        job.state, job.reason = state, reason
        died = reason in ("failed", "poison")
        for child in self._children(job):
            if child.state == "blocked":
                self._take_down(child, died=died)

    def _take_down(self, job: ModelJob, *, died: bool) -> None:
        dead = "removed" if job.options.remove_on_fail else "dlq"
        job.state, job.reason = (dead if died else "cancelled"), "parent_failed"
        for child in self._children(job):
            if child.state == "blocked":
                self._take_down(child, died=died)

    def _release_children(self, job: ModelJob) -> None:
        for child in self._children(job):
            child.waits_for.discard(job.id)
            self._free(child)

    def _free(self, job: ModelJob) -> None:
        if job.state == "blocked" and not job.waits_for:
            job.state = "delayed" if job.run_at > self.now else "waiting"
            job.run_at = max(job.run_at, self.now)

    def _children(self, parent: ModelJob) -> list[ModelJob]:
        """Those that waited for it from the start."""
        return [job for job in self.jobs.values() if parent.id in job.waits_for]

    def _below(self, job: ModelJob) -> list[ModelJob]:
        """The blocked jobs that would go down with it."""
        found: dict[str, ModelJob] = {}
        todo = [job]
        while todo:
            for child in self._children(todo.pop()):
                if child.state == "blocked" and child.id not in found:
                    found[child.id] = child
                    todo.append(child)
        return list(found.values())

    def counts(self, queue: str) -> dict[str, int]:
        """The jobs of a queue in each state, without those that are gone."""
        states = Counter(job.state for job in self.jobs.values() if job.queue == queue)
        del states["removed"]
        return {state: number for state, number in states.items() if number}
