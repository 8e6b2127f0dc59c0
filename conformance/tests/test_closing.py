"""The lines that close a run say what its items came to, and nothing of what did not run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from conformance.runner.closing import MUTANT, NULLS, Measured, counted, lines


def report(*properties: tuple[str, str]) -> Any:
    return SimpleNamespace(user_properties=list(properties))


def test_a_whole_run_has_all_lines() -> None:
    stats = {
        "passed": [report(), report((MUTANT, "server killed")), report((NULLS, "hangs 0"))],
        "failed": [report((MUTANT, "server survived")), report((NULLS, "echo 2"))],
        "error": [report()],
    }

    told = lines(counted(stats), Measured(line="coverage: C1=100%", faults=[]), 12.34)

    assert told == [
        "conformance: 3 passed, 3 failed",
        "coverage: C1=100%",
        "mutants: server 1/2",
        "null servers: 2 unexplained passes",
        "wall: 12.3 s",
    ]


def test_a_mutant_that_is_broken_counts_as_one_that_lives() -> None:
    stats = {"failed": [report((MUTANT, "sdk broken"))], "passed": [report((MUTANT, "sdk killed"))]}

    assert "mutants: sdk 1/2" in lines(counted(stats), None, 0)


def test_what_did_not_run_is_not_told() -> None:
    assert lines(counted({"passed": [report()]}), None, 0) == [
        "conformance: 1 passed, 0 failed",
        "wall: 0.0 s",
    ]


def test_what_coverage_misses_is_told_first() -> None:
    measured = Measured(line="coverage: C1=99%", faults=["missing C1 push 201"])

    assert lines(counted({}), measured, 0)[0] == "missing C1 push 201"
