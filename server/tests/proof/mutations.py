"""Ways to spoil a good history. Each must be caught by the rule it is named with, or that rule proves nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tests.proof.facts import Facts, Final, Grant, Job, Life
from tests.proof.history import Call

T = TypeVar("T")
Spoiled = tuple[list[Call], Final]
Mutation = Callable[["Run"], Spoiled]

MUTATIONS: list[tuple[str, Mutation]] = []


@dataclass(frozen=True, slots=True)
class Run:
    """A good history, what it ended with, and the chance that picks what to spoil."""

    calls: list[Call]
    final: Final
    chance: random.Random

    @property
    def lives(self) -> list[Life]:
        return list(Facts(self.calls).lives.values())

    def pick(self, found: Iterator[T]) -> T:
        return self.chance.choice(list(found))

    def settled(self) -> tuple[Grant, Call]:
        """A lease that was acked in the first try, with its ack."""
        return self.pick(
            (life.grants[-1], ack)
            for life in self.lives
            for ack in life.of("ack")
            if life.grants and ack.out == "ok" and ack.lease == life.grants[-1].lease
            if not ack.answer.get("already") and ack.t0 > life.grants[-1].t1 + 10
        )

    def call(self, op: str, out: str, **answer: Any) -> Call:
        return self.pick(
            call
            for call in self.calls
            if (call.op, call.out) == (op, out)
            and all(call.answer.get(name) == value for name, value in answer.items())
        )

    def with_calls(self, *more: Call, without: tuple[Call, ...] = ()) -> Spoiled:
        return [call for call in self.calls if call not in without] + list(more), self.final

    def with_job(self, job: Job, **changes: Any) -> Spoiled:
        """One final job changed, and the counts with it, so that only the rule in question can tell."""
        jobs = [other for other in self.final.jobs if other is not job] + [{**job, **changes}]
        return self.calls, Final(jobs=jobs, counts=counts_of(jobs))


def counts_of(jobs: list[Job]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for job in jobs:
        states = counts.setdefault(job["queue"], {})
        states[job["state"]] = states.get(job["state"], 0) + 1
    return counts


def caught_by(rule: str) -> Callable[[Mutation], Mutation]:
    def add(mutation: Mutation) -> Mutation:
        MUTATIONS.append((rule, mutation))
        return mutation

    return add


def regrant(grant: Grant, t0: int, **changes: Any) -> Call:
    """A pull by a stranger that was given the job of `grant`, with changes to it."""
    job = {**grant.job, **changes}
    return Call(
        key=f"mutant-{t0}",
        op="pull",
        worker="mutant",
        t0=t0,
        t1=t0 + 2,
        out="ok",
        request={"queue": job["queue"], "lease_ms": 1_500, "request_id": "mutant"},
        answer={"jobs": [job]},
        lines=("mutant:1",),
    )


@caught_by("R1")
def lose_a_job(run: Run) -> Spoiled:
    lost = run.chance.choice(run.final.jobs)
    jobs = [job for job in run.final.jobs if job is not lost]
    return run.calls, Final(jobs=jobs, counts=counts_of(jobs))


@caught_by("R2")
def invent_a_job(run: Run) -> Spoiled:
    jobs = [*run.final.jobs, {**run.final.jobs[0], "id": "invented"}]
    return run.calls, Final(jobs=jobs, counts=counts_of(jobs))


@caught_by("R2")
def change_a_payload(run: Run) -> Spoiled:
    return run.with_job(run.chance.choice(run.final.jobs), data={"from": "nobody"})


@caught_by("R2")
def give_out_another_payload(run: Run) -> Spoiled:
    grant, _ = run.settled()
    changed = regrant(grant, grant.t0, data={"from": "nobody"})
    return run.with_calls(changed, without=(grant.pull,))


@caught_by("R3")
def resurrect_an_acked_job(run: Run) -> Spoiled:
    grant, ack = run.settled()
    return run.with_calls(
        regrant(grant, ack.returned + 5, delivery=grant.delivery + 1, lease="new")
    )


@caught_by("R4")
def overlap_two_leases(run: Run) -> Spoiled:
    grant, _ = run.settled()
    return run.with_calls(regrant(grant, grant.t1 + 1, delivery=grant.delivery + 1, lease="new"))


@caught_by("R4")
def give_one_delivery_twice(run: Run) -> Spoiled:
    grant, _ = run.settled()
    return run.with_calls(regrant(grant, grant.t1 + 1))


@caught_by("R5")
def accept_a_stale_ack(run: Run) -> Spoiled:
    stale = run.call("ack", "fail")
    return run.with_calls(replace(stale, out="ok", answer={"ok": True}), without=(stale,))


@caught_by("R5")
def accept_a_stale_heartbeat(run: Run) -> Spoiled:
    stale = run.call("heartbeat", "fail")
    return run.with_calls(replace(stale, out="ok", answer={"ok": True}), without=(stale,))


@caught_by("R5")
def call_done_what_never_was(run: Run) -> Spoiled:
    _, ack = run.pick(
        (life, acks[0]) for life in run.lives if len(acks := life.of("ack")) == 1
        if acks[0].out == "ok"
    )  # fmt: skip
    return run.with_calls(replace(ack, answer={"ok": True, "already": True}), without=(ack,))


@caught_by("R6")
def complete_twice(run: Run) -> Spoiled:
    _, ack = run.settled()
    return run.with_calls(replace(ack, key="again", t0=ack.returned, t1=ack.returned + 9))


@caught_by("R7")
def lose_a_result(run: Run) -> Spoiled:
    done = run.pick(job for job in run.final.jobs if job["state"] == "completed")
    return run.with_job(done, result=None)


@caught_by("R7")
def end_an_acked_job_otherwise(run: Run) -> Spoiled:
    done = run.pick(job for job in run.final.jobs if job["state"] == "completed")
    return run.with_job(done, state="dlq", reason="failed")


@caught_by("R8")
def show_a_job_twice(run: Run) -> Spoiled:
    jobs = [*run.final.jobs, run.chance.choice(run.final.jobs)]
    return run.calls, Final(jobs=jobs, counts=counts_of(jobs))


@caught_by("R8")
def create_twice(run: Run) -> Spoiled:
    push = run.call("push", "ok", outcome="created")
    return run.with_calls(replace(push, key="again", t0=push.returned, t1=push.returned + 9))


@caught_by("R9")
def swap_two_jobs(run: Run) -> Spoiled:
    """Two pulls of a queue, each of one new job, have each other's."""
    one, other = run.pick(swappable(run))
    first = replace(one.pull, answer={"jobs": [other.job]})
    last = replace(other.pull, answer={"jobs": [one.job]})
    return run.with_calls(first, last, without=(one.pull, other.pull))


