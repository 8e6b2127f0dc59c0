"""What a run is made of; drawn from its seed, so that a rare mix is not always hidden by everything else."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.proof.sim.faults import QUICK, SLOW, Pace

# What jobs and clients may do beside the plain thing.
FEATURES: Final = (
    "again",  # pushes and pulls are repeated after they were answered
    "batch",
    "cancel",  # and retry
    "children",
    "delay",
    "impatient",  # pulls are taken back, or their connections cut
    "lifo",
    "pause",
    "remove",  # on completion
    "sparse",  # long times without a push
    "unique",
)  # fmt: skip
FAULTS: Final = ("kill", "kill", "cut", "before", "after", "full", "stall", "jump")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    features: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()  # in the order in which they happen
    workers: int = 2
    pushes: tuple[int, ...] = (8, 8)  # of each producer
    pace: Pace = QUICK
    is_shuffled: bool = True  # whether what is ready runs in any order, or in that of asyncio

    @classmethod
    def drawn(cls, seed: str) -> Setting:
        chance = Random(f"{seed}-setting")
        return cls(
            features=frozenset(name for name in FEATURES if chance.random() < 0.5),
            faults=tuple(chance.choices(FAULTS, k=chance.choice((0, 1, 2, 3, 4)))),
            workers=chance.choice((1, 2, 3)),
            pushes=(chance.choice((4, 8, 12)), chance.choice((4, 8, 12))),
            pace=chance.choice((QUICK, QUICK, SLOW)),
            is_shuffled=chance.random() < 0.5,
        )


# One worker that waits for jobs that come one by one, on a store so slow that many come while it looks: what it is not told of stays.
LONELY: Final = Setting(features=frozenset({"sparse"}), workers=1, pushes=(30,), pace=((1.0, 0.1),))
