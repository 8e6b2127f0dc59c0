"""T26: SIGTERM drains a worker process: what runs is finished or given back, and nothing is left to its lease (JW-SDK-10).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, product
from pathlib import Path

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import launched
from tests.proof.network.drained_worker import KINDS
from tests.proof.network.drains import Order, Outcome, carry_out
from tests.proof.network.hands import DOORS
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

DRAINS = max(8, round(24 * SCALE))
TWICE = max(4, round(4 * SCALE))  # of them get a second signal
ABRUPT = 2
AT_ONCE = 6  # processes


@pytest.mark.timeout(60 + round(60 * SCALE))
def test_a_worker_that_is_told_to_end_leaves_no_job_behind(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda order: carry_out(server, order, tmp_path), orders()))
    drained = [one for one in outcomes if one.order.ending == "drain"]
    abrupt = [one for one in outcomes if one.order.ending == "abrupt"]
    twice = [one.took_s for one in drained if one.order.twice]
    left = sum(bool(one.wrong) for one in abrupt)

    figure = publish(
        Figure(
            test="T26",
            title="drain of the Python worker",
            promises=("C7",),
            seed=SEED,
            what="drains",
            tries=len(drained),
            bad=sum(bool(one.wrong) for one in drained),
            bar="in-flight finished or given back 100 %, no attempt burnt, exit 0; second SIGTERM ≤ 1 s",
            seconds=time.monotonic() - began,
            control=f"a worker that leaves at once: caught {left} of {len(abrupt)} times",
            numbers={
                "jobs_finished": sum(one.finished for one in drained),
                "jobs_given_back": sum(one.given_back for one in drained),
                "second_signal_max_s": round(max(twice), 3),
            },
        )
    )
    assert figure.bad == 0, told(drained)
    assert len(drained) == DRAINS
    assert any(one.finished for one in drained)
    assert any(one.given_back for one in drained)
    assert left == len(abrupt) == ABRUPT


def orders() -> list[Order]:
    """Both workers over both doors, in turn."""
    pairs = cycle(product(KINDS, DOORS))
    drains = [
        Order(number=number, kind=kind, door=door, seed=SEED, twice=number < TWICE)
        for number, (kind, door) in enumerate(islice(pairs, DRAINS))
    ]
    abrupt = [
        Order(number=number, kind=kind, door="tcp", seed=SEED, ending="abrupt")
        for number, kind in enumerate(islice(cycle(KINDS), ABRUPT))
    ]
    return [*drains, *abrupt]


def told(outcomes: list[Outcome]) -> str:
    wrong = [f"{one.order}: {line}" for one in outcomes for line in one.wrong]
    return "\n".join([f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}", *wrong])
