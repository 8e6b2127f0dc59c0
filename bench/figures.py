"""The arithmetic of the benchmark: percentiles, medians of rounds, ratios of pairs."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTILES = (50.0, 90.0, 99.0, 99.9)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank); no interpolation."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    """p50 … p99.9 and the maximum, in ms."""
    found = {f"p{percent:g}": percentile(latencies_s, percent) for percent in QUANTILES}
    return {
        name: round(value * 1_000, 3) for name, value in (found | {"max": max(latencies_s)}).items()
    }


def since_intended(intended: Sequence[float], answered: Sequence[float]) -> list[float]:
    """
    How long each caller waited who arrived when he arrived, whatever the client was busy with.

    A closed loop asks again only when it was answered, so that a stall of a second costs it one slow call; at a fixed rate it costs
    everyone who came in that second. Counted from the instant of the plan, no stall is left out (coordinated omission).
    """
    return [end - begin for begin, end in zip(intended, answered, strict=True)]


@dataclass(slots=True)
class Row:
    """One cell over its rounds. `rates` and `others` are pairs of one round each; others are the ceiling's, or what is named."""

    load: str
    door: str
    connections: int
    batch: int
    jobs: int  # a round
    against: str = "ceiling"
    rates: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    server_cpu_us: list[float] = field(default_factory=list)  # a job, as the next two
    ceiling_cpu_us: list[float] = field(default_factory=list)
    client_cpu_us: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.load}-{self.door}-c{self.connections}-b{self.batch}"

    @property
    def ratios(self) -> list[float]:
        return [rate / other for rate, other in zip(self.rates, self.others, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: what slows a whole round down is on both sides of its fraction."""
        return statistics.median(self.ratios)

    def record(self) -> dict[str, object]:
        """What the report keeps."""
        return {
            "row": self.name,
            "load": self.load,
            "door": self.door,
            "connections": self.connections,
            "batch": self.batch,
            "jobs": self.jobs,
            "rounds": len(self.rates),
            "jobs_s_median": round(statistics.median(self.rates)),
            "jobs_s_best": round(max(self.rates)),
            "against": self.against,
            "against_jobs_s_median": round(statistics.median(self.others)),
            "against_jobs_s_best": round(max(self.others)),
            "ratio_median": round(self.ratio, 3),
            "ratio_low": round(min(self.ratios), 3),
            "ratio_high": round(max(self.ratios), 3),
            "server_cpu_us_per_job": _middle(self.server_cpu_us),
            "ceiling_cpu_us_per_job": _middle(self.ceiling_cpu_us),
            "client_cpu_us_per_job": _middle(self.client_cpu_us),
        }


def _middle(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None
