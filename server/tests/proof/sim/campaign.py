"""Many seeds, one after another, and what they add up to."""

from __future__ import annotations

import time
from collections import Counter

from tests.proof.report import Figure
from tests.proof.sim.run import Result, simulate

SHOWN = 3  # broken seeds whose histories are told


class Campaign:
    """Seeds `SEED-0`, `SEED-1`, …"""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.runs = 0
        self.bad = 0
        self.deeds = 0
        self.calls = 0
        self.seconds = 0.0
        self.faults: Counter[str] = Counter()
        self._shown: list[str] = []

    def run(self, *, seconds: float, most: float = float("inf")) -> None:
        """Until the time is over, or `most` seeds have run."""
        began = time.monotonic()
        while self.runs < most and time.monotonic() - began < seconds:
            self._add(simulate(f"{self.seed}-{self.runs}"))
        self.seconds += time.monotonic() - began

    def _add(self, result: Result) -> None:
        self.runs += 1
        self.deeds += result.deeds
        self.calls += sum("op" in line for line in result.history.lines)
        self.faults.update(result.setting.faults)
        if result.violations:
            self.bad += 1
            self._shown += [result.told()] if len(self._shown) < SHOWN else []

    def told(self) -> str:
        return "\n\n".join(self._shown)

    @property
    def numbers(self) -> dict[str, int | float | str]:
        return {
            "seeds": self.runs,
            "calls": self.calls,
            "verbs": self.deeds,
            "faults": self.faults.total(),
            "seconds": round(self.seconds, 1),
        }


def figure_of(campaign: Campaign, seconds: float) -> Figure:
    return Figure(
        test="T30",
        title="deterministic simulation of the server",
        promises=("C2", "C3", "C4", "C5", "C6", "C7", "C8"),
        seed=campaign.seed,
        what="simulated runs",
        tries=campaign.runs,
        bad=campaign.bad,
        bar="no rule broken under any seed",
        seconds=seconds,
        control="servers with one fault each, see T30-mutants",
        numbers=campaign.numbers,
    )
