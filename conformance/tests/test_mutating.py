"""The grading of the suite by mutants, with controls: what changes nothing survives, what breaks everything is no kill."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from conformance.mutants import sdk, server
from conformance.mutants.fault import Mutant, fault, mutants_of
from conformance.mutants.forking import Nursery
from conformance.runner import loader, mutated_servers
from conformance.runner.commands.mutants import exit_code
from conformance.runner.mutating import (
    LATE,
    Fate,
    Grader,
    Runner,
    Subject,
    Told,
    Trial,
    grade,
)

SECONDS = 3.0  # that each item takes


@dataclass(frozen=True, slots=True)
class Item:
    """A trial that is a name."""

    name: str


@dataclass(slots=True)
class World:
    """Verdicts by mutant and item; what is not said passes."""

    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    async def open(self, mutant: str) -> Runner:
        self.opened.append(mutant)
        return _Fake(self, mutant)


@dataclass(slots=True)
class _Fake:
    world: World
    mutant: str

    async def run(self, item: Trial, limit_s: float = 0) -> Told:
        self.world.limits.append(limit_s)
        return Told(
            verdict=self.world.verdicts.get((self.mutant, item.name), "pass"), seconds=SECONDS
        )

    async def close(self) -> None:
        self.world.closed.append(self.mutant)


def mutant(name: str = "m") -> Mutant:
    return Mutant(name, "breaks one thing", ("JW-ACK-1",), lambda: None)


def subject_of(world: World) -> Subject:
    return Subject(
        name="fake",
        mutants={"m": mutant()},
        smoke=[Item("s1"), Item("s2")],
        named=lambda _: [Item("named")],
        rest=lambda _: [Item("named"), Item("other")],
        open=world.open,
    )


async def fate_of(verdicts: dict[tuple[str, str], str]) -> Fate:
    world = World(verdicts)
    [fate] = await grade(subject_of(world))
    assert sorted(world.opened) == sorted(world.closed)
    return fate


async def test_what_changes_nothing_survives() -> None:
    fate = await fate_of({})

    assert fate.end == "survived"
    assert exit_code([fate]) == 3


async def test_a_named_item_that_fails_kills() -> None:
    fate = await fate_of({("m", "named"): "fail"})

    assert (fate.end, fate.by, fate.named) == ("killed", "named", True)
    assert exit_code([fate]) == 0


async def test_an_item_has_twice_as_long_as_without_the_fault_and_two_seconds() -> None:
    world = World()

    await grade(subject_of(world))

    assert 2 * SECONDS + LATE in world.limits


async def test_any_other_item_kills_as_well_and_this_is_told() -> None:
    fate = await fate_of({("m", "other"): "fail"})

    assert (fate.end, fate.by, fate.named) == ("killed", "other", False)


async def test_where_only_named_items_are_tried_no_other_kills() -> None:
    world = World({("m", "other"): "fail"})
    grader = Grader(subject_of(world), only_named=True)

    fate = await grader.fate("m")
    await grader.close()

    assert fate.end == "survived"
    assert sorted(world.opened) == sorted(world.closed)


async def test_an_item_that_fails_without_the_fault_kills_nothing() -> None:
    fate = await fate_of({("m", "named"): "fail", ("", "named"): "fail"})

    assert fate.end == "survived"


@pytest.mark.parametrize("verdict", ["error", "not_applicable"])
async def test_only_a_failure_kills(verdict: str) -> None:
    fate = await fate_of({("m", "named"): verdict})

    assert fate.end == "survived"


async def test_what_fails_more_than_half_of_smoke_is_broken_and_not_killed() -> None:
    fate = await fate_of({("m", name): "fail" for name in ("s1", "s2", "named")})

    assert fate.end == "broken"
    assert exit_code([fate]) == 2


def test_a_mutant_says_what_it_breaks_and_what_kills_it() -> None:
    def silent() -> None: ...

    with pytest.raises(ValueError, match="does not say"):
        fault("JW-ACK-1")(silent)
    with pytest.raises(ValueError, match="names what should kill it"):
        fault()


def test_two_mutants_have_two_names() -> None:
    from conformance.mutants import time_faults

    with pytest.raises(ValueError, match="one name"):
        mutants_of(time_faults, time_faults)


def test_there_are_enough() -> None:
    assert len(server.MUTANTS) >= 45
    assert len(sdk.MUTANTS) >= 20


@pytest.mark.slow
async def test_a_real_server_with_a_fault_is_killed_and_one_without_survives() -> None:
    cases = [case for case in loader.load() if case.id in NEEDED]
    async with Nursery() as nursery:
        subject = mutated_servers.subject(cases, nursery)
        nothing = Mutant("", "changes nothing", ("ACK-001",), lambda: None)
        quick = Subject(
            name="server",
            mutants={"ack_loses_the_result": subject.mutants["ack_loses_the_result"], "": nothing},
            smoke=subject.smoke,
            named=subject.named,
            rest=lambda _: [],
            open=subject.open,
        )
        fates = {fate.mutant.name: fate for fate in await grade(quick)}

    assert fates["ack_loses_the_result"].end == "killed"
    assert fates["ack_loses_the_result"].by.startswith("ACK-001")
    assert fates[""].end == "survived"


NEEDED = {"ACK-001", *(name.partition("[")[0] for name in mutated_servers.SMOKE)}
