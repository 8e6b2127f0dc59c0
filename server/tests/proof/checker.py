"""The rules of guarantees §3 over what clients saw and what the server shows in the end, and R17–R21 of our own.

Each rule is sound: it speaks only of what must have happened, whatever became of the calls that were not answered. An instant of an
effect lies between the beginning and the end of its call. All instants are µs of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from math import inf

from tests.proof.facts import (
    OF_A_LEASE,
    SETTLING,
    SLACK_US,
    UNFINISHED,
    Facts,
    Final,
    Found,
    Grant,
    Job,
    Life,
)
from tests.proof.graph_rules import r13_children_wait, r18_one_replaced_for_each, r21_whole_batches
from tests.proof.history import Call
from tests.proof.key_rules import r11_one_live_job_a_key
from tests.proof.state_rules import (
    r17_cancelled_stays_cancelled,
    r19_a_retry_starts_over,
    r20_a_pause_holds,
)
from tests.proof.time_rules import r9_order, r10_attempts_and_backoff

SHOWN_PER_RULE = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and the lines of the ledgers that show it."""

    rule: str
    what: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}: {self.what} [{', '.join(self.lines)}]"


Rule = Callable[[Facts, Final], Found]


def check(calls: Iterable[Call], final: Final, *, but: Collection[str] = ()) -> list[Violation]:
    """All violations of the rules `but` some, at most SHOWN_PER_RULE of a rule."""
    facts = Facts(calls)
    found = []
    for name, rule in ((name, rule) for name, rule in RULES.items() if name not in but):
        shown = islice(rule(facts, final), SHOWN_PER_RULE)
        found += [Violation(name, what, lines_of(proof)) for what, proof in shown]
    return found


def lines_of(calls: Iterable[Call]) -> tuple[str, ...]:
    return tuple(line for call in calls for line in call.lines)


# ── What there is ──


