"""T2, T3 and T5 in numbers, for the tests and the campaign alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.proof.power.cutting import Outcome as Cuts
from tests.proof.power.damage import (
    CHANGED,
    CUT_SHORT,
    FAILED,
    GONE,
    LAST_COMMIT,
    PAYLOAD,
    REFUSED,
)
from tests.proof.power.damage import Outcome as Damages
from tests.proof.power.io_faults import FAIL_STOP_S, Trial
from tests.proof.report import Figure


def figure_of_cuts(done: Cuts, controls: Mapping[str, Cuts], seed: int) -> Figure:
    told = [
        f"synchronous={mode}: {seen.lost} of {seen.cuts} cuts lost, {seen.corrupt} corrupt"
        for mode, seen in controls.items()
    ]
    return Figure(
        test="T2",
        title="simulated power loss",
        promises=("C1", "C10"),
        seed=seed,
        what="cuts",
        tries=done.cuts,
        bad=done.bad,
        bar="lost 0, corrupt 0",
        seconds=done.seconds,
        control="; ".join(told),
        numbers={
            "lost": done.lost,
            "corrupt": done.corrupt,
            "promises_checked": done.promises,
            "served_again": done.served,
        },
    )


def figure_of_trials(trials: Sequence[Trial], seed: int, seconds: float) -> Figure:
    stopped = [after for trial in trials if (after := trial.stopped_after_s) is not None]
    return Figure(
        test="T3",
        title="the n-th call to the disk fails",
        promises=("C1", "C10"),
        seed=seed,
        what="faults",
        tries=sum(bool(trial.faults) for trial in trials),
        bad=sum(bool(trial.complaints()) for trial in trials),
        bar=f"no answer for a lost write; failed sync: exit ≠ 0 in {FAIL_STOP_S:g} s; the next start is fine",
        seconds=seconds,
        control="a server that answers what it could not write is caught, by what it lost and by not ending",
        numbers={
            "failed_syncs": len(stopped),
            "stopped_max_ms": round(1_000 * max(stopped, default=0)),
            "at_start": sum(not trial.served for trial in trials),
        },
    )


def figure_of_damages(done: Sequence[Damages], seed: int, seconds: float) -> Figure:
    seen = sum((outcome.seen for outcome in done), Counter[str]())
    return Figure(
        test="T5",
        title="damaged files",
        promises=("C10",),
        seed=seed,
        what="places",
        tries=seen.total(),
        bad=seen[PAYLOAD] + seen[GONE],
        bar="no wrong payload given out, no job gone unnoticed, but by a WAL that lost its end",
        seconds=seconds,
        control="without checksums wrong payloads are given out, and seen",
        numbers={
            "refused_at_start": seen[REFUSED],
            "stopped_when_read": seen[FAILED],
            "other_member_changed": seen[CHANGED],
            "wal_cut_short": seen[CUT_SHORT],
            "wal_last_commit_gone": seen[LAST_COMMIT],
        },
    )
