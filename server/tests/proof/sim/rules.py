"""What the shared checker does not ask because it takes a quiet machine and exact time: rules named after their requirement in spec/lifecycle.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from math import inf

from tests.proof.checker import RULES, SHOWN_PER_RULE, Violation, lines_of
from tests.proof.facts import SETTLING, SLACK_US, Facts, Final, Found, Grant, Life
from tests.proof.history import Call
from tests.proof.key_rules import lives_by_key, r11_one_live_job_a_key, replacing

# A waiting pull that is told of a job has it after a few trips to the store and over the network, each with its delays.
PROMPT_US = 500_000
# After the wall clock was set, ready times no longer tell the order in which jobs came, nor how long a delay was. R4 is asked anew, below.
MOVED_BY_THE_CLOCK = frozenset({"R4", "R9", "R10"})
# What was decided by the time before may reach the store this long after the server has followed a wall clock that was set.
UNDER_WAY_US = 200_000


def check(calls: Sequence[Call], final: Final) -> list[Violation]:
    """All violations of the shared rules and of those here, at most SHOWN_PER_RULE of a rule."""
    facts = Facts(calls)
    left_out = MOVED_BY_THE_CLOCK if any(c.op == "jump" for c in calls) else frozenset()
    rules = {**RULES, **SIM_RULES}
    return [
        Violation(name, what, lines_of(proof))
        for name, rule in rules.items()
        if name not in left_out
        for what, proof in islice(rule(facts, final), SHOWN_PER_RULE)
    ]


# ── Leases ──


@dataclass(frozen=True, slots=True)
class Gap:
    """A time, in µs, in which the server did not run; every lease that lives begins anew at its end."""

    begin: int
    end: float
    call: Call


def grace_after_a_gap(facts: Facts, _: Final) -> Found:
    gaps = [Gap(c.t0, c.latest, c) for c in facts.calls if c.op in ("kill", "stall")]
    followed = [call.t0 for call in facts.calls if call.op == "resync"]
    for life in facts.lives.values():
        for one, next_one in pairwise(life.grants):
            known = next_one.delivery == one.delivery + 1
            if known and not _was_under_way(life, one, followed):
                yield from _taken_within_grace(life, one, next_one, gaps)


def _taken_within_grace(life: Life, one: Grant, next_one: Grant, gaps: list[Gap]) -> Found:
    given_up = _first_end(life, one)
    for gap in gaps:
        lived = one.t1 < gap.begin and life.lease_end(one) > gap.begin + SLACK_US
        ends = min(gap.end + one.lease_us - SLACK_US, given_up)
        if lived and gap.begin < next_one.t1 < ends:
            yield (
                f"job {life.id} was taken from its worker within the grace",
                [
                    one.pull,
                    gap.call,
                    next_one.pull,
                ],
            )


def _first_end(life: Life, grant: Grant) -> float:
    ends = [c.t0 for c in life.of(*SETTLING) if c.lease == grant.lease and c.may_have_happened]
    return min(ends, default=inf)


def a_clock_that_is_set_ends_no_lease(facts: Facts, _: Final) -> Found:
    """But for leases that were given or renewed just when the server followed: their instants may be of the time before."""
    followed = [call.t0 for call in facts.calls if call.op == "resync"]
    for life in facts.lives.values() if followed else ():
        for one, next_one in pairwise(life.grants):
            ends = min(life.lease_end(one) - SLACK_US, _first_end(life, one))
            if next_one.t1 < ends and not _was_under_way(life, one, followed):
                yield f"job {life.id} had two leases at once", [one.pull, next_one.pull]


def _was_under_way(life: Life, grant: Grant, instants: list[int]) -> bool:
    beats = [(c.t0, c.latest) for c in life.of("heartbeat") if c.lease == grant.lease]
    spans = [(grant.t0, float(grant.t1)), *beats]
    return any(t0 <= at + UNDER_WAY_US and t1 >= at for at in instants for t0, t1 in spans)


def progress_under_a_stale_lease(facts: Facts, _: Final) -> Found:
    for life in facts.lives.values():
        for call in (c for c in life.of("progress") if c.out == "ok"):
            ended = [
                end
                for end in life.of(*SETTLING)
                if end.lease == call.lease and end.out == "ok" and end.returned < call.t0
            ]
            newer = [
                g.pull for g in life.grants if g.delivery > (call.delivery or 0) and g.t1 < call.t0
            ]
            if ended or newer:
                yield (
                    f"progress of job {life.id} under a lease that had ended",
                    [*ended, *newer, call],
                )


def attempts_are_counted(facts: Facts, _: Final) -> Found:
    """A fail costs one attempt, a release none; between two leases that follow each other, with nothing else in between."""
    for life in facts.lives.values():
        for one, next_one in pairwise(life.grants):
            if next_one.delivery == one.delivery + 1 and not life.may_restart(one.t0, next_one.t1):
                yield from _miscounted(life, one, next_one)


def _miscounted(life: Life, one: Grant, next_one: Grant) -> Found:
    for end in life.of("fail", "release"):
        if end.lease == one.lease and end.out == "ok":
            cost = 1 if end.op == "fail" else 0
            if next_one.attempt != one.attempt + cost:
                yield (
                    f"job {life.id} had {one.attempt} attempts, then {end.op}, then {next_one.attempt}",
                    [one.pull, end, next_one.pull],
                )


# ── Pulls ──


def a_repeated_pull_gets_the_same_jobs(facts: Facts, _: Final) -> Found:
    """As long as one of the leases of the first answer certainly lives."""
    answered: dict[str, list[Call]] = {}
    for call in facts.calls:
        if call.op == "pull" and call.out == "ok" and call.request.get("request_id"):
            answered.setdefault(call.request["request_id"], []).append(call)
    for calls in answered.values():
        for first, again in pairwise(calls):
            yield from _others_than_before(facts, first, again)


def _others_than_before(facts: Facts, first: Call, again: Call) -> Found:
    given = {job["lease"]: job["id"] for job in first.answer["jobs"]}
    alive = [lease for lease, job_id in given.items() if _lives(facts.lives[job_id], lease, again)]
    got = {job["lease"] for job in again.answer["jobs"]}
    if alive and not (set(alive) <= got <= set(given)):
        yield f"pull {again.request['request_id']} was answered with other jobs", [first, again]


def _lives(life: Life, lease: str, until: Call) -> bool:
    grant = next((grant for grant in life.grants if grant.lease == lease), None)
    if grant is None:
        return False
    certain = min(life.lease_end(grant), _first_end(life, grant))
    return until.returned < certain - SLACK_US


def a_waiting_pull_gets_what_is_ready(facts: Facts, _: Final) -> Found:
    """A pull that waited in vain, although a job that it could have taken waited beside it."""
    quiet = [call for call in facts.calls if call.op in ("kill", "stall", "jump")]
    lives = [life for lives in facts.by_queue.values() for life in lives]
    for pull in (c for c in facts.calls if _waited_in_vain(c)):
        if any(call.t0 <= pull.returned and call.latest >= pull.t0 for call in quiet):
            continue
        queues = pull.request.get("queues") or [pull.request["queue"]]
        for life in lives:
            queue = life.options["queue"]
            if queue in queues and not _may_be_paused(facts, queue, pull):
                yield from _overlooked(life, pull)


def _waited_in_vain(call: Call) -> bool:
    return (
        call.op == "pull"
        and call.out == "ok"
        and not call.answer["jobs"]
        and not call.answer.get("aborted")
        and call.request["wait_ms"] * 1_000 > PROMPT_US
    )


def _may_be_paused(facts: Facts, queue: str, pull: Call) -> bool:
    return any(pause.queue == queue and pause.call.t0 < pull.returned for pause in facts.pauses)


def _overlooked(life: Life, pull: Call) -> Found:
    for begin, end, proof in _certainly_ready(life):
        if min(end, pull.returned) - max(begin, pull.t0) > PROMPT_US:
            yield f"job {life.id} was ready beside a pull that waited in vain", [proof, pull]


def _certainly_ready(life: Life) -> Iterator[tuple[float, float, Call]]:
    """From an answered push or release to the first call that may have changed that."""
    if any(life.options.get(name) for name in ("delay_ms", "depends_on", "unique_key")):
        return
    others = [c.t0 for c in life.of("cancel", "retry")]
    push = min(life.acknowledged, key=lambda call: call.returned)
    first = [grant.t0 for grant in life.grants]
    known = life.is_fully_known and life.grants
    if known:
        yield push.returned, min([*first, *others]), push
    for call in life.of("release"):
        after = [g.t0 for g in life.grants if g.delivery == (call.delivery or 0) + 1]
        if call.out == "ok" and not call.request.get("delay_ms") and after and known:
            yield call.returned, min([*after, *(t for t in others if t >= call.t0)]), call


# ── Keys ──


def one_live_job_a_key(facts: Facts, final: Final) -> Found:
    """R11, but for a job that may have ended already before its push was answered: it certainly held nothing."""
    for what, proof in r11_one_live_job_a_key(facts, final):
        if not any(_may_have_ended_within(facts, take) for take in proof):
            yield what, proof


def _may_have_ended_within(facts: Facts, take: Call) -> bool:
    life = facts.lives[str(take.id)]
    rivals = lives_by_key(facts)[life.options["queue"], life.options["unique_key"]]
    replaced = [call for rival in rivals if rival is not life for call in replacing(rival)]
    ends = (*life.of("ack", "fail", "cancel", "release"), *replaced)
    return any(take.t0 <= end.latest and end.t0 <= take.returned for end in ends)


def a_key_is_free_when_its_job_has_ended(facts: Facts, _: Final) -> Found:
    for call in facts.calls:
        error = call.answer.get("error") or {}
        if call.out == "fail" and error.get("code") == "DUPLICATE_KEY":
            holder = facts.lives.get((error.get("details") or {}).get("existing_id", ""))
            if holder is not None and not holder.may_restart(0):
                yield from _held_too_long(holder, call)


def _held_too_long(holder: Life, refused: Call) -> Found:
    """Ended for certain before the refusal was asked for: completed, or failed for good."""
    for end in holder.of("ack", "fail"):
        final = end.op == "ack" or not end.answer.get("will_retry", True)
        if end.out == "ok" and final and end.returned < refused.t0:
            yield f"job {holder.id} had ended and still held its key", [end, refused]


SimRule = Callable[[Facts, Final], Found]
SIM_RULES: dict[str, SimRule] = {
    "R11": one_live_job_a_key,
    "JW-TIME-1": grace_after_a_gap,
    "JW-TIME-2": a_clock_that_is_set_ends_no_lease,
    "JW-LEASE-3": progress_under_a_stale_lease,
    "JW-FAIL-1": attempts_are_counted,
    "JW-PULL-11": a_repeated_pull_gets_the_same_jobs,
    "JW-PULL-9": a_waiting_pull_gets_what_is_ready,
    "JW-UNIQ-6": a_key_is_free_when_its_job_has_ended,
}
