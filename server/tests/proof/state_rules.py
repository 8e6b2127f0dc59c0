"""The rules of what a caller decides: cancel, retry and pause."""

from __future__ import annotations

from tests.proof.facts import Facts, Final, Found, Job, Life
from tests.proof.history import Call

# ── R17: a cancelled job stays cancelled, and none is that nobody cancelled ──


def r17_cancelled_stays_cancelled(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for life in facts.lives.values():
        for cancel in (call for call in life.of("cancel") if call.out == "ok"):
            yield from _given_after(life, cancel)
            yield from _not_stopped(life, cancel, shown.get(life.id))
    for job in final.jobs:
        known = facts.lives.get(job["id"])
        if known and job["reason"] == "cancelled" and not known.may_be_cancelled():
            yield f"job {job['id']} is cancelled and nobody did it", known.pushes


def _given_after(life: Life, cancel: Call) -> Found:
    for grant in life.grants:
        if grant.t0 > cancel.returned and not life.may_restart(cancel.t0, grant.t1):
            yield f"job {life.id} was given out after its cancel", [cancel, grant.pull]


def _not_stopped(life: Life, cancel: Call, job: Job | None) -> Found:
    """An active job may still be completed by its worker (R16 sees that it ends); one that was not active may not."""
    if job is None or life.may_restart(cancel.t0):
        return
    was_active = cancel.answer["state"] == "active"
    ends = ("active", "cancelled", "completed") if was_active else ("cancelled",)
    if job["state"] not in ends:
        yield f"job {life.id} was cancelled and is {job['state']}", [cancel]


# ── R19: an acknowledged retry starts the job over ──


def r19_a_retry_starts_over(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for life in facts.lives.values():
        for retry in (call for call in life.of("retry") if call.out == "ok"):
            yield from _forgotten(life, retry, shown.get(life.id))
            yield from _spent(life, retry)


def _forgotten(life: Life, retry: Call, job: Job | None) -> Found:
    """Still a dead letter, by nothing that came after the retry."""
    if job is None or job["reason"] not in ("failed", "poison"):
        return
    known = life.is_fully_known and job["delivery"] == len(life.grants)
    if known and (not life.grants or life.grants[-1].t1 < retry.t0):
        yield f"job {life.id} was started over and is {job['state']} as before", [retry]


def _spent(life: Life, retry: Call) -> Found:
    """The first delivery after it has all attempts again."""
    before = [grant for grant in life.grants if grant.t1 < retry.t0]
    after = [grant for grant in life.grants if grant.t0 > retry.returned]
    is_next = before and after and after[0].delivery == before[-1].delivery + 1
    if is_next and len(before) + len(after) == len(life.grants) and after[0].attempt:
        yield f"job {life.id} was started over with attempts spent", [retry, after[0].pull]


# ── R20: a pause holds, whatever happens to the server ──


def r20_a_pause_holds(facts: Facts, _: Final) -> Found:
    for pause in facts.pauses:
        if pause.stops("pull"):
            for grant in facts.given:
                if grant.job["queue"] == pause.queue and pause.covers(grant.t0, grant.t1):
                    yield (
                        f"job {grant.id} was given out of a paused queue",
                        [pause.call, grant.pull],
                    )
        if pause.stops("push"):
            yield from _accepted(facts, pause.queue, pause.call, pause.end)


def _accepted(facts: Facts, queue: str, pause: Call, end: float) -> Found:
    for call in facts.calls:
        made = call.op == "push" and call.out == "ok" and call.answer["outcome"] != "existing"
        within = call.t0 > pause.returned and call.latest < end
        if made and within and call.request["queue"] == queue:
            yield f"job {call.id} was pushed into a paused queue", [pause, call]
