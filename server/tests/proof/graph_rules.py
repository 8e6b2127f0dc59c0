"""The rules between jobs: parents and children, replaced and replacing, the jobs of one batch."""

from __future__ import annotations

from collections import defaultdict

from tests.proof.facts import Facts, Final, Found, Grant, Job, Life
from tests.proof.history import Call
from tests.proof.key_rules import lives_by_key, replacing

# ── R13: a child waits until all its parents are completed, and fails with them only ──


def r13_children_wait(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for life in facts.lives.values():
        parents = [facts.lives[parent] for parent in life.options.get("depends_on", ())]
        for grant in life.grants if parents else ():
            yield from _early(life, parents, grant)
        job = shown.get(life.id)
        if job and job["reason"] == "parent_failed":
            yield from _orphaned(life, parents, shown)


def _early(life: Life, parents: list[Life], grant: Grant) -> Found:
    if life.may_restart(0, grant.t1):  # which no longer waits for anybody (JW-RETRY-2)
        return
    for parent in parents:
        if not any(c.may_have_happened and c.t0 < grant.t1 for c in parent.of("ack")):
            yield f"job {life.id} ran before its parent {parent.id} was completed", [grant.pull]


def _orphaned(life: Life, parents: list[Life], shown: dict[str, Job]) -> Found:
    if not any(_may_have_failed(parent, shown.get(parent.id)) for parent in parents):
        yield f"job {life.id} fell with its parents, which are well", life.pushes


def _may_have_failed(parent: Life, job: Job | None) -> bool:
    state = job["state"] if job else ""
    return state in ("dlq", "cancelled") or parent.may_restart(0)


# ── R18: a push that replaces cancels one job, and no job is replaced by nothing ──


def r18_one_replaced_for_each(facts: Facts, final: Final) -> Found:
    shown = final.by_id()
    for (queue, name), lives in lives_by_key(facts).items():
        gone = [life for life in lives if _reason(shown.get(life.id)) == "replaced"]
        possible = [life for life in lives if replacing(life)]
        certain = [life for life in lives if any(c.out == "ok" for c in replacing(life))]
        restarted = [life for life in lives if life.may_restart(0)]
        if len(gone) > len(possible):
            yield (
                f"{len(gone)} jobs of {name} in {queue} were replaced by {len(possible)}",
                _told(gone),
            )
        if len(gone) + len(restarted) < len(certain):
            yield f"{len(certain)} jobs of {name} in {queue} replaced {len(gone)}", _told(certain)
    for job in final.jobs:
        if job["reason"] == "replaced" and "unique_key" not in facts.lives[job["id"]].options:
            yield f"job {job['id']} was replaced and had no key", facts.lives[job["id"]].pushes


def _reason(job: Job | None) -> str | None:
    return job["reason"] if job else None


def _told(lives: list[Life]) -> list[Call]:
    return [life.pushes[0] for life in lives]


# ── R21: an atomic batch is there whole or not at all ──


def r21_whole_batches(facts: Facts, final: Final) -> Found:
    batches: dict[str, list[Call]] = defaultdict(list)
    for call in facts.calls:
        if call.batch is not None and call.request.get("on_conflict") != "ignore":
            batches[call.batch].append(call)
    shown = final.by_id()
    for parts in batches.values():
        there = [_was_there(facts.lives[str(part.id)], shown) for part in parts]
        removable = any(facts.lives[str(part.id)].may_be_removed for part in parts)
        if any(there) and not all(there) and not removable:
            yield f"{sum(there)} of {len(there)} jobs of a batch exist", parts


def _was_there(life: Life, shown: dict[str, Job]) -> bool:
    return life.id in shown or bool(life.grants)
