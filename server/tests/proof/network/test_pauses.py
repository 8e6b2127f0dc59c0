"""T21: a server that was stopped takes no lease from a worker that lives (guarantees C6; JW-TIME-3).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.network.pauses import Report, run
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

PAUSES_S = (0.3, 0.8, 2.8)  # the last one outlasts every lease
LONG_S = (2.5, 20.0)  # further ones of bigger runs
KEPT = 0.999


@pytest.mark.timeout(120 + round(120 * SCALE))
def test_a_stopped_server_keeps_the_leases_of_live_workers(tmp_path: Path) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor() as aside:
        taken = aside.submit(run, tmp_path / "taken", SEED, [2.2], fault="no_grace")
        report = run(tmp_path / "kept", SEED, pauses())
        control = taken.result()

    figure = publish(
        Figure(
            test="T21",
            title="pauses of the server",
            promises=("C6",),
            seed=SEED,
            what="leases",
            tries=report.leases,
            bad=len(report.taken) + len(report.unfinished),
            bar="live leases kept ≥ 99.9 %, lost 0, no mass stall",
            seconds=time.monotonic() - began,
            control=f"without grace {len(control.taken)} of {control.leases} leases were taken",
            numbers={
                "pauses": len(report.pauses_s),
                "longest_s": max(report.pauses_s),
                "first_answer_max_s": round(max(report.back_s), 3),
                "taken": len(report.taken),
                "lost": len(report.unfinished),
            },
        )
    )
    assert report.unfinished == [], told(report)
    assert len(report.taken) <= (1 - KEPT) * figure.tries, told(report)
    assert max(report.back_s) < 2
    assert len(control.taken) > (1 - KEPT) * control.leases, "a server without grace must be caught"


def pauses() -> list[float]:
    chance = random.Random(f"pauses-{SEED}")
    further = round(len(PAUSES_S) * (SCALE - 1))
    return [*PAUSES_S, *(chance.uniform(*LONG_S) for _ in range(further))]


def told(report: Report) -> str:
    again = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}"
    return f"{again}; after stops of {report.pauses_s} s: taken {len(report.taken)}, lost {report.unfinished}"