def r1_no_acknowledged_push_is_lost(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for call in facts.calls:
        if call.op == "push" and call.out == "ok" and call.answer["id"] not in shown:
            told = facts.lives.get(call.answer["id"])
            if told is None or not told.may_be_removed:
                yield f"job {call.answer['id']} was acknowledged and is gone", [call]


def r2_no_phantom(facts: Facts, final: Final) -> Found:
    for job in final.jobs:
        life = facts.lives.get(job["id"])
        if life is None or not life.may_exist:
            yield f"job {job['id']} exists and was never pushed", life.pushes if life else []
        elif job["data"] != life.options["data"]:
            yield f"job {job['id']} has another payload than was pushed", life.pushes
    yield from _phantom_grants(facts)


def _phantom_grants(facts: Facts) -> Found:
    for grant in facts.given:
        pushes = facts.lives[grant.id].pushes
        if not any(push.t0 <= grant.t1 and push.may_have_happened for push in pushes):
            yield f"job {grant.id} was given out and never pushed", [*pushes, grant.pull]
        elif grant.job["data"] != pushes[0].request["data"]:
            yield f"job {grant.id} was given out with another payload", [pushes[0], grant.pull]


def r8_one_id_is_one_job(facts: Facts, final: Final) -> Found:
    for job_id, times in Counter(job["id"] for job in final.jobs).items():
        if times > 1:
            yield f"job {job_id} exists {times} times", facts.lives[job_id].pushes
    for life in facts.lives.values():
        made = [call for call in life.acknowledged if call.answer["outcome"] != "existing"]
        if len(made) > 1:
            yield f"job {life.id} was created {len(made)} times", made


def r15_counts_agree(facts: Facts, final: Final) -> Found:
    seen = Counter((job["queue"], job["state"]) for job in final.jobs)
    told = Counter(
        {
            (queue, state): number
            for queue, counts in final.counts.items()
            for state, number in counts.items()
            if state != "failed"  # the old name of dlq, told beside it
        }
    )
    for queue, state in sorted(set(seen) | set(told)):
        shown, count = seen[queue, state], told[queue, state]
        if shown != count:
            yield f"{queue} shows {shown} jobs {state} and counts {count}", []


# ── Leases ──


def r3_acknowledged_is_never_given_out(facts: Facts, _: Final) -> Found:
    for life in facts.lives.values():
        for ack in (call for call in life.of("ack") if call.out == "ok"):
            for grant in life.grants:
                if grant.lease != ack.lease and (
                    grant.t0 > ack.returned or grant.delivery > (ack.delivery or 0)
                ):
                    yield f"job {life.id} was given out again after its ack", [ack, grant.pull]


def r4_leases_never_overlap(facts: Facts, _: Final) -> Found:
    for life in facts.lives.values():
        for one, next_one in pairwise(life.grants):
            if next_one.t1 < min(life.lease_end(one) - SLACK_US, _given_up_at(life, one)):
                yield f"job {life.id} had two leases at once", [one.pull, next_one.pull]
            if next_one.t1 < one.t0:
                yield f"job {life.id}: its delivery fell", [one.pull, next_one.pull]
    yield from _shared_leases(facts)


def _given_up_at(life: Life, grant: Grant) -> float:
    """The holder cannot have ended the lease before this."""
    ends = [
        call.t0
        for call in life.of(*SETTLING)
        if call.lease == grant.lease and call.may_have_happened
    ]
    return min(ends, default=inf)


def _shared_leases(facts: Facts) -> Found:
    holders: dict[tuple[str, int], Grant] = {}
    for grant in facts.given:
        first = holders.setdefault((grant.id, grant.delivery), grant)
        same_pull = grant.pull.request.get("request_id") == first.pull.request.get("request_id")
        if first.pull is not grant.pull and not (same_pull and first.lease == grant.lease):
            yield f"job {grant.id} was given out twice as one delivery", [first.pull, grant.pull]


def r5_stale_lease_is_never_accepted(facts: Facts, _: Final) -> Found:
    for life in facts.lives.values():
        for call in life.of(*OF_A_LEASE):
            if call.out == "ok":
                yield from _stale(life, call)


def _stale(life: Life, call: Call) -> Found:
    before = _earlier_ends(life, call)
    if call.answer.get("already"):
        if not any(end.op == call.op for end in life.of(call.op) if _is_earlier_twin(end, call)):
            yield f"{call.op} of job {life.id} was `already` done and never was", [call]
        return
    newer = [g.pull for g in life.grants if g.delivery > (call.delivery or 0) and g.t1 < call.t0]
    if newer or before:
        yield (
            f"{call.op} of job {life.id} was accepted under a lease that had ended",
            [
                *(before or newer)[:1],
                call,
            ],
        )
    if call.lease not in {grant.lease for grant in life.grants}:
        yield f"{call.op} of job {life.id} was accepted under a lease never given", [call]


def _earlier_ends(life: Life, call: Call) -> list[Call]:
    return [
        end
        for end in life.of(*SETTLING)
        if end.lease == call.lease and end.out == "ok" and end.returned < call.t0
    ]


def _is_earlier_twin(end: Call, call: Call) -> bool:
    return (
        end.key != call.key
        and end.lease == call.lease
        and end.may_have_happened
        and end.t0 < call.returned
    )


# ── Ends ──


def r6_completed_once(facts: Facts, _: Final) -> Found:
    for life in facts.lives.values():
        won = [c for c in life.of("ack") if c.out == "ok" and not c.answer.get("already")]
        if len(won) > 1:
            yield f"job {life.id} was completed {len(won)} times", won


def r7_final_state_agrees(facts: Facts, final: Final) -> Found:
    for job in final.jobs:
        life = facts.lives.get(job["id"])
        if life is not None:
            yield from _disagreement(life, job)


def _disagreement(life: Life, job: Job) -> Found:
    acks = [call for call in life.of("ack") if call.out == "ok"]
    if acks and not _is_completed_by(job, acks[0]):
        yield f"job {life.id} was acknowledged and is {job['state']} with {job['result']}", acks
    for fail in (c for c in life.of("fail") if c.out == "ok" and not c.answer["will_retry"]):
        if fail.answer.get(
            "already"
        ):  # it tells how the job stands now, and another may have ended it since
            continue
        ends = ("dlq", "cancelled") if life.may_be_cancelled() else ("dlq",)
        if job["state"] not in ends and not life.may_restart(fail.t0):
            yield f"job {life.id} failed for good and is {job['state']}", [fail]
    if job["state"] == "completed" and not any(c.may_have_happened for c in life.of("ack")):
        yield f"job {life.id} is completed and nobody did it", life.pushes
    if life.grants and job["delivery"] < life.grants[-1].delivery:
        yield f"job {life.id}: its delivery fell", [life.grants[-1].pull]


def _is_completed_by(job: Job, ack: Call) -> bool:
    return (job["state"], job["result"]) == ("completed", ack.request.get("result"))


def r16_everything_ends(facts: Facts, final: Final) -> Found:
    for call in facts.calls:
        if call.op == "drain" and (
            call.out != "ok" or call.returned - call.t0 > call.request["bound_ms"] * 1_000
        ):
            yield "the queues were not empty in time", [call]
    for job in final.jobs:
        if job["state"] in UNFINISHED:
            life = facts.lives.get(job["id"])
            yield f"job {job['id']} is still {job['state']}", life.pushes if life else []


RULES: dict[str, Rule] = {
    "R1": r1_no_acknowledged_push_is_lost,
    "R2": r2_no_phantom,
    "R3": r3_acknowledged_is_never_given_out,
    "R4": r4_leases_never_overlap,
    "R5": r5_stale_lease_is_never_accepted,
    "R6": r6_completed_once,
    "R7": r7_final_state_agrees,
    "R8": r8_one_id_is_one_job,
    "R9": r9_order,
    "R10": r10_attempts_and_backoff,
    "R11": r11_one_live_job_a_key,
    "R13": r13_children_wait,
    "R15": r15_counts_agree,
    "R16": r16_everything_ends,
    "R17": r17_cancelled_stays_cancelled,
    "R18": r18_one_replaced_for_each,
    "R19": r19_a_retry_starts_over,
    "R20": r20_a_pause_holds,
    "R21": r21_whole_batches,
}
