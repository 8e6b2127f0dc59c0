"""Writes the server's transition table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_text import python_file, string_set, string_tuple

if TYPE_CHECKING:
    from source import Spec

PATH = "server/src/jobwire_server/engine/transitions.py"

_HEAD = '''\
"""What each operation does to a job in each state, as spec/lifecycle.yaml says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Effect: TypeAlias = Literal["move", "stay", "already", "refuse", "skip"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table.

    `to` holds the states that the job may be in after a move, and `error` the code of a refusal.
    """

    effect: Effect
    to: frozenset[str] = frozenset()
    error: str | None = None


'''


def outputs(spec: Spec) -> dict[str, str]:
    """The one file of this module: path → text."""
    sources = ("lifecycle.yaml",)
    body = _HEAD + _names(spec.lifecycle) + _leases(spec.lifecycle) + _table(spec.lifecycle)
    return {PATH: python_file(body, sources=sources, digest=spec.digest(*sources))}


def _names(lifecycle: dict[str, Any]) -> str:
    terminal = [state for state, entry in lifecycle["states"].items() if entry["terminal"]]
    tuples = {
        "STATES": lifecycle["states"],
        "OPERATIONS": lifecycle["operations"],
        "REASONS": lifecycle["reasons"],
        "ERROR_KINDS": lifecycle["error_kinds"],
        "SETTLED_BY": lifecycle["settled_by"],
    }
    lines = [f"{name}: Final = {string_tuple(list(names))}\n" for name, names in tuples.items()]
    return "".join(lines) + f"TERMINAL: Final = {string_set(terminal)}\n"


def _leases(lifecycle: dict[str, Any]) -> str:
    operations = lifecycle["operations"].items()
    leased = [name for name, entry in operations if entry.get("lease")]
    already = {
        name: entry["already_same_lease"]
        for name, entry in operations
        if "already_same_lease" in entry
    }
    return (
        f"\n# The operations that speak for a job under its lease.\n"
        f"LEASED: Final = {string_set(leased)}\n"
        f"\n# A repeat under a lease that ended in this way is answered with `already`.\n"
        f"ALREADY_SAME_LEASE: Final[dict[str, str]] = {already!r}\n"
    )


def _table(lifecycle: dict[str, Any]) -> str:
    rows = "".join(
        f"({operation!r}, {state!r}): {_rule(cell)},\n"
        for operation, entry in lifecycle["operations"].items()
        for state, cell in entry["on"].items()
    )
    return f"\nTRANSITIONS: Final[dict[tuple[str, str], Rule]] = {{\n{rows}}}\n"


def _rule(cell: dict[str, Any]) -> str:
    arguments = [repr(cell["effect"])]
    if "to" in cell:
        arguments.append(f"to={string_set(cell['to'])}")
    if "error" in cell:
        arguments.append(f"error={cell['error']!r}")
    return f"Rule({', '.join(arguments)})"
