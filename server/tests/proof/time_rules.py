"""The rules of order, delay and backoff: what must not come before something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from tests.proof.facts import SLACK_US, Facts, Final, Found, Grant, Life
from tests.proof.history import Call


@dataclass(frozen=True, slots=True)
class Place:
    """A job on its first delivery, for the order of its queue."""

    level: tuple[int, bool]  # priority, and whether it goes before its equals (lifo)
    pushed: Call  # the first push that was answered
    offered: int  # no push of it began earlier
    grant: Grant


def r9_order(facts: Facts, _: Final) -> Found:
    for lives in facts.by_queue.values():
        places = [place for life in lives if (place := _place(life)) is not None]
        yield from _order_between_pulls(places)
        yield from _order_within_pulls(places)


def _place(life: Life) -> Place | None:
    """Where it stood in line; None for a job that came into line at an instant that nobody knows."""
    if not life.grants or life.grants[0].delivery != 1 or _came_later(life):
        return None
    pushed = min(life.acknowledged, key=lambda call: call.returned)
    offered = min(call.t0 for call in life.pushes)
    level = (life.options.get("priority", 0), life.options.get("lifo", False))
    return Place(level, pushed, offered, life.grants[0])


def _came_later(life: Life) -> bool:
    """Delayed, blocked, or cancelled and started over."""
    names = ("delay_ms", "run_at", "depends_on")
    return any(life.options.get(name) for name in names) or life.may_restart(0)


def _order_between_pulls(places: list[Place]) -> Found:
    levels: dict[tuple[int, bool], list[Place]] = defaultdict(list)
    for place in places:
        levels[place.level].append(place)
    for level, equals in levels.items():
        if level[1]:
            yield from _taken_too_late(equals)
        else:
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


def _taken_too_late(equals: list[Place]) -> Found:
    """Of lifo jobs, one that was given out although a newer one had been there before and went on waiting."""
    for old in equals:
        for new in equals:
            is_newer = old.pushed.returned + SLACK_US < new.offered
            if is_newer and new.pushed.returned < old.grant.t0 and old.grant.t1 < new.grant.t0:
                proof = [old.pushed, new.pushed, old.grant.pull, new.grant.pull]
                yield f"lifo job {old.grant.id} was given out before {new.grant.id}", proof


def _order_within_pulls(places: list[Place]) -> Found:
    answers: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        answers[place.grant.pull.key].append(place)
    for answer in answers.values():
        for one, next_one in pairwise(sorted(answer, key=lambda place: place.grant.place)):
            late = next_one.pushed.returned < one.offered and one.level == next_one.level
            higher = next_one.level > one.level and next_one.pushed.returned < one.grant.t0
            if (late and not one.level[1]) or higher:
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
        yield from _before_its_time(life)
        yield from _too_early(life)


def _before_its_time(life: Life) -> Found:
    """A delayed job that was given out before its instant; one that was started over has no delay left."""
    first = life.grants[:1]
    if first and not life.may_restart(0, first[0].t1) and first[0].t1 + SLACK_US < _ready_us(life):
        yield f"job {life.id} was given out before its time", [*life.pushes[:1], first[0].pull]


def _ready_us(life: Life) -> int:
    """The earliest instant at which it may be given out."""
    offered = min((call.t0 for call in life.pushes if call.may_have_happened), default=0)
    due: int = (life.options.get("data") or {}).get("due_us", 0)
    delay: int = life.options.get("delay_ms", 0) * 1_000
    return max(offered + delay, due)


def _too_early(life: Life) -> Found:
    for call in (call for call in life.of("fail", "release") if call.out == "ok"):
        after = [grant for grant in life.grants if grant.delivery > (call.delivery or 0)]
        wait_us = _promised_ms(life, call) * 1_000
        if not after or life.may_restart(call.t0, after[0].t1):
            continue
        if after[0].t1 + SLACK_US < life.begin_of(call) + wait_us:
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
