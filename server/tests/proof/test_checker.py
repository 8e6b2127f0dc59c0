"""The checker finds nothing in a good history, and each way to spoil it by the rule that is there for it."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.proof.checker import RULES, check
from tests.proof.facts import Final
from tests.proof.figures import summarise
from tests.proof.history import Call, Ledger, read_folder
from tests.proof.knobs import SCALE
from tests.proof.mutations import Mutation, Run
from tests.proof.mutations_of_states import ALL_MUTATIONS

# Four kills under two producers and two workers, as the loop of test_kill_loop.py wrote it.
RECORDED = Path(__file__).parent / "recorded"


@cache
def recorded() -> tuple[list[Call], Final]:
    return read_folder(RECORDED), Final.load(RECORDED)


def good(seed: int) -> Run:
    return Run(*recorded(), random.Random(seed))


def job_of(**changes: object) -> dict[str, object]:
    job: dict[str, object] = {
        "id": "a",
        "queue": "q",
        "priority": 0,
        "data": {"n": 1},
        "attempt": 0,
    }
    return job | changes


def handmade() -> tuple[list[Call], Final]:
    """One job: pushed with a lost answer, pulled, failed, pulled again after its backoff, acked, acked again."""
    push = {"id": "a", "queue": "q", "data": {"n": 1}, "backoff": "fixed", "backoff_delay_ms": 50}
    pull = {"queue": "q", "lease_ms": 1_000}
    first = job_of(delivery=1, lease="1-a")
    second = job_of(delivery=2, lease="2-a", attempt=1)
    ack = Call(
        key="w-4", op="ack", worker="w", t0=60_000, t1=60_100, out="ok", id="a", lease="2-a",
        delivery=2, request={"result": 5}, answer={"ok": True},
    )  # fmt: skip
    calls = [
        Call(key="p-1", op="push", worker="p", t0=0, id="a", request=push),
        Call(key="w-1", op="pull", worker="w", t0=200, t1=300, out="ok", request=pull, answer={"jobs": [first]}),
        Call(key="w-2", op="fail", worker="w", t0=400, t1=500, out="ok", id="a", lease="1-a", delivery=1, answer={"will_retry": True}),
        Call(key="w-3", op="pull", worker="w", t0=600, t1=52_500, out="ok", request=pull, answer={"jobs": [second]}),
        ack,
        replace(ack, key="w-5", t0=60_200, t1=60_300, answer={"ok": True, "already": True}),
    ]  # fmt: skip
    shown = job_of(state="completed", reason=None, result=5, attempt=1, max_attempts=3, delivery=2)
    return calls, Final(jobs=[shown], counts={"q": {"completed": 1}})


def test_a_good_history_made_by_hand_breaks_no_rule() -> None:
    assert check(*handmade()) == []


def test_a_push_of_unknown_outcome_counts_as_recovered_when_the_job_is_there() -> None:
    summary = summarise(*handmade())

    assert (summary.attempted, summary.acknowledged, summary.recovered) == (1, 0, 1)
    assert (summary.lost, summary.duplicates, summary.unexplained) == (0, 0, 0)


def test_a_push_of_unknown_outcome_may_be_gone() -> None:
    calls, _ = handmade()

    assert check(calls[:1], Final(jobs=[], counts={})) == []


def test_a_second_delivery_that_nothing_explains_is_counted() -> None:
    calls, final = handmade()
    calls = [call for call in calls if call.op != "fail"]

    summary = summarise(calls, final)

    assert (summary.duplicates, summary.duplicates_bound, summary.unexplained) == (1, 0, 1)


def test_the_recorded_history_breaks_no_rule() -> None:
    run = good(0)

    assert check(run.calls, run.final) == []
    assert summarise(run.calls, run.final).acknowledged > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2] if SCALE >= 1 else [1])
@pytest.mark.parametrize(
    ("rule", "mutation"), ALL_MUTATIONS, ids=[mutation.__name__ for _, mutation in ALL_MUTATIONS]
)
def test_a_spoiled_history_is_caught(rule: str, mutation: Mutation, seed: int) -> None:
    violations = check(*mutation(good(seed)))

    assert rule in {violation.rule for violation in violations}, violations


def test_every_rule_has_a_mutation() -> None:
    assert {rule for rule, _ in ALL_MUTATIONS} == set(RULES)


def test_a_violation_shows_the_lines_of_the_ledgers() -> None:
    run = good(0)
    lost = next(job for job in run.final.jobs if job["state"] == "completed")
    jobs = [job for job in run.final.jobs if job is not lost]

    violation = check(run.calls, Final(jobs=jobs, counts=run.final.counts))[0]

    file, _, number = violation.lines[0].partition(":")
    assert lost["id"] in (RECORDED / file).read_text().splitlines()[int(number) - 1]


def test_a_call_that_never_returned_is_info(tmp_path: Path) -> None:
    with Ledger(tmp_path, "w1") as ledger:
        ended = ledger.invoke("push", {"id": "a"})
        ledger.invoke("ack", {"id": "a", "lease": "1-a"}, delivery=1)
        ledger.end(ended, "ok", {"id": "a"})

    push, ack = read_folder(tmp_path)

    assert (push.out, push.lines) == ("ok", ("w1.jsonl:1", "w1.jsonl:3"))
    assert (ack.out, ack.t1, ack.lease, ack.delivery) == ("info", None, "1-a", 1)


def test_a_batch_is_a_call_for_each_of_its_jobs(tmp_path: Path) -> None:
    items = [{"id": "a", "lease": "1-a"}, {"id": "b", "lease": "3-b"}]
    refused = {"id": "b", "ok": False, "error": {"code": "LEASE_LOST"}}
    with Ledger(tmp_path, "w1") as ledger:
        acks = ledger.invoke("ack_batch", {"items": items}, delivery=[1, 3])
        ledger.invoke("push_batch", {"queue": "q", "jobs": [{"id": "c"}], "atomic": True})
        ledger.end(acks, "ok", {"results": [{"id": "a", "ok": True}, refused]})

    first, second, push = read_folder(tmp_path)

    assert [(each.op, each.id, each.delivery) for each in (first, second)] == [
        ("ack", "a", 1),
        ("ack", "b", 3),
    ]
    assert (first.out, second.out, second.lease) == ("ok", "fail", "3-b")
    assert (push.op, push.out, push.request) == ("push", "info", {"id": "c", "queue": "q"})
    assert push.batch is not None


def test_an_end_without_a_beginning_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, "w1") as ledger:
        ledger.end("w1-9", "ok", {})

    with pytest.raises(ValueError, match="w1-9 does not pair"):
        read_folder(tmp_path)
