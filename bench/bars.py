"""The figures of the last line, in its order, and the bar of each: the only place that says what is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Bar:
    """`least` and `most` are inclusive; None: no bound on that side."""

    key: str
    meaning: str
    digits: int
    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    @property
    def text(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "none" if self.most is None else f"≤ {self.most:g}"


BARS = (
    Bar("produce_ratio", "produce, TCP, 1 connection, batches of 50 ÷ ceiling", 3, least=0.25),
    Bar("produce16_ratio", "produce, TCP, 16 connections, batches of 50 ÷ ceiling", 3, least=0.35),
    Bar("consume_ratio", "pull and ack, TCP, 1 connection, batches of 50 ÷ ceiling", 3, least=0.30),
    Bar("e2e_ratio", "push, pull and ack, TCP, 1 connection, batches of 50 ÷ ceiling", 3, least=0.25),
    Bar("pipelined_ratio", "single pushes without waiting ÷ produce in batches of 50", 3, least=0.6),
    Bar("depth_ratio", "p50 of a pull at 10^6 waiting jobs ÷ at 10^3; the worse of pulls of 1 and of 10", 2, most=1.3),
    Bar("start_s", "process start to first answer on 10^6 jobs, s", 2, most=3.0),
    Bar("idle_conns_mib", "memory that 2,000 waiting pulls add, MiB", 1, most=40.0),
    Bar("wake_p99_ms", "push to the answer of a pull that waits, p99 at half load, ms", 2, most=10.0),
    Bar("idle_mib", "memory of a fresh server, MiB", 1, most=80.0),
)  # fmt: skip


def line(figures: Mapping[str, float]) -> str:
    """The last line of a run; a figure that was not measured is a dash."""
    return "bench: " + " ".join(f"{bar.key}={_shown(bar, figures)}" for bar in BARS)


def missed(figures: Mapping[str, float], *, partly: bool = False) -> list[str]:
    """What to say of each bar that is not met. One that was not measured is not met, unless the run was asked for a part."""
    return [
        f"{bar.key}={_shown(bar, figures)}, the bar is {bar.text} ({bar.meaning})"
        for bar in BARS
        if not (bar.is_met(figures[bar.key]) if bar.key in figures else partly)
    ]


def _shown(bar: Bar, figures: Mapping[str, float]) -> str:
    return f"{figures[bar.key]:.{bar.digits}f}" if bar.key in figures else "-"
