"""
A mutant: one fault, how it is made, and what must notice it.

Rule 1: a fault is one small patch of one rule. It is applied once, in a process of its own, before anything runs; nothing undoes it.
Rule 2: a fault must let the server start and the smoke cases pass, else it would prove nothing about the case that is to find it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    `killers` are ids of cases (`ACK-003`) and of requirements (`JW-ACK-1`, whose cases are meant); they are run first.
    """

    name: str
    about: str
    killers: tuple[str, ...]
    apply: Callable[[], None]


def fault(*killers: str) -> Callable[[Callable[[], None]], Mutant]:
    """Make a mutant of the function that applies it; its name and its docstring are the mutant's."""
    if not killers:
        raise ValueError("a mutant names what should kill it")

    def made(apply: Callable[[], None]) -> Mutant:
        about = " ".join((apply.__doc__ or "").split())
        if not about:
            raise ValueError(f"{apply.__name__} does not say what it breaks")
        return Mutant(apply.__name__, about, killers, apply)

    return made


def mutants_of(*modules: ModuleType) -> tuple[Mutant, ...]:
    """The mutants that these modules define, in their order. ValueError when two have one name."""
    found = [value for module in modules for value in vars(module).values() if _is_mutant(value)]
    names = [mutant.name for mutant in found]
    if len(set(names)) != len(names):
        raise ValueError(
            f"two mutants have one name: {sorted(n for n in names if names.count(n) > 1)}"
        )
    return tuple(found)


def _is_mutant(value: object) -> bool:
    return isinstance(value, Mutant)


def around(owner: Any, name: str, changed: Callable[..., Any]) -> None:
    """
    Put `changed(original, *args, **kwargs)` in the place of `owner.name`, which must be there.

    For a method, args begin with self.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def patched(*args: Any, **kwargs: Any) -> Any:
        return changed(original, *args, **kwargs)

    setattr(owner, name, patched)


def put(owner: Any, name: str, value: object) -> None:
    """Put `value` in the place of `owner.name`, which must be there."""
    getattr(owner, name)
    setattr(owner, name, value)


def everywhere(owners: Iterable[Any], name: str, value: object) -> None:
    """`put` for a name that several modules have imported."""
    for owner in owners:
        put(owner, name, value)
