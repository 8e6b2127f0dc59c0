"""T15: many connections push at once what must become one job; a round for each rule of ids and unique keys."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from tests.acceptance.processes import Server
from tests.proof.delivery.doors import Answer, Door, all_at_once, ok

UNFINISHED: Final = ("waiting", "delayed", "blocked", "active")
# What is wrong with a round; empty where nothing is.
Faults = Iterator[str]


class Round:
    """One set of connections on a queue of its own."""

    def __init__(self, server: Server, doors: list[Door], queue: str, chance: Random) -> None:
        self._server = server
        self._doors = doors
        self.queue = queue
        self.chance = chance
        self.pushed: list[Answer] = []
        self.answers: list[Answer] = []

    @property
    def size(self) -> int:
        return len(self._doors)

    def push(self, **fields: Any) -> Answer:
        """One push before the others."""
        return ok(self._doors[0].call("push", **self._job(fields)))

    def pull(self) -> Answer:
        job: Answer = self._doors[0].call("pull", queue=self.queue)["job"]
        return job

    def everyone(self, *kinds: Answer) -> None:
        """A push by each connection, of the kinds by turns; connections and kinds in any order."""
        jobs = [self._job(kinds[number % len(kinds)]) for number in range(len(self._doors))]
        self.chance.shuffle(jobs)
        self.answers = all_at_once(self._doors, [("push", job) for job in jobs], self._server)
        self.pushed = jobs

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def _job(self, fields: Answer) -> Answer:
        return {"queue": self.queue, "name": "proof", **fields}

    # --- what is wrong ---

    def outcomes(self) -> Counter[str]:
        return Counter(a["outcome"] if a["ok"] else a["error"]["code"] for a in self.answers)

    def wants(self, **expected: int) -> Faults:
        seen = self.outcomes()
        if seen != Counter({name: number for name, number in expected.items() if number}):
            yield f"{self.queue}: {dict(seen)}, not {expected}"

    def names_only(self, job_id: str) -> Faults:
        """Every answer that did not make a job names this one."""
        named = {
            a["id"]
            if a["ok"]
            else a["error"]["details"].get("existing_id", a["error"]["details"].get("id"))
            for a in self.answers
        }
        if named != {job_id}:
            yield f"{self.queue}: {len(named)} jobs were named"

    def holds(self, unfinished: int, cancelled: int = 0) -> Faults:
        counts = self._server.get(f"/queues/{self.queue}/stats")[1]["counts"]
        seen = sum(counts[state] for state in UNFINISHED), counts["cancelled"]
        if seen != (unfinished, cancelled):
            yield f"{self.queue}: {seen[0]} unfinished and {seen[1]} cancelled jobs"

    @property
    def created(self) -> str:
        """The id of the first job that was made, or nothing."""
        made = (a["id"] for a in self.answers if a["ok"] and a["outcome"] == "created")
        return next(made, "")


def one_id(round_: Round) -> Faults:
    """JW-PUSH-3."""
    round_.everyone({"id": round_.new_id(), "data": {"n": 1}})
    yield from round_.wants(created=1, existing=round_.size - 1)
    yield from round_.names_only(round_.created)
    yield from round_.holds(1)


def one_id_two_payloads(round_: Round) -> Faults:
    """JW-PUSH-4: whoever is first has the id, the others conflict with its payload."""
    job_id, half = round_.new_id(), round_.size // 2
    round_.everyone({"id": job_id, "data": "left"}, {"id": job_id, "data": "right"})
    yield from round_.wants(created=1, existing=half - 1, ID_CONFLICT=half)
    yield from round_.names_only(job_id)
    yield from round_.holds(1)
    paired = list(zip(round_.pushed, round_.answers, strict=True))
    if len({push["data"] for push, answer in paired if answer["ok"]}) != 1:
        yield f"{round_.queue}: both payloads were accepted"


def reject(round_: Round) -> Faults:
    """JW-UNIQ-2."""
    round_.everyone({"unique_key": "k"}, {"unique_key": "k", "on_conflict": "reject"})
    yield from round_.wants(created=1, DUPLICATE_KEY=round_.size - 1)
    yield from round_.names_only(round_.created)
    yield from round_.holds(1)


def ignore(round_: Round) -> Faults:
    """JW-UNIQ-3."""
    round_.everyone({"unique_key": "k", "on_conflict": "ignore"})
    yield from round_.wants(created=1, existing=round_.size - 1)
    yield from round_.names_only(round_.created)
    yield from round_.holds(1)


def replace(round_: Round) -> Faults:
    """JW-UNIQ-4: one is left, whoever was last."""
    round_.everyone({"unique_key": "k", "on_conflict": "replace"})
    others = round_.size - 1
    yield from round_.wants(created=1, replaced=others)
    yield from round_.holds(1, cancelled=others)
    if len({answer["id"] for answer in round_.answers}) != round_.size:
        yield f"{round_.queue}: two replacing pushes made one job"


def held_by_active(round_: Round) -> Faults:
    """JW-UNIQ-2 to 5: an active job keeps its key against every push."""
    holder = round_.push(unique_key="k")["id"]
    round_.pull()
    kinds = [
        {"unique_key": "k", "on_conflict": how}
        for how in ("reject", "ignore", "replace", "replace")
    ]
    round_.everyone(*kinds)
    quarter = round_.size // len(kinds)
    yield from round_.wants(existing=quarter, DUPLICATE_KEY=3 * quarter)
    yield from round_.names_only(holder)
    yield from round_.holds(1)


RULES: Final[tuple[Callable[[Round], Faults], ...]] = (
    one_id,
    one_id_two_payloads,
    reject,
    ignore,
    replace,
    held_by_active,
)
