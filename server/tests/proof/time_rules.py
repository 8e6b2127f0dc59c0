"""The rules of order, backoff and unique keys: what must not come before something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from tests.proof.facts import SLACK_US, Facts, Final, Found, Grant, Job, Life
from tests.proof.history import Call


@dataclass(frozen=True, slots=True)
class Place:
    """A job on its first delivery, for the order of its queue."""

    priority: int
    pushed: Call  # the first push that was answered
    offered: int  # no push of it began earlier
    grant: Grant


def r9_order(facts: Facts, _: Final) -> Found:
    for lives in facts.by_queue.values():
        places = [place for life in lives if (place := _place(life)) is not None]
        yield from _order_between_pulls(places)
        yield from _order_within_pulls(places)


def _place(life: Life) -> Place | None:
    if not life.grants or life.grants[0].delivery != 1:
        return None
    pushed = min(life.acknowledged, key=lambda call: call.returned)
    offered = min(call.t0 for call in life.pushes)
    return Place(life.options.get("priority", 0), pushed, offered, life.grants[0])


def _order_between_pulls(places: list[Place]) -> Found:
    levels: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        levels[place.priority].append(place)
    for level, equals in levels.items():
        yield from _overtaken(equals, equals, lambda place: place.offered)
        for lower in (other for other in levels if other < level):
            yield from _overtaken(levels[level], levels[lower], lambda place: place.grant.t0)


def _overtaken(first: list[Place], later: list[Place], since: Callable[[Place], int]) -> Found:
    """Jobs of `later` that were given out while one of `first` had been there before `since` and went on waiting."""
    waiting = sorted(first, key=lambda place: place.pushed.returned, reverse=True)
    last: Place | None = None
    for place in sorted(later, key=since):
        while waiting and waiting[-1].pushed.returned < since(place):
            other = waiting.pop()
            last = other if last is None or other.grant.t0 > last.grant.t0 else last
        if last is not None and last.grant.t0 > place.grant.t1:
            yield (
                f"job {place.grant.id} was given out before {last.grant.id}",
                [
                    last.pushed,
                    place.pushed,
                    place.grant.pull,
                    last.grant.pull,
                ],
            )


def _order_within_pulls(places: list[Place]) -> Found:
    answers: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        answers[place.grant.pull.key].append(place)
    for answer in answers.values():
        for one, next_one in pairwise(sorted(answer, key=lambda place: place.grant.place)):
            late = next_one.pushed.returned < one.offered and one.priority == next_one.priority
            higher = next_one.priority > one.priority and next_one.pushed.returned < one.grant.t0
            if late or higher:
                yield (
                    f"job {one.grant.id} stands before {next_one.grant.id}",
                    [
                        one.pushed,
                        next_one.pushed,
                        one.grant.pull,
                    ],
                )


def r10_attempts_and_backoff(facts: Facts, final: Final) -> Found:
    for job in final.jobs:
        if job["attempt"] > max(1, job["max_attempts"]):
            yield f"job {job['id']} failed {job['attempt']} times", facts.lives[job["id"]].pushes
    for life in facts.lives.values():
        most = max(1, life.options.get("max_attempts", 3))
        spent = [grant.pull for grant in life.grants if grant.attempt >= most]
        if spent:
            yield f"job {life.id} was given out with no attempt left", spent
        yield from _too_early(life)


def _too_early(life: Life) -> Found:
    for call in (call for call in life.of("fail", "release") if call.out == "ok"):
        after = [grant for grant in life.grants if grant.delivery > (call.delivery or 0)]
        wait_us = _promised_ms(life, call) * 1_000
        if after and after[0].t1 + SLACK_US < life.begin_of(call) + wait_us:
            yield (
                f"job {life.id} came back before its {wait_us // 1_000} ms were over",
                [
                    call,
                    after[0].pull,
                ],
            )


BACKOFFS: dict[str, Callable[[int, int], int]] = {
    "fixed": lambda base, _: base,
    "linear": lambda base, n: base * n,
    "exponential": lambda base, n: base * 2 ** (n - 1),
}


def _promised_ms(life: Life, call: Call) -> int:
    if call.op == "release":
        return int(call.request.get("delay_ms", 0))
    tried = [grant.attempt for grant in life.grants if grant.lease == call.lease]
    kind = life.options.get("backoff", "exponential")
    base = life.options.get("backoff_delay_ms", 1_000)
    return BACKOFFS[kind](base, tried[0] + 1) if tried else 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A stretch, in µs, in which a job certainly held its unique key."""

    begin: float
    end: float
    push: Call


def r11_one_live_job_a_key(facts: Facts, final: Final) -> Found:
    keys: dict[tuple[str, str], list[Hold]] = defaultdict(list)
    shown = final.by_id()
    for lives in facts.by_queue.values():
        for life in (life for life in lives if life.options.get("unique_key")):
            key = (life.options["queue"], life.options["unique_key"])
            keys[key].append(_hold(life, shown.get(life.id)))
    for (queue, name), holds in keys.items():
        spans = sorted((h for h in holds if h.begin < h.end), key=lambda h: h.begin)
        for one, next_one in pairwise(spans):
            if next_one.begin < one.end:
                yield f"{name} of {queue} was held by two jobs", [one.push, next_one.push]


def _hold(life: Life, job: Job | None) -> Hold:
    """From the answer to its push to the first call that may have ended it."""
    push = min(life.acknowledged, key=lambda call: call.returned)
    ends: list[float] = [call.t0 for call in life.of("ack") if call.may_have_happened]
    ends += [
        call.t0
        for call in life.of("fail")
        if call.may_have_happened and not call.answer.get("will_retry")
    ]
    if job is not None and job["reason"] == "poison":
        ends += [life.lease_end(grant) for grant in life.grants[-1:]] or [push.returned]
    return Hold(push.returned, min(ends, default=inf), push)
