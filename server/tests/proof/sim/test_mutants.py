"""T30, second half: servers with one fault each; the simulation must tell every one of them, by the rule that is there for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.proof.knobs import AGAIN, SEED, patience
from tests.proof.report import Figure, publish
from tests.proof.sim.mutant import Mutant
from tests.proof.sim.mutants import MUTANTS
from tests.proof.sim.run import simulate
from tests.proof.sim.setting import Setting

pytestmark = pytest.mark.slow

MOST_SEEDS = 120  # that a mutant may outlive
BAR = 12
Run = tuple[str, Setting | None]


@dataclass(frozen=True, slots=True)
class Hunt:
    """What one mutant was run through; `rule` is the one that told, None for a mutant that lived on."""

    mutant: Mutant
    rule: str | None
    runs: list[Run]


def hunt(mutant: Mutant) -> Hunt:
    """Seed after seed until a rule tells that is there for this fault. A mere crash does not count."""
    runs: list[Run] = []
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        for number in range(MOST_SEEDS):
            runs.append((f"{SEED}-mutant-{number}", mutant.setting))
            told = simulate(*runs[-1]).rules & mutant.rules
            if told:
                return Hunt(mutant, min(told), runs)
    return Hunt(mutant, None, runs)


@pytest.mark.timeout(patience(60))
def test_every_mutant_is_caught_and_the_real_server_is_not(
    record_property: Callable[[str, object], None],
) -> None:
    began = time.monotonic()
    hunts = [hunt(mutant) for mutant in MUTANTS]
    same_runs = dict.fromkeys(run for each in hunts for run in each.runs)
    broken = {run: found.rules for run in same_runs if (found := simulate(*run)).violations}
    alive = [each.mutant.name for each in hunts if each.rule is None]
    for each in hunts:
        record_property(each.mutant.name, each.rule)

    publish(
        Figure(
            test="T30-mutants",
            title="mutants of the server",
            promises=("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"),
            seed=SEED,
            what="mutants",
            tries=len(hunts),
            bad=len(alive),
            bar=f"all caught, at least {BAR}, each by its rule",
            seconds=time.monotonic() - began,
            control=f"the real server on the same {len(same_runs)} runs breaks {len(broken)} rules",
            numbers={
                "caught": len(hunts) - len(alive),
                "rules": len({each.rule for each in hunts if each.rule}),
                "runs": sum(len(each.runs) for each in hunts),
            },
        )
    )
    assert alive == [], AGAIN
    assert broken == {}, AGAIN
    assert len({each.mutant.name for each in hunts}) == len(hunts) >= BAR
