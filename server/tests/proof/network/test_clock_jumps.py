"""T20: a wall clock that is set ends no lease early and loses no delayed job (guarantees C6; JW-TIME-2, JW-TIME-5, JW-JOB-3, JW-JOB-8).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.network.clock_jumps import Report, run
from tests.proof.network.jumping_clock import JumpingClock
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

HOUR = 3_600
OFFSETS = (HOUR, -HOUR, 2, 0)  # +1 h, then -2 h, then back by a little too much
LAST = 3 * HOUR  # by then everything that was delayed is due


@pytest.mark.timeout(120 + round(60 * SCALE))
def test_a_clock_that_is_set_ends_no_lease_early(tmp_path: Path) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor() as aside:
        wall = aside.submit(run, tmp_path / "wall", SEED, [HOUR], fault="wall_clock")
        report = run(tmp_path / "kept", SEED, offsets())
        control = wall.result()

    figure = publish(
        Figure(
            test="T20",
            title="clock jumps",
            promises=("C6",),
            seed=SEED,
            what="leases",
            tries=report.leases,
            bad=len(report.bad),
            bar="leases ended early 0, delayed jobs late by the jump at most and lost 0, ids unique",
            seconds=time.monotonic() - began,
            control=f"leases by the wall clock: {len(control.early)} of {control.leases} ended early",
            numbers={
                "jumps": report.jumps,
                "early": len(report.early),
                "stuck": len(report.stuck),
                "delayed": report.delayed,
                "misplaced": len(report.misplaced),
                "ids": report.ids,
                "jobs_meanwhile": report.load,
            },
        )
    )
    assert figure.bad == 0, told(report)
    assert report.jumps == len(offsets())
    assert report.load >= 50
    assert control.early, "leases by the wall clock must end early"


def test_when_a_moved_clock_reaches_an_instant(tmp_path: Path) -> None:
    clock = JumpingClock(tmp_path)
    clock.jumps = [(0.0, 0.0), (10.0, 100.0), (20.0, -100.0), (30.0, 0.0)]

    assert clock.reaches(5, 2) == 7
    assert clock.reaches(5, 50) == 10
    assert clock.reaches(12, 3) == 15
    assert clock.reaches(19, 3) == 122
    assert clock.reaches(25, 3) == 28


def offsets() -> list[float]:
    chance = random.Random(f"clock-{SEED}")
    further = round(len(OFFSETS) * (SCALE - 1))
    return [*OFFSETS, *(chance.uniform(-2 * HOUR, 2 * HOUR) for _ in range(further)), LAST]


def told(report: Report) -> str:
    return "\n".join([f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}", *report.bad[:20]])
