"""T12: a lease and a timeout end when they should, and a worker that reports keeps its job (guarantees C2, C11; JW-LEASE-2, JW-LEASE-10, JW-FAIL-8, JW-HB-1).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.proof.delivery.broken_rules import broken, slow_and_deaf
from tests.proof.delivery.exact_leases import LEASES_MS, wrong_ends
from tests.proof.delivery.redelivery import CASES, measure
from tests.proof.knobs import AGAIN, SCALE, SEED, patience, scaled
from tests.proof.launched import launched
from tests.proof.report import Figure, publish
from tests.stores import KINDS

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

TICK_MS = 1_000
BAR_MS = TICK_MS + 500
MOST_JOBS = 400  # so that one heartbeat names them all, and none waits long behind others
JOBS = min(MOST_JOBS, scaled(20))  # a case
EXACT_ROUNDS = scaled(12)
BEATING_S = 4.0 * max(1.0, SCALE)
CONTROL_JOBS = 2
CONTROL_BEATING_S = 5.0  # a lease, and what the broken server adds to it


@pytest.mark.timeout(patience(20))
def test_leases_and_timeouts_end_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    exact, wrong = asyncio.run(wrong_ends(tmp_path, SEED, EXACT_ROUNDS))
    with (
        launched(tmp_path / "whole") as server,
        launched(tmp_path / "broken", entry=broken(slow_and_deaf)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        control = pool.submit(measure, other, CONTROL_JOBS, CONTROL_BEATING_S)
        seen = measure(server, JOBS, BEATING_S)
        caught = control.result()

    too_late = sum(late > BAR_MS for late in seen.late_ms)
    figure = publish(
        Figure(
            test="T12",
            title="leases and timeouts",
            promises=("C2", "C11"),
            seed=SEED,
            what="leases and timeouts",
            tries=exact + len(seen.late_ms) + JOBS,
            bad=wrong + too_late + seen.early + seen.taken,
            bar=f"early 0, at most {BAR_MS} ms late (1 tick + 0.5 s), heartbeating jobs taken 0; exact on a virtual clock",
            seconds=time.monotonic() - began,
            control=f"a server that ends leases late and hears no heartbeats: {max(caught.late_ms):.0f} ms late, {caught.taken} heartbeating jobs taken",
            numbers={
                "virtual": exact,
                "virtual_wrong": wrong,
                "real": len(seen.late_ms),
                "late_ms_p50": round(statistics.median(seen.late_ms), 1),
                "late_ms_max": round(max(seen.late_ms), 1),
                "early": seen.early,
                "beats": seen.beats,
                "beating_jobs_taken": seen.taken,
            },
        )
    )
    assert figure.bad == 0, AGAIN
    assert exact == EXACT_ROUNDS * len(KINDS) * len(LEASES_MS) * 2
    assert len(seen.late_ms) == JOBS * len(CASES)
    assert seen.beats >= 5 * JOBS, "too few heartbeats to speak of"
    assert max(caught.late_ms) > BAR_MS, "leases that end late must show"
    assert caught.taken > 0, "heartbeats that are not heard must show"
