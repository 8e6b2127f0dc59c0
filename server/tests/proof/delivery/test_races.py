"""T11: whatever is said at once about a job, one call after another could have had these answers (guarantees C2, C3; JW-JOB-4, JW-LEASE-3, JW-LEASE-11).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.proof.delivery.job_races import Tally
from tests.proof.delivery.race_grounds import Dithering, Unguarded, race_in_process, race_over_doors
from tests.proof.knobs import AGAIN, SCALE, SEED, patience, scaled
from tests.proof.launched import launched
from tests.proof.report import Figure, publish
from tests.stores import KINDS, new_store
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.store.base import Store

pytestmark = pytest.mark.acceptance

ROUNDS = scaled(1_000)  # a store
REAL_ROUNDS = scaled(200)
CONTROL_ROUNDS = 200
ENDS = {"ack", "fail", "release", "lease_expired", "timeout", "none"}


@pytest.mark.timeout(patience(20))
def test_calls_at_once_are_as_good_as_one_after_another(tmp_path: Path) -> None:
    began = time.monotonic()
    stores = {kind: in_process(kind, tmp_path, ROUNDS) for kind in KINDS}
    with launched(tmp_path / "server") as server:
        real = race_over_doors(server, Random(f"{SEED}-doors"), REAL_ROUNDS)
    caught = in_process("memory", tmp_path, CONTROL_ROUNDS, Unguarded)

    tallies = [*stores.values(), real]
    wrong = [text for tally in tallies for text in tally.wrong]
    ends = sum((tally.ends for tally in tallies), Counter[str]())
    figure = publish(
        Figure(
            test="T11",
            title="races on one job",
            promises=("C2", "C3"),
            seed=SEED,
            what="rounds",
            tries=sum(tally.rounds for tally in tallies),
            bad=len(wrong),
            bar="one winner a lease, an ended job never active again, every answer true in some order",
            seconds=time.monotonic() - began,
            control=f"a store that compares no revision: {len(caught.wrong)} of {caught.rounds} rounds wrong",
            numbers={
                "calls": sum(tally.calls for tally in tallies),
                **{kind: tally.rounds for kind, tally in stores.items()},
                "both_doors": real.rounds,
                **{f"won_{end}": number for end, number in sorted(ends.items())},
            },
        )
    )
    assert figure.bad == 0, "\n".join([AGAIN, *wrong[:10]])
    assert figure.tries >= ROUNDS * len(KINDS) + REAL_ROUNDS
    assert set(ends) == ENDS or SCALE < 1, f"some end never won: {ends}"
    assert real.ends["timeout"] > 0 or SCALE < 1, "no timeout came between on the real server"
    assert len(caught.wrong) > 0, "a store that compares nothing must show"


def in_process(
    kind: str, folder: Path, rounds: int, broken: Callable[[Store], Store] | None = None
) -> Tally:
    return asyncio.run(_in_process(kind, folder, rounds, broken))


async def _in_process(
    kind: str, folder: Path, rounds: int, broken: Callable[[Store], Store] | None
) -> Tally:
    clock, chance = ManualClock(), Random(f"{SEED}-{kind}")
    store = new_store(kind, folder)
    await store.open(clock.now())
    try:
        used = Dithering(broken(store) if broken else store, chance)
        return await race_in_process(World(used, clock), chance, rounds)
    finally:
        await store.close()
