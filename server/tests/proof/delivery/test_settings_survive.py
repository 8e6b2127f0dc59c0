"""T18: what a queue was told, it does after kill -9 (guarantees C1; JW-QUEUE-2, JW-QUEUE-3, JW-QUEUE-5, JW-QUEUE-7).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from tests.proof.delivery.broken_rules import broken, forgotten_settings
from tests.proof.delivery.queue_settings import LOOKS, QUEUES, run
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.launched import launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

KILLS = scaled(4)
CHANGES = 40  # before each kill


@pytest.mark.timeout(patience(15))
def test_settings_survive_kill_9(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "whole") as server:
        kept = run(server, Random(f"{SEED}-settings"), KILLS, CHANGES)
    with launched(tmp_path / "broken", entry=broken(forgotten_settings)) as server:
        caught = run(server, Random(f"{SEED}-settings"), 1, CHANGES)

    figure = publish(
        Figure(
            test="T18",
            title="settings survive",
            promises=("C1",),
            seed=SEED,
            what="changes",
            tries=kept.changes,
            bad=len(kept.lost),
            bar="100 % of what was answered is there after kill -9",
            seconds=time.monotonic() - began,
            control=f"settings kept in memory only: {len(caught.lost)} of {caught.looks} looks wrong",
            numbers={"kills": kept.kills, "queues": len(QUEUES), "looks": kept.looks},
        )
    )
    assert figure.bad == 0, "\n".join([AGAIN, *kept.lost])
    assert (kept.kills, kept.changes) == (KILLS, KILLS * CHANGES)
    assert kept.looks == KILLS * len(QUEUES) * len(LOOKS)
    assert len(caught.lost) > 0, "settings that are not written must show"
