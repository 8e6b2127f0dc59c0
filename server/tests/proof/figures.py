"""What a run comes to in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from math import inf

from tests.proof.checker import (
    r1_no_acknowledged_push_is_lost,
    r2_no_phantom,
    r3_acknowledged_is_never_given_out,
)
from tests.proof.facts import SETTLING, Facts, Final, Grant, Life
from tests.proof.history import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Jobs, not calls. A duplicate is a delivery after one that its holder did not give back."""

    attempted: int
    acknowledged: int
    recovered: int  # of unknown outcome and there
    lost: int
    phantom: int
    resurrected: int
    duplicates: int
    duplicates_bound: int  # leases dropped on purpose or open at a kill
    unexplained: int  # duplicates of a lease that was neither
    stale_refused: int  # calls
    cancelled: int
    replaced: int
    restarted: int  # by a retry that was acknowledged
    children: int  # that ran after their parents


def summarise(calls: Iterable[Call], final: Final) -> Summary:
    facts = Facts(calls)
    shown = final.by_id()
    told = [life for life in facts.lives.values() if life.acknowledged]
    doubt = [life for life in facts.lives.values() if life.may_exist and not life.acknowledged]
    again = [pair for life in facts.lives.values() for pair in _duplicates(life)]
    return Summary(
        attempted=sum(bool(life.pushes) for life in facts.lives.values()),
        acknowledged=len(told),
        recovered=sum(life.id in shown or bool(life.grants) for life in doubt),
        lost=sum(1 for _ in r1_no_acknowledged_push_is_lost(facts, final)),
        phantom=sum(1 for _ in r2_no_phantom(facts, final)),
        resurrected=sum(1 for _ in r3_acknowledged_is_never_given_out(facts, final)),
        duplicates=len(again),
        duplicates_bound=sum(1 for _ in _at_risk(facts)),
        unexplained=sum(not _is_explained(facts, *pair) for pair in again),
        stale_refused=sum(_is_lease_lost(call) for call in facts.calls),
        cancelled=sum(job["reason"] == "cancelled" for job in final.jobs),
        replaced=sum(job["reason"] == "replaced" for job in final.jobs),
        restarted=sum(_is_restarted(life) for life in facts.lives.values()),
        children=sum(
            bool(life.grants and life.options.get("depends_on")) for life in facts.lives.values()
        ),
    )


def totals(summaries: Iterable[Summary]) -> dict[str, int]:
    """Each member summed over several runs."""
    rows = [asdict(summary) for summary in summaries]
    return {member.name: sum(row[member.name] for row in rows) for member in fields(Summary)}


def _is_restarted(life: Life) -> bool:
    return any(call.out == "ok" for call in life.of("retry"))


def _duplicates(life: Life) -> Iterator[tuple[Grant, Grant]]:
    returned = {call.lease for call in life.of("fail", "release") if call.may_have_happened}
    for one, next_one in pairwise(life.grants):
        if one.lease not in returned:
            yield one, next_one


def _is_lease_lost(call: Call) -> bool:
    error = call.answer.get("error") or {}
    return call.out == "fail" and error.get("code") == "LEASE_LOST"


def _at_risk(facts: Facts) -> Iterator[str]:
    """The leases that their workers forgot, or held or may have been about to get when the server was killed."""
    for life in facts.lives.values():
        dropped = {call.lease for call in life.of("drop")}
        for grant in life.grants:
            settled = [c.t1 for c in life.of(*SETTLING) if c.lease == grant.lease and c.t1]
            until = min(settled, default=inf)
            open_ = any(grant.t0 < kill.returned and kill.t0 < until for kill in facts.kills)
            if open_ or grant.lease in dropped:
                yield grant.lease


def _is_explained(facts: Facts, one: Grant, next_one: Grant) -> bool:
    dropped = {call.lease for call in facts.lives[one.id].of("drop")}
    killed = any(one.t0 < kill.returned and kill.t0 < next_one.t1 for kill in facts.kills)
    return one.lease in dropped or killed
