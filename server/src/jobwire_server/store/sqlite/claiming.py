"""
claim: waiting jobs become leases.

Plan: pulls that arrive together share what they read. The front of a queue, the seqs of its next jobs, is read as far as all of them
      could take, and handed out in order; what they take is noted and written in one statement.
Memory: jobs are read as far as they are taken, big data job by job, until the answer is full (JW-PULL-18).
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from jobwire_server.model import ClaimRequest, Job
from jobwire_server.store import images
from jobwire_server.store.sizes import Room
from jobwire_server.store.sqlite.queries import SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobwire_server.store.sqlite.reading import Pair
    from jobwire_server.store.sqlite.session import Session

ClaimArguments = tuple[ClaimRequest, int]  # request, now

# Seqs of one part of a front: read ahead for pulls that arrive together; one pull alone reads no more than it asks for.
FRONT_ROWS: Final = 256

# From this many jobs on, a claim has a statement of its own, which is cheaper a row; smaller ones share one.
MANY: Final = 8


def claim_all(session: Session, calls: Sequence[ClaimArguments]) -> list[list[Job]]:
    """The answers of several calls of claim."""
    session.flush()
    claiming = _Claiming(session, calls)
    return [claiming.claim(request, now) for request, now in calls]


class _Claiming:
    def __init__(self, session: Session, calls: Sequence[ClaimArguments]) -> None:
        self._session = session
        self._asked = sum(
            request.count for request, _ in calls
        )  # by this call and those that follow
        self._fronts: dict[str, deque[int]] = {}  # read, not handed out, still waiting in the file
        self._fronts_at = 0  # the instant whose ttl check they passed

    def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        before = self._claimed_before(request)
        if before:
            return before
        jobs: list[Job] = []
        room = Room(request.max_bytes)
        for queue in request.queues:
            if len(jobs) < request.count and not room.is_full:
                jobs += self._claim_from(queue, request, now, request.count - len(jobs), room)
        self._asked -= request.count
        self._remember(request, jobs, now)
        return jobs

    def _claim_from(
        self, queue: str, request: ClaimRequest, now: int, count: int, room: Room
    ) -> list[Job]:
        settings = self._session.settings_of(queue)
        if settings.paused in images.PAUSED_FOR_PULL or not self._session.count(queue, "waiting"):
            return []
        lease_ms = images.lease_length(request, settings)
        jobs: list[Job] = []
        while len(jobs) < count:
            wanted = min(count - len(jobs), FRONT_ROWS)
            part = self._claim_part(queue, request, lease_ms, now, wanted, room)
            jobs += part
            if len(part) < wanted:
                break
        return jobs

    def _claim_part(
        self, queue: str, request: ClaimRequest, lease_ms: int, now: int, count: int, room: Room
    ) -> list[Job]:
        """The next jobs of a queue under their leases: at most `count`, and as many as have room."""
        if request.names:
            front = self._named(queue, request.names, now, count)
        else:
            front = self._front(queue, now, count)
        taken: list[Pair] = []
        jobs: list[Job] = []
        with closing(self._session.waiting(list(islice(front, count)))) as pairs:
            for pair in pairs:
                job = images.leased(pair[1], request.worker_id, lease_ms, now)
                if not room.take(job):
                    break
                front.popleft()
                taken.append(pair)
                jobs.append(job)
        self._note(taken, jobs, queue, lease_ms, request.worker_id, now)
        return jobs

    def _note(
        self,
        taken: Sequence[Pair],
        jobs: Sequence[Job],
        queue: str,
        lease_ms: int,
        worker_id: str | None,
        now: int,
    ) -> None:
        if len(jobs) >= MANY:
            leased = [(seq, job) for (seq, _), job in zip(taken, jobs, strict=True)]
            self._session.lease(leased, queue, lease_ms, worker_id, now)
        else:
            for (seq, before), job in zip(taken, jobs, strict=True):
                self._session.change(seq, before.revision, "waiting", job)

    # --- what is next ---

    def _front(self, queue: str, now: int, count: int) -> deque[int]:
        """At least `count` seqs, if there are so many."""
        if now != self._fronts_at:
            self._fronts.clear()
            self._fronts_at = now
        front = self._fronts.get(queue)
        if front is None or len(front) < count:
            front = self._fronts[queue] = self._read_front(queue, now, count)
        return front

    def _read_front(self, queue: str, now: int, count: int) -> deque[int]:
        self._session.flush()
        rows = max(count, min(self._asked, FRONT_ROWS))
        return deque(self._session.listed("claim", queue, now, rows))

    def _named(self, queue: str, names: Iterable[str], now: int, count: int) -> deque[int]:
        """A few of each name, then the first of all; fronts may hold the same jobs, so they are read anew."""
        self._session.flush()
        self._fronts.clear()
        turns: list[Any] = []
        for name in dict.fromkeys(names):
            turns += self._session.listed("claim_named", queue, now, count, name)
        return deque(seq for *_, seq in sorted(turns)[:count])

    # --- request ids ---

    def _claimed_before(self, request: ClaimRequest) -> list[Job]:
        """The jobs that an earlier call with this request_id took and that are still active at that delivery (JW-PULL-11)."""
        if request.request_id is None:
            return []
        remembered = self._session.value("remembered_claim", request.request_id)
        if remembered is None:
            return []
        self._session.flush()
        taken = json.loads(remembered)
        jobs = self._session.get([job_id for job_id, _ in taken])
        return [
            job
            for job, (_, delivery) in zip(jobs, taken, strict=True)
            if job is not None and job.state == "active" and job.delivery == delivery
        ]

    def _remember(self, request: ClaimRequest, jobs: Sequence[Job], now: int) -> None:
        if jobs and request.request_id is not None:
            taken = json.dumps([(job.id, job.delivery) for job in jobs])
            binds = (request.request_id, taken, images.forget_claim_at(jobs, now))
            self._session.connection.execute(SQL["remember_claim"], binds)
