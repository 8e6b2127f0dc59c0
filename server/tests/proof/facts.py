"""A history sorted by job, so that each rule of the checker is a few lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from json import dumps, loads
from math import inf
from pathlib import Path
from typing import Any

from tests.proof.history import Call

SETTLING = ("ack", "fail", "release")
OF_A_LEASE = (*SETTLING, "heartbeat")
FINAL_FILE = "final.json"
JUDGED = ("id", "queue", "state", "reason", "data", "result", "attempt", "max_attempts", "delivery")
UNFINISHED = frozenset({"waiting", "delayed", "blocked", "active"})

PRUNED = "soak-"  # queues so named forget completed jobs soon
SLACK_US = 2_000  # the server counts in whole milliseconds

Job = dict[str, Any]

# What a rule finds: a sentence, and the calls that show it.
Found = Iterator[tuple[str, Sequence[Call]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What the server shows once all is quiet: every job, and its own counts by queue and state."""

    jobs: Sequence[Job]
    counts: dict[str, dict[str, int]]

    def by_id(self) -> dict[str, Job]:
        return {job["id"]: job for job in self.jobs}

    def save(self, folder: Path) -> None:
        """Keep it beside the ledgers, with only those members of a job that a rule asks for."""
        jobs = [{name: job[name] for name in JUDGED} for job in self.jobs]
        (folder / FINAL_FILE).write_text(dumps({"counts": self.counts, "jobs": jobs}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Final:
        return cls(**loads((folder / FINAL_FILE).read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A lease that a worker was given. It began between `t0` and `t1`, in µs."""

    id: str
    delivery: int
    lease: str
    attempt: int
    t0: int
    t1: int
    lease_us: int
    place: int  # in the answer of its pull
    pull: Call
    job: Job


@dataclass(frozen=True, slots=True)
class Life:
    """All that clients did with one id."""

    id: str
    pushes: list[Call] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)  # one a delivery, by delivery
    calls: list[Call] = field(
        default_factory=list
    )  # ack, fail, release, heartbeat, drop, cancel, retry

    def of(self, *ops: str) -> list[Call]:
        return [call for call in self.calls if call.op in ops]

    @property
    def options(self) -> dict[str, Any]:
        """The request that made it; repeats are equal."""
        return self.pushes[0].request if self.pushes else {}

    @property
    def acknowledged(self) -> list[Call]:
        """Pushes that were answered with this id."""
        return [call for call in self.pushes if call.out == "ok" and call.answer["id"] == self.id]

    @property
    def may_exist(self) -> bool:
        return any(call.out == "info" for call in self.pushes) or bool(self.acknowledged)

    @property
    def may_be_removed(self) -> bool:
        acked = any(call.may_have_happened for call in self.of("ack"))
        is_pruned = str(self.options.get("queue")).startswith(PRUNED)
        return acked and (is_pruned or bool(self.options.get("remove_on_complete")))

    def may_restart(self, since: float, until: float = inf) -> bool:
        """Whether a retry may have had its effect between these instants, in µs."""
        return any(
            call.may_have_happened and call.t0 <= until and call.latest >= since
            for call in self.of("retry")
        )

    def may_be_cancelled(self, until: float = inf) -> bool:
        return any(call.may_have_happened and call.t0 <= until for call in self.of("cancel"))

    @property
    def is_fully_known(self) -> bool:
        """Whether no lease was given in an answer that nobody read; a gap in the deliveries tells."""
        return [grant.delivery for grant in self.grants] == list(range(1, len(self.grants) + 1))

    def lease_end(self, grant: Grant) -> int:
        """The instant, in µs, before which the lease cannot have run out."""
        beats = [
            call.t0
            for call in self.of("heartbeat")
            if call.lease == grant.lease and call.out == "ok"
        ]
        return max([grant.t0, *beats]) + grant.lease_us

    def begin_of(self, call: Call) -> int:
        """The earliest instant, in µs, at which this call or the one that it repeats took effect."""
        same = [
            other.t0
            for other in self.calls
            if (other.op, other.lease) == (call.op, call.lease) and other.may_have_happened
        ]
        return min([call.t0, *same])


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue was certainly paused from the answer to `call` until `end`, in µs."""

    call: Call
    end: float

    @property
    def queue(self) -> str:
        return str(self.call.request["queue"])

    def stops(self, what: str) -> bool:
        """Whether it holds for `pull` or `push`."""
        return self.call.request["mode"] in (what, "both")

    def covers(self, t0: int, t1: int) -> bool:
        return self.call.returned < t0 and t1 < self.end


class Facts:
    """The calls of a history by job, and the kills among them."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = sorted(calls, key=lambda call: call.t0)

    @cached_property
    def kills(self) -> list[Call]:
        return [call for call in self.calls if call.op == "kill"]

    @cached_property
    def given(self) -> list[Grant]:
        """Every job of every answered pull, repeats too."""
        first = self._first_asked
        pulls = [call for call in self.calls if call.op == "pull" and call.out == "ok"]
        return [grant for call in pulls for grant in grants_of(call, first[request_of(call)])]

    @cached_property
    def _first_asked(self) -> dict[str, int]:
        first: dict[str, int] = {}
        for call in self.calls:
            if call.op == "pull":
                first.setdefault(request_of(call), call.t0)
        return first

    @cached_property
    def lives(self) -> dict[str, Life]:
        lives: dict[str, Life] = {}
        for call in self.calls:
            if call.id is not None:
                life = lives.setdefault(call.id, Life(call.id))
                (life.pushes if call.op == "push" else life.calls).append(call)
        for grant in self._first_given:
            lives.setdefault(grant.id, Life(grant.id)).grants.append(grant)
        return lives

    @cached_property
    def _first_given(self) -> list[Grant]:
        first: dict[tuple[str, int], Grant] = {}
        for grant in self.given:
            known = first.get((grant.id, grant.delivery))
            if known is None or grant.t1 < known.t1:
                first[grant.id, grant.delivery] = grant
        return sorted(first.values(), key=lambda grant: (grant.id, grant.delivery))

    @cached_property
    def pauses(self) -> list[Pause]:
        """One client pauses and resumes, one call after another."""
        calls = [c for c in self.calls if c.op in ("queue_pause", "queue_resume")]
        pairs = pairwise([*calls, None]) if calls else ()
        return [
            Pause(call, inf if after is None else after.t0)
            for call, after in pairs
            if call is not None and call.op == "queue_pause" and call.out == "ok"
        ]

    @cached_property
    def by_queue(self) -> dict[str, list[Life]]:
        """Jobs whose push was answered, by queue."""
        found: dict[str, list[Life]] = defaultdict(list)
        for life in self.lives.values():
            if life.acknowledged:
                found[life.options["queue"]].append(life)
        return found


def request_of(call: Call) -> str:
    """What makes two pulls the same one: the request_id, and without it the call."""
    return str(call.request.get("request_id") or call.key)


def grants_of(call: Call, asked: int) -> Iterator[Grant]:
    for place, job in enumerate(call.answer["jobs"]):
        yield Grant(
            id=job["id"],
            delivery=job["delivery"],
            lease=job["lease"],
            attempt=job["attempt"],
            t0=asked,
            t1=call.returned,
            lease_us=call.request["lease_ms"] * 1_000,
            place=place,
            pull=call,
            job=job,
        )
