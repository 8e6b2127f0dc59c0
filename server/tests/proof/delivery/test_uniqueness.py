"""T15: many pushes at once with one id or one unique key make one job (guarantees C3, C5; JW-PUSH-3, JW-PUSH-4, JW-UNIQ-1 to JW-UNIQ-5).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path
from random import Random

import pytest
from tests.proof.delivery.broken_rules import broken, no_uniqueness
from tests.proof.delivery.doors import open_doors
from tests.proof.delivery.same_key import RULES, Round
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

PUSHERS = 32
ROUNDS = max(len(RULES), scaled(60))


@pytest.mark.timeout(patience(10))
def test_pushes_at_once_make_one_job(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "whole") as server:
        wrong_rounds = rounds(server, ROUNDS)
    with launched(tmp_path / "broken", entry=broken(no_uniqueness)) as server:
        caught = rounds(server, len(RULES))

    figure = publish(
        Figure(
            test="T15",
            title="uniqueness and idempotent pushes",
            promises=("C3", "C5"),
            seed=SEED,
            what="rounds",
            tries=ROUNDS,
            bad=len(wrong_rounds),
            bar="exactly one job each; the others get its id, or are refused as asked",
            seconds=time.monotonic() - began,
            control=f"a server without the check: {len(caught)} of {len(RULES)} rounds wrong",
            numbers={"pushers": PUSHERS, "pushes": ROUNDS * PUSHERS, "rules": len(RULES)},
        )
    )
    assert figure.bad == 0, "\n".join([AGAIN, *wrong_rounds])
    assert len(caught) == len(RULES), f"each rule must see a server without the check: {caught}"


def rounds(server: Launched, number: int) -> list[str]:
    """What was wrong, a text for each bad round."""
    chance = Random(f"{SEED}-uniqueness")
    wrong = []
    with open_doors(server, PUSHERS) as doors:
        for index, rule in enumerate(islice(cycle(RULES), number)):
            faults = list(rule(Round(server, doors, f"{rule.__name__}-{index}", chance)))
            wrong += ["; ".join(faults)] if faults else []
    return wrong
