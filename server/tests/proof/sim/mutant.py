"""A server with one fault: what was broken, how, and which rule must say so.

A mutant is made by patching one thing of the server, in the test's process only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.proof.sim.setting import Setting

Patch = pytest.MonkeyPatch
Apply = Callable[[Patch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rules`: any of these is the right answer to this fault. `setting`: the runs that meet it soonest; drawn from the seed if None."""

    name: str
    apply: Apply
    rules: frozenset[str]
    setting: Setting | None


class Mutants:
    """The mutants of a module: each function under `caught_by`, by its name."""

    def __init__(self) -> None:
        self._all: list[Mutant] = []

    def __iter__(self) -> Iterator[Mutant]:
        return iter(self._all)

    def caught_by(self, *rules: str, setting: Setting | None = None) -> Callable[[Apply], Apply]:
        def add(apply: Apply) -> Apply:
            self._all.append(Mutant(apply.__name__, apply, frozenset(rules), setting))
            return apply

        return add
