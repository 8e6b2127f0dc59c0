"""T27: the order in which one consumer gets the jobs of one producer, exactly; and what several of each may see of it (R9)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from threading import Barrier
from typing import Any, Final

from tests.proof.delivery.doors import DOORS, Answer, Door, ok, open_door
from tests.proof.facts import Facts
from tests.proof.facts import Final as Shown
from tests.proof.history import Call, now_us
from tests.proof.launched import Launched
from tests.proof.time_rules import r9_order

PRIORITIES: Final = (-5, 0, 5, 100)
BATCH: Final = 1_000
PULLS: Final = (1, 7, 100, 1_000, 1_000)  # how many jobs a pull asks for, drawn anew each time
LEASE_MS: Final = 600_000
LIFO_BATCH: Final = 50

Place = tuple[int, int, int]


# ── One of each ──


@dataclass(frozen=True, slots=True)
class Straight:
    jobs: int
    inversions: int  # neighbours in the wrong order, and jobs that are missing
    seconds: float


def one_consumer(server: Launched, queue: str, chance: Random, jobs: int) -> Straight:
    """Priorities in any order in each batch; then everything is pulled, over both doors."""
    began = time.monotonic()
    priorities = [priority for priority in PRIORITIES for _ in range(jobs // len(PRIORITIES))]
    chance.shuffle(priorities)
    doors = [open_door(name, server) for name in DOORS]
    batches = [priorities[start : start + BATCH] for start in range(0, len(priorities), BATCH)]
    for number, batch in enumerate(batches):
        push(doors[number % len(doors)], queue, number * BATCH, [{"priority": p} for p in batch])
    got = list(everything(doors, queue, chance))
    places = [(-priorities[job["data"]], 0, job["data"]) for job in got]
    wrong = inversions(places) + len(set(range(len(priorities))) - {n for *_, n in places})
    close(doors)
    return Straight(len(priorities), wrong, time.monotonic() - began)


def one_consumer_lifo(server: Launched, queue: str, chance: Random, jobs: int) -> Straight:
    """Half of the jobs are lifo: those of a priority come before its others, the latest ready time first (JW-PULL-4)."""
    began = time.monotonic()
    options = [
        {"priority": chance.choice(PRIORITIES), "lifo": chance.random() < 0.5} for _ in range(jobs)
    ]
    doors = [open_door(name, server) for name in DOORS]
    for start in range(0, jobs, LIFO_BATCH):
        push(doors[0], queue, start, options[start : start + LIFO_BATCH])
    got = list(everything(doors, queue, chance))
    ready = {instant: place for place, instant in enumerate(sorted({j["run_at"] for j in got}))}
    places = [_lifo_place(options[job["data"]], ready[job["run_at"]], job["data"]) for job in got]
    close(doors)
    return Straight(jobs, inversions(places) + jobs - len(got), time.monotonic() - began)


def _lifo_place(options: Answer, ready: int, accepted: int) -> Place:
    turn = -ready - 1 if options["lifo"] else ready
    return -options["priority"], turn, accepted


def push(door: Door, queue: str, start: int, options: Sequence[Answer]) -> None:
    jobs = [{"name": "proof", "data": start + n, **each} for n, each in enumerate(options)]
    ok(door.call("push_batch", queue=queue, jobs=jobs))


def everything(doors: Sequence[Door], queue: str, chance: Random) -> Iterator[Answer]:
    """The jobs of the queue as they come."""
    while True:
        count = chance.choice(PULLS)
        answer = ok(chance.choice(doors).call("pull", queue=queue, count=count, lease_ms=LEASE_MS))
        jobs = answer["jobs"] if "jobs" in answer else [answer["job"]]
        if not jobs or jobs == [None]:
            return
        yield from jobs


def inversions(places: Sequence[Place]) -> int:
    return sum(one > next_one for one, next_one in pairwise(places))


def close(doors: Sequence[Door]) -> None:
    for door in doors:
        door.close()


# ── Many of each ──


@dataclass(frozen=True, slots=True)
class Crowd:
    jobs: int
    inversions: list[str]
    longest_wait_ms: dict[int, float]  # from the answer to a push to that of its pull, by priority


def many_consumers(server: Launched, queue: str, seed: object, each: int, clients: int) -> Crowd:
    """`clients` producers of `each` jobs, and as many consumers, which begin when half of the jobs are there."""
    half = Barrier(2 * clients)
    taken: list[str] = []  # by all consumers
    with ThreadPoolExecutor(2 * clients) as pool:
        names = [f"{seed}-{number}" for number in range(clients)]
        running = [pool.submit(_produce, server, queue, name, each, half) for name in names]
        running += [
            pool.submit(_consume, server, queue, name, taken, each * clients, half)
            for name in names
        ]
        calls = [call for future in running for call in future.result()]
    facts = Facts(calls)
    wrong = [what for what, _ in r9_order(facts, Shown(jobs=[], counts={}))]
    return Crowd(len(facts.given), wrong, _longest_waits(facts))


def _produce(server: Launched, queue: str, seed: str, each: int, half: Barrier) -> list[Call]:
    chance = Random(f"{seed}-produce")
    door = open_door(chance.choice(DOORS), server)
    calls: list[Call] = []
    for number in range(each):
        if number == each // 2:
            half.wait()
        job = {"queue": queue, "name": "proof", "priority": chance.choice(PRIORITIES)}
        calls.append(_call(door, f"{seed}-p{len(calls)}", "push", job))
    door.close()
    return calls


def _consume(
    server: Launched, queue: str, seed: str, taken: list[str], all_jobs: int, half: Barrier
) -> list[Call]:
    """A few at a time, until all consumers together have all jobs."""
    chance = Random(f"{seed}-consume")
    door = open_door(chance.choice(DOORS), server)
    half.wait()
    calls: list[Call] = []
    while len(taken) < all_jobs:
        asked = {"queue": queue, "count": chance.choice((2, 3, 5)), "wait_ms": 200}
        calls.append(_call(door, f"{seed}-c{len(calls)}", "pull", {**asked, "lease_ms": LEASE_MS}))
        taken += [job["id"] for job in calls[-1].answer["jobs"]]
    door.close()
    return calls


def _call(door: Door, key: str, op: str, fields: dict[str, Any]) -> Call:
    t0 = now_us()
    answer = ok(door.call(op, **fields))
    return Call(
        key=key,
        op=op,
        worker=door.name,
        t0=t0,
        t1=now_us(),
        out="ok",
        id=answer.get("id"),
        request={"data": None, **fields},
        answer=answer,
        lines=(key,),
    )


def _longest_waits(facts: Facts) -> dict[int, float]:
    longest = dict.fromkeys(PRIORITIES, 0.0)
    for grant in facts.given:
        [pushed] = facts.lives[grant.id].acknowledged
        priority = pushed.request["priority"]
        longest[priority] = max(longest[priority], (grant.t1 - pushed.returned) / 1_000)
    return longest
