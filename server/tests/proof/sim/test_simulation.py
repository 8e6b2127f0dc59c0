"""T30, first half: the whole server in one process and in virtual time, under every order of events that a seed can draw (guarantees §3, layer 2).

PROOF_SEED chooses other seeds, PROOF_SCALE more of them; `python -m tests.proof.sim MINUTES SEED RESULTS` is a campaign, and a failure
prints how to run its seed again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.proof.knobs import AGAIN, SCALE, SEED, patience, scaled
from tests.proof.report import publish
from tests.proof.sim.campaign import Campaign, figure_of
from tests.proof.sim.loop import NeverEndsError, SimLoop
from tests.proof.sim.run import simulate
from tests.proof.sim.setting import FAULTS

pytestmark = pytest.mark.slow

SERVER = Path(__file__).parents[3]
SEEDS = scaled(1_000)
SECONDS = 40 * SCALE if SCALE >= 1 else 240.0  # a small run is to be whole on a slow machine too
LEAST_SEEDS = 100  # on a machine that is busy with other things
REPLAYED = 8
FINGERPRINT = (
    "import sys; from tests.proof.sim.run import simulate; print(simulate(sys.argv[1]).fingerprint)"
)


@pytest.mark.timeout(patience(SECONDS))
def test_no_order_of_events_breaks_a_rule() -> None:
    campaign = Campaign(SEED)
    campaign.run(seconds=SECONDS, most=SEEDS)

    publish(figure_of(campaign, campaign.seconds))
    assert campaign.bad == 0, f"{AGAIN}\n{campaign.told()}"
    assert campaign.runs >= min(LEAST_SEEDS, SEEDS)
    assert set(campaign.faults) == set(FAULTS), campaign.faults
    assert campaign.deeds > 50 * campaign.runs, "the runs did next to nothing"


def test_a_seed_runs_the_same_way_again() -> None:
    for number in range(REPLAYED):
        seed = f"{SEED}-{number}"
        assert simulate(seed).fingerprint == simulate(seed).fingerprint


@pytest.mark.parametrize("hashes", ["1", "2"])
def test_a_seed_runs_the_same_way_in_another_process(hashes: str) -> None:
    """Also where sets of strings have another order."""
    seed = f"{SEED}-0"
    ran = subprocess.run(
        [sys.executable, "-c", FINGERPRINT, seed],
        cwd=SERVER,
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == simulate(seed).fingerprint


def test_another_seed_is_another_run() -> None:
    assert simulate("1").fingerprint != simulate("2").fingerprint


# --- the loop ---


def order_of(loop: SimLoop) -> list[int]:
    """In which order ten tasks run that are all ready at once."""
    seen: list[int] = []

    async def note(number: int) -> None:
        seen.append(number)

    async def all_of_them() -> None:
        await asyncio.gather(*(note(number) for number in range(10)))

    loop.run_until_complete(all_of_them())
    return seen


def test_a_seed_draws_the_order_of_what_is_ready() -> None:
    orders = [order_of(SimLoop(Random(seed), shuffled=True)) for seed in (1, 1, 2)]

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(10)) != orders[0]


def test_without_a_shuffle_the_order_is_that_of_asyncio() -> None:
    assert order_of(SimLoop(Random(1), shuffled=False)) == list(range(10))


def test_timers_fire_in_their_order_and_take_no_time() -> None:
    loop = SimLoop(Random(1), shuffled=True)
    fired: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, loop.time()))

    async def both() -> None:
        await asyncio.gather(sleep("late", 86_400), sleep("soon", 1))

    loop.run_until_complete(both())

    assert fired == [("soon", 1.0), ("late", 86_400.0)]


def test_what_waits_for_nothing_ends_with_an_error() -> None:
    loop = SimLoop(Random(1), shuffled=True)

    with pytest.raises(NeverEndsError):
        loop.run_until_complete(loop.create_future())
