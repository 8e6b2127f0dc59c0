"""
The lines that close a run of pytest:

    conformance: 4731 passed, 0 failed
    coverage: C1=100% … C8=100%
    mutants: server 102/102 sdk 52/52
    null servers: 0 unexplained passes
    wall: 193.0 s

That of coverage is told of a whole run alone, and those of mutants and null servers by the items of test_grading.py that ran.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from conformance.runner import coverage
from conformance.runner.cells import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What an item of test_grading.py tells of itself: the name of a property, and the two words of its value.
MUTANT: Final = "mutant"  # server or sdk, and what became of it: killed, survived, broken
NULLS: Final = "null"  # the kind of null server, and how many passes nothing explains
KINDS: Final = ("server", "sdk")  # of mutants, in the order in which they are told
WHOLE: Final = 100.0  # per cent


class Report(Protocol):
    """What pytest tells of an item."""

    @property
    def user_properties(self) -> Sequence[tuple[str, Any]]: ...


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the items came to. `mutants` is how many there were of a kind and how many were killed."""

    passed: int = 0
    failed: int = 0
    mutants: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    nulls: int | None = None  # None where no null server was tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The coverage of a whole run: its line, and what is missing of it."""

    line: str
    faults: list[str]


def counted(stats: Mapping[str, Sequence[Any]]) -> Counts:
    """Counts of the reports that pytest's terminal reporter has, by outcome."""
    ran = [*stats.get("passed", ()), *stats.get("failed", ())]
    counts = Counts(
        passed=len(stats.get("passed", ())),
        failed=len(stats.get("failed", ())) + len(stats.get("error", ())),
    )
    for name, value in _told(ran):
        first, second = str(value).split()
        if name == MUTANT:
            counts.mutants[first] += 1
            counts.killed[first] += second == "killed"
        elif name == NULLS:
            counts.nulls = (counts.nulls or 0) + int(second)
    return counts


def _told(reports: Iterable[Report]) -> Iterable[tuple[str, Any]]:
    return (each for report in reports for each in report.user_properties)


def measured_coverage() -> Measured:
    """Of all that was recorded; each cell that is missing is a fault, and so is what coverage.py says of floors."""
    found = coverage.measured()
    floor = json.loads(coverage.FLOOR.read_text(encoding="utf-8"))
    missing = [f"missing {each} {cell}" for each in DIMENSIONS for cell in found.missing(each)]
    return Measured(line=found.line(), faults=[*missing, *found.faults(bar=WHOLE, floor=floor)])


def lines(counts: Counts, measured: Measured | None, seconds: float) -> list[str]:
    """The lines, those of coverage's faults before them."""
    kinds = " ".join(
        f"{kind} {counts.killed[kind]}/{counts.mutants[kind]}"
        for kind in KINDS
        if counts.mutants[kind]
    )
    return [
        *(measured.faults if measured else ()),
        f"conformance: {counts.passed} passed, {counts.failed} failed",
        *([measured.line] if measured else ()),
        *([f"mutants: {kinds}"] if kinds else ()),
        *([f"null servers: {counts.nulls} unexplained passes"] if counts.nulls is not None else ()),
        f"wall: {seconds:.1f} s",
    ]
