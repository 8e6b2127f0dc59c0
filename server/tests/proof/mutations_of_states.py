"""Ways to spoil what a caller decided: keys, delays, cancels, replacements, retries, pauses, children and batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.proof.facts import Facts, Final, Grant, Life
from tests.proof.history import Call
from tests.proof.mutations import (
    MUTATIONS,
    Run,
    Spoiled,
    caught_by,
    counts_of,
    is_single_first,
    regrant,
)


def call_like(call: Call, **changes: Any) -> Call:
    """The same call, made by a stranger."""
    return replace(call, key=f"mutant-{call.key}", worker="mutant", **changes)


def first_grants(run: Run) -> Iterator[tuple[Life, Grant]]:
    for life in run.lives:
        if life.acknowledged and life.grants and is_single_first(life.grants[0]):
            yield life, life.grants[0]


def with_options(run: Run, life: Life, **options: object) -> Spoiled:
    """The history as it would be if the job had been pushed with other options."""
    changed = [replace(push, request={**push.request, **options}) for push in life.pushes]
    return run.with_calls(*changed, without=tuple(life.pushes))


@caught_by("R9")
def let_a_lifo_job_wait(run: Run) -> Spoiled:
    """A job that stood behind one of its priority turns out to have had the right to go first."""
    waited = run.pick(
        life
        for life, grant in first_grants(run)
        for other, earlier in first_grants(run)
        if life.options["queue"] == other.options["queue"] and not life.of("cancel", "retry")
        if earlier.job["priority"] == grant.job["priority"]
        and set(other.options) == set(life.options)
        if life.acknowledged[0].returned < earlier.t0 and earlier.t1 < grant.t0
    )
    return with_options(run, waited, lifo=True)


@caught_by("R10")
def forget_a_delay(run: Run) -> Spoiled:
    life, _ = run.pick(pair for pair in first_grants(run) if not pair[0].of("retry"))
    return with_options(run, life, delay_ms=60_000)


@caught_by("R10")
def run_before_the_instant(run: Run) -> Spoiled:
    life, grant = run.pick(
        (life, grant) for life, grant in first_grants(run) if "due_us" in life.options["data"]
        if not life.of("retry")
    )  # fmt: skip
    early = regrant(grant, life.options["data"]["due_us"] - 10_000)
    return run.with_calls(early, without=(grant.pull,))


@caught_by("R11")
def share_a_unique_key(run: Run) -> Spoiled:
    """Two jobs that waited at the same time get one key."""
    one, other = run.pick(
        (a, b)
        for a in run.lives
        for b in run.lives
        if a.acknowledged and b.acknowledged and a is not b
        if a.options["queue"] == b.options["queue"] and a.grants and b.grants
        if not a.of("cancel", "retry")
        if a.acknowledged[0].returned < b.acknowledged[0].returned < a.grants[0].t0
    )
    pushes = (*one.pushes, *other.pushes)
    keyed = [replace(p, request={**p.request, "unique_key": "shared"}) for p in pushes]
    return run.with_calls(*keyed, without=pushes)


@caught_by("R13")
def run_a_child_early(run: Run) -> Spoiled:
    """A job that ran turns out to wait for one that was never completed."""
    child = run.pick(life for life, _ in first_grants(run) if not life.of("retry"))
    dead = run.pick(life for life in run.lives if life.pushes and not life.of("ack"))
    return with_options(run, child, depends_on=[dead.id])


@caught_by("R13")
def fell_a_child_of_healthy_parents(run: Run) -> Spoiled:
    done = {job["id"] for job in run.final.jobs if job["state"] == "completed"}
    lives = {life.id: life for life in run.lives}
    child = run.pick(
        job
        for job in run.final.jobs
        if (parents := lives[job["id"]].options.get("depends_on"))
        if all(parent in done and not lives[parent].of("retry") for parent in parents)
    )
    return run.with_job(child, state="cancelled", reason="parent_failed")


def cancelled(run: Run) -> Call:
    """A cancel that stopped a job for good."""
    lives = {life.id: life for life in run.lives}
    return run.pick(
        call
        for call in run.calls
        if (call.op, call.out, call.answer.get("state")) == ("cancel", "ok", "cancelled")
        and not lives[str(call.id)].of("retry")
    )


@caught_by("R17")
def give_out_a_cancelled_job(run: Run) -> Spoiled:
    cancel = cancelled(run)
    life = Facts(run.calls).lives[str(cancel.id)]
    grant, _ = run.settled()
    job = {"id": life.id, "delivery": len(life.grants) + 1, "data": life.options["data"]}
    return run.with_calls(regrant(grant, cancel.returned + 5, lease="new", **job))


@caught_by("R17")
def run_a_cancelled_job_to_its_end(run: Run) -> Spoiled:
    cancel = cancelled(run)
    job = next(job for job in run.final.jobs if job["id"] == cancel.id)
    return run.with_job(job, state="dlq", reason="failed")


@caught_by("R17")
def cancel_what_nobody_cancelled(run: Run) -> Spoiled:
    touched = {call.id for call in run.calls if call.op == "cancel"}
    job = run.pick(job for job in run.final.jobs if job["id"] not in touched)
    return run.with_job(job, state="cancelled", reason="cancelled")


@caught_by("R18")
def replace_without_a_push(run: Run) -> Spoiled:
    job = run.chance.choice(run.final.jobs)
    return run.with_job(job, state="cancelled", reason="replaced")


@caught_by("R18")
def keep_what_was_replaced(run: Run) -> Spoiled:
    lives = {life.id: life for life in run.lives}
    keys = {lives[life.id].options.get("unique_key") for life in run.lives if life.of("retry")}
    gone = run.pick(
        job
        for job in run.final.jobs
        if job["reason"] == "replaced" and lives[job["id"]].options["unique_key"] not in keys
    )
    return run.with_job(gone, state="completed", reason=None)


def restarted(run: Run) -> tuple[Life, Call]:
    """A dead letter that was started over, and the retry that did it."""
    return run.pick(
        (life, retry)
        for life in run.lives
        for retry in life.of("retry")
        if retry.out == "ok" and life.is_fully_known and len(life.of("retry")) == 1
        if any(grant.t1 < retry.t0 for grant in life.grants)
        if any(grant.t0 > retry.returned for grant in life.grants)
    )


@caught_by("R19")
def forget_a_retry(run: Run) -> Spoiled:
    """It still is the dead letter that it was, and nobody was given it again."""
    life, retry = restarted(run)
    later = [grant.pull for grant in life.grants if grant.t0 > retry.returned]
    dead = next((job for job in run.final.jobs if job["id"] == life.id), None)
    jobs = [job for job in run.final.jobs if job is not dead]
    delivery = len(life.grants) - len(later)
    shown = {**(dead or run.final.jobs[0]), "id": life.id, "state": "dlq", "reason": "failed"}
    jobs.append({**shown, "delivery": delivery})
    emptied = [
        replace(p, answer={"jobs": [j for j in p.answer["jobs"] if j["id"] != life.id]})
        for p in later
    ]
    gone = (*later, *(call for call in life.of("ack") if (call.delivery or 0) > delivery))
    calls, _ = run.with_calls(*emptied, without=gone)
    return calls, Final(jobs=jobs, counts=counts_of(jobs))


@caught_by("R19")
def start_over_with_attempts_spent(run: Run) -> Spoiled:
    life, retry = restarted(run)
    grant = next(grant for grant in life.grants if grant.t0 > retry.returned)
    spent = replace(
        grant.pull, answer={"jobs": [{**job, "attempt": job["attempt"] + (job["id"] == life.id)} for job in grant.pull.answer["jobs"]]}
    )  # fmt: skip
    return run.with_calls(spent, without=(grant.pull,))


@caught_by("R20")
def give_out_of_a_paused_queue(run: Run) -> Spoiled:
    pause = run.pick(p for p in Facts(run.calls).pauses if p.stops("pull"))
    grant, _ = run.pick((life.grants[0], life) for life in run.lives if life.grants)
    moved = regrant(grant, pause.call.returned + 1, queue=pause.queue, delivery=99, lease="new")
    return run.with_calls(moved)


@caught_by("R20")
def push_into_a_paused_queue(run: Run) -> Spoiled:
    pause = run.pick(p for p in Facts(run.calls).pauses if p.stops("push"))
    push = run.call("push", "ok", outcome="created")
    request = {**push.request, "queue": pause.queue}
    t0 = pause.call.returned + 1
    return run.with_calls(call_like(push, t0=t0, t1=t0 + 1, request=request))


@caught_by("R21")
def tear_a_batch(run: Run) -> Spoiled:
    """One job of a batch, of which the answer was lost, is not there."""
    ids = [call.id for call in run.calls if call.batch and call.out == "ok"]
    lives = {life.id: life for life in run.lives}
    torn = run.pick(
        job for job in run.final.jobs if job["id"] in ids and not may_go(lives, job["id"])
    )
    pulls = [g.pull for g in lives[torn["id"]].grants]
    emptied = [
        replace(p, answer={"jobs": [j for j in p.answer["jobs"] if j["id"] != torn["id"]]})
        for p in pulls
    ]
    calls, _ = run.with_calls(*emptied, without=tuple(pulls))
    return calls, Final(jobs=[job for job in run.final.jobs if job is not torn], counts={})


def may_go(lives: dict[str, Life], job_id: str) -> bool:
    """Whether a job of its batch may be removed, or be somebody else's."""
    batch = lives[job_id].pushes[0].batch
    mates = [life for life in lives.values() if life.pushes and life.pushes[0].batch == batch]
    names = ("remove_on_complete", "unique_key")
    return any(life.options.get(name) for life in mates for name in names)


ALL_MUTATIONS = MUTATIONS  # those of mutations.py, and those of this file
