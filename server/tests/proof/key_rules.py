"""R11: what certainly held a unique key, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from tests.proof.facts import Facts, Final, Found, Job, Life
from tests.proof.history import Call

Key = tuple[str, str]  # queue, unique_key


@dataclass(frozen=True, slots=True)
class Hold:
    """A stretch, in µs, in which a job certainly held its unique key."""

    begin: float
    end: float
    since: Call  # the push or the retry that took the key


def r11_one_live_job_a_key(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for (queue, name), lives in lives_by_key(facts).items():
        holds = [hold for life in lives for hold in _holds(life, lives, shown.get(life.id))]
        spans = sorted((h for h in holds if h.begin < h.end), key=lambda h: h.begin)
        for one, next_one in pairwise(spans):
            if next_one.begin < one.end:
                yield f"{name} of {queue} was held by two jobs", [one.since, next_one.since]


def lives_by_key(facts: Facts) -> dict[Key, list[Life]]:
    """Every job that was pushed with a unique key, whatever the answer."""
    found: dict[Key, list[Life]] = defaultdict(list)
    for life in facts.lives.values():
        if life.options.get("unique_key"):
            found[life.options["queue"], life.options["unique_key"]].append(life)
    return found


def replacing(life: Life) -> list[Call]:
    """The pushes of a job that may have put it in the place of another one."""
    return [
        call
        for call in life.pushes
        if call.request.get("on_conflict") == "replace"
        and (call.out == "info" or (call.out == "ok" and call.answer["outcome"] == "replaced"))
    ]


def _holds(life: Life, rivals: list[Life], job: Job | None) -> Iterator[Hold]:
    """From the answer to its push, or to a retry, to the first call that may have ended it."""
    takes = [min(life.acknowledged, key=lambda call: call.returned)] if life.acknowledged else []
    takes += [call for call in life.of("retry") if call.out == "ok"]
    replacements = [c for other in rivals if other is not life for c in replacing(other)]
    for take in takes:
        ends = [
            max(call.t0, take.returned)
            for call in (*_endings(life), *replacements)
            if call.latest >= take.t0  # it may end before its own push is answered
        ]
        yield Hold(take.returned, min([*ends, *_unseen_ends(life, job, take)], default=inf), take)


def _endings(life: Life) -> list[Call]:
    """Calls that may have ended the job: acks, cancels, fails for good, and a release of what was to stop."""
    fails = [call for call in life.of("fail") if not call.answer.get("will_retry")]
    stopped = life.of("release") if life.may_be_cancelled() else []
    return [
        call for call in (*life.of("ack", "cancel"), *fails, *stopped) if call.may_have_happened
    ]


def _unseen_ends(life: Life, job: Job | None, take: Call) -> list[float]:
    """When it may have ended without a call: with a parent at any time, and as poison, which a later retry hides."""
    reason = job["reason"] if job else None
    if reason == "parent_failed":
        return [take.returned]
    if reason != "poison" and not life.may_restart(0):
        return []
    if not life.grants or not life.is_fully_known:
        return [take.returned]
    ends = [life.lease_end(grant) for grant in life.grants]
    return [float(end) for end in ends if end >= take.returned]
