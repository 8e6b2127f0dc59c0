"""
Does the suite notice a fault? Each mutant is run against the cases that it names, and, if they let it live, against all others;
`make test` leaves these out, so that there each mutant has to name what kills it.

Rule 1: a case kills by failing. An error of the suite, a case that does not apply or a server that does not start kill nothing.
Rule 2: a case counts only if it passes on the server without a fault, in the same run.
Rule 3: a mutant must be able to live: it starts, and at least half of SMOKE pass, else it is broken and proves nothing.
Rule 4: an item that takes twice as long as without the fault, and LATE more, has failed: it waits for what never comes. The patience
of cases and runner is for slow machines, and this one has just shown how fast it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from conformance.runner.running import ITEM_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from conformance.mutants.fault import Mutant

NAMED: Final = 6  # items that are tried for what a mutant names, before all others
AT_ONCE: Final = 2
LATE: Final = 2.0  # seconds


class Trial(Protocol):
    """An item of either kind of case, as far as it is chosen here."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one item on one mutant: pass, fail, error or not_applicable; `why` in words, `seconds` of its steps."""

    verdict: str
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """
    What became of a mutant: killed, survived or broken. `by` is the item that killed it, `named` whether the mutant says so;
    `why` tells the failure, or what is broken.
    """

    mutant: Mutant
    end: str
    by: str = ""
    named: bool = False
    why: str = ""
    tried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    What is mutated. `smoke` and `named` say which items to run, in their order, and `rest` which then; `open` starts a mutant
    and gives what runs an item on it.
    """

    name: str
    mutants: Mapping[str, Mutant]
    smoke: Sequence[Trial]
    named: Callable[[Mutant], Sequence[Trial]]
    rest: Callable[[Mutant], Sequence[Trial]]
    open: Callable[[str], Awaitable[Runner]]


class Runner(Protocol):
    """Runs items on one mutant, until it is closed. An item that is not over in `limit_s` has failed."""

    async def run(self, item: Trial, limit_s: float = ITEM_LIMIT_S) -> Told: ...
    async def close(self) -> None: ...


def meant(
    mutant: Mutant, ids: Callable[[Trial], Iterable[str]], items: Sequence[Trial]
) -> list[Trial]:
    """
    The items that a mutant names, those of its first word first; `ids` are an item's name, its case's id and what that covers.

    Of a requirement's cases at most NAMED are taken, spread over the ways in which a case runs.
    """
    found: dict[str, Trial] = {}
    for word in mutant.killers:
        fitting = [item for item in items if word in ids(item)]
        for item in fitting[:: max(len(fitting) // NAMED, 1)][:NAMED]:
            found.setdefault(item.name, item)
    return list(found.values())


async def grade(
    subject: Subject, only: Sequence[str] = (), tell: Callable[[Fate], None] = lambda fate: None
) -> list[Fate]:
    """The fate of every mutant, or of those in `only`. Raises KeyError for one that there is not."""
    turns = asyncio.Semaphore(AT_ONCE)
    grader = Grader(subject)

    async def one(name: str) -> Fate:
        async with turns:
            fate = await grader.fate(name)
            tell(fate)
            return fate

    try:
        return list(await asyncio.gather(*map(one, only or subject.mutants)))
    finally:
        await grader.close()


class Grader:
    """Tries one mutant after another; what the items come to without a fault is asked once for all of them."""

    def __init__(self, subject: Subject, *, only_named: bool = False) -> None:
        self._subject = subject
        self._only_named = only_named
        self._sound = Sound(subject)

    async def fate(self, name: str) -> Fate:
        """What becomes of a mutant. Raises KeyError for one that there is not."""
        mutant = self._subject.mutants[name]
        runner = await self._subject.open(name)
        try:
            broken = await _broken(self._subject, runner)
            if broken:
                return Fate(mutant=mutant, end="broken", why=broken)
            named = self._subject.named(mutant)
            fate = await _try(mutant, named, runner, self._sound, named=True)
            if fate.end == "survived" and not self._only_named:
                tried = {item.name for item in named}
                rest = [item for item in self._subject.rest(mutant) if item.name not in tried]
                fate = await _try(mutant, rest, runner, self._sound, named=False)
            return fate
        finally:
            await runner.close()

    async def close(self) -> None:
        await self._sound.close()


class Sound:
    """What the items come to without a fault; each is asked once."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._runner: asyncio.Task[Runner] | None = None
        self._told: dict[str, asyncio.Task[Told]] = {}

    async def told(self, item: Trial) -> Told:
        if item.name not in self._told:
            self._told[item.name] = asyncio.create_task(self._run(item))
        return await self._told[item.name]

    async def _run(self, item: Trial) -> Told:
        if self._runner is None:
            self._runner = asyncio.ensure_future(self._subject.open(""))
        return await (await self._runner).run(item)

    async def close(self) -> None:
        if self._runner is not None:
            await (await self._runner).close()


async def _broken(subject: Subject, runner: Runner) -> str:
    """Why a mutant cannot live; empty when it can."""
    told = [await runner.run(item) for item in subject.smoke]
    failed = [each for each in told if each.verdict != "pass"]
    if len(failed) * 2 <= len(told):
        return ""
    return f"{len(failed)} of the {len(told)} smoke cases do not pass: {failed[0].why}"


async def _try(
    mutant: Mutant, items: Sequence[Trial], runner: Runner, sound: Sound, *, named: bool
) -> Fate:
    errors = []
    for count, item in enumerate(items, 1):
        told = await sound.told(item)
        if told.verdict == "pass":
            limit_s = 2 * told.seconds + LATE
            told = await runner.run(item, limit_s)
            if told.verdict == "fail" and not named:
                told = await runner.run(item, limit_s)  # thousands are tried: chance must not count
            if told.verdict == "fail":
                why = told.why
                return Fate(
                    mutant=mutant, end="killed", by=item.name, named=named, why=why, tried=count
                )
        if told.verdict == "error":
            errors.append(f"{item.name}: {told.why}")
    return Fate(mutant=mutant, end="survived", why="; ".join(errors[:1]), tried=len(items))
