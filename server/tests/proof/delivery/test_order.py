"""T27: priority first, then first come first served; no job waits for ever behind its equals (guarantees C8; JW-PULL-3, JW-PULL-4).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from tests.proof.delivery.broken_rules import any_order, broken
from tests.proof.delivery.orders import PRIORITIES, many_consumers, one_consumer, one_consumer_lifo
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.launched import launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

JOBS = len(PRIORITIES) * scaled(5_000)
LIFO_JOBS = scaled(2_000)
CLIENTS = 4
EACH = scaled(250)  # jobs of one of the clients


@pytest.mark.timeout(patience(15))
def test_jobs_come_in_order(tmp_path: Path) -> None:
    began = time.monotonic()
    chance = Random(f"{SEED}-order")
    with launched(tmp_path / "whole") as server:
        straight = one_consumer(server, "order", chance, JOBS)
        lifo = one_consumer_lifo(server, "lifo", chance, LIFO_JOBS)
        crowd = many_consumers(server, "crowd", SEED, EACH, CLIENTS)
    with launched(tmp_path / "broken", entry=broken(any_order)) as server:
        caught = one_consumer(server, "order", chance, 400)
        caught_lifo = one_consumer_lifo(server, "lifo", chance, 400)
        caught_crowd = many_consumers(server, "crowd", SEED, 50, CLIENTS)

    waits = {f"longest_wait_ms[{p}]": round(ms) for p, ms in crowd.longest_wait_ms.items()}
    figure = publish(
        Figure(
            test="T27",
            title="order",
            promises=("C8",),
            seed=SEED,
            what="jobs",
            tries=straight.jobs + lifo.jobs + crowd.jobs,
            bad=straight.inversions + lifo.inversions + len(crowd.inversions),
            bar="inversions 0 on one node",
            seconds=time.monotonic() - began,
            control=f"any order within a priority: {caught.inversions} inversions, {caught_lifo.inversions} with lifo, {len(caught_crowd.inversions)} among {CLIENTS} consumers",
            numbers={
                "one_consumer": straight.jobs,
                "lifo": lifo.jobs,
                "consumers": CLIENTS,
                "by_many": crowd.jobs,
                **waits,
            },
        )
    )
    assert figure.bad == 0, "\n".join([AGAIN, *crowd.inversions])
    assert (straight.jobs, lifo.jobs, crowd.jobs) == (JOBS, LIFO_JOBS, CLIENTS * EACH), AGAIN
    assert caught.inversions > 0, "a consumer must see that there is no order"
    assert caught_lifo.inversions > 0
    assert len(caught_crowd.inversions) > 0, "and so must many"