def swappable(run: Run) -> Iterator[tuple[Grant, Grant]]:
    firsts = [
        (life.grants[0], life.acknowledged[0])
        for life in run.lives
        if life.acknowledged and life.grants and is_single_first(life.grants[0]) and is_plain(life)
    ]
    for one, pushed in firsts:
        for other, later in firsts:
            same = one.job["queue"] == other.job["queue"]
            plain = one.job["priority"] == other.job["priority"]
            if same and plain and pushed.returned < later.t0 and one.t1 < other.t0:
                yield one, other


def is_single_first(grant: Grant) -> bool:
    return grant.delivery == 1 and len(grant.pull.answer["jobs"]) == 1


def is_plain(life: Life) -> bool:
    """In line from its push on, behind those that came before it."""
    names = ("lifo", "delay_ms", "run_at", "depends_on")
    return not any(life.options.get(name) for name in names) and not life.of("retry")


@caught_by("R9")
def turn_an_answer_round(run: Run) -> Spoiled:
    lives = {life.id: life for life in run.lives}
    pull = run.pick(
        call
        for call in run.calls
        if call.op == "pull" and call.out == "ok" and in_strict_order(lives, call.answer["jobs"])
    )
    turned = replace(pull, answer={"jobs": pull.answer["jobs"][::-1]})
    return run.with_calls(turned, without=(pull,))


def in_strict_order(lives: dict[str, Life], jobs: list[Job]) -> bool:
    if len(jobs) != 2 or any(job["delivery"] != 1 for job in jobs):
        return False
    first, last = (lives[job["id"]] for job in jobs)
    equal = jobs[0]["priority"] == jobs[1]["priority"] and is_plain(first) and is_plain(last)
    known = bool(first.acknowledged and last.acknowledged)
    return equal and known and first.acknowledged[0].returned < last.pushes[0].t0


@caught_by("R10")
def exceed_the_attempts(run: Run) -> Spoiled:
    job = run.chance.choice(run.final.jobs)
    return run.with_job(job, attempt=job["max_attempts"] + 1)


@caught_by("R10")
def give_out_a_spent_job(run: Run) -> Spoiled:
    grant, _ = run.settled()
    spent = regrant(grant, grant.t0, attempt=9)
    return run.with_calls(spent, without=(grant.pull,))


@caught_by("R10")
def break_the_backoff(run: Run) -> Spoiled:
    fail, early = run.pick(
        (fail, grant)
        for life in run.lives
        for fail in life.of("fail")
        for grant in life.grants
        if fail.out == "ok" and grant.delivery == (fail.delivery or 0) + 1 and is_plain(life)
    )
    return run.with_calls(regrant(early, fail.returned + 1), without=(early.pull,))


@caught_by("R15")
def lose_count(run: Run) -> Spoiled:
    queue = run.chance.choice(list(run.final.counts))
    counts = run.final.counts | {queue: {**run.final.counts[queue]}}
    counts[queue]["completed"] -= 1
    return run.calls, Final(jobs=run.final.jobs, counts=counts)


@caught_by("R16")
def leave_a_job_waiting(run: Run) -> Spoiled:
    return run.with_job(run.chance.choice(run.final.jobs), state="waiting")


@caught_by("R16")
def drain_too_slowly(run: Run) -> Spoiled:
    drain = run.call("drain", "ok")
    slow = replace(drain, t1=drain.t0 + drain.request["bound_ms"] * 1_000 + 1)
    return run.with_calls(slow, without=(drain,))
