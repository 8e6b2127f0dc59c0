"""A failing item for people: what it wanted, what came, the wire, and the one command that runs it again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.runner.model import Outcome

MARKS = {True: "✓", False: "✗"}


def rerun(name: str, seed: int) -> str:
    """The command that runs exactly this item again, with the same names and ids."""
    return f"python -m conformance run --seed {seed} {shlex.quote(name)}"


def story(outcome: Outcome, seed: int, server_log: str = "") -> str:
    """Everything about an item that did not pass, as text."""
    case = outcome.item.case
    covered = ", ".join(case.covers) or "nothing of the specification"
    parts = [
        f"{outcome.verdict.upper()} {outcome.item.name}: {case.title}",
        f"  {case.where}, {case.level}, covers {covered}",
        *_steps(outcome),
        *_indented(outcome.failure or ""),
        "  wire:",
        *(f"    {line}" for line in outcome.wire),
    ]
    if server_log:
        parts += ["  end of the server's log:", *(f"    {line}" for line in tail(server_log))]
    return "\n".join([*parts, f"  again: {rerun(outcome.item.name, seed)}"])


def _steps(outcome: Outcome) -> Iterable[str]:
    file = outcome.item.case.file
    for step in outcome.steps:
        where = "" if step.ok else f"  ({file}:{step.line})"
        yield f"  {MARKS[step.ok]} {step.name}{where}"


def _indented(text: str) -> Iterable[str]:
    return (f"      {line}" for line in text.splitlines())


def tail(text: str, lines: int = 15) -> list[str]:
    return text.splitlines()[-lines:]


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many items came to each verdict."""
    counts = dict.fromkeys(("pass", "fail", "error", "not_applicable"), 0)
    for outcome in outcomes:
        counts[outcome.verdict] += 1
    return counts
