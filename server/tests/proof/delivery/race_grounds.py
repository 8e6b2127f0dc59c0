"""T11: where the races of `job_races` are run: in process on any store, and over both doors of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from random import Random
from typing import Any, Final, TypeVar

from msgspec.structs import replace
from tests.proof.delivery.doors import Answer, all_at_once, ok, open_doors
from tests.proof.delivery.job_races import CLIENTS, LONG_MS, Race, Tally
from tests.proof.launched import Launched
from tests.stores import Wrapped
from tests.world import World

from jobwire_server.model import Change, ClaimRequest, Job
from jobwire_server.store.base import ApplyOutcome, Store

AT_ONCE: Final = 8  # races on one world, so that they share transactions
LEASE_MS: Final = 1_000
TIMEOUT_MS: Final = 500
SOON_MS: Final = (1, 8)  # timeouts on a real server: about when the calls come
MOST_TURNS: Final = 6  # of the event loop, before a call begins or a store goes on
MOST_LEASE_ENDS: Final = 2

T = TypeVar("T")


async def _later(chance: Random, what: Awaitable[T]) -> T:
    for _ in range(chance.randrange(MOST_TURNS)):
        await asyncio.sleep(0)
    return await what


class Dithering(Wrapped):
    """A store that is now and then slow to begin and slow to answer, so that callers come between."""

    def __init__(self, store: Store, chance: Random) -> None:
        super().__init__(store)
        self._chance = chance

    async def apply(self, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        return await self._slowly(self.store.apply(changes, now))

    async def claim(self, request: ClaimRequest, now: int) -> list[Job]:
        return await self._slowly(self.store.claim(request, now))

    async def get(self, ids: Sequence[str]) -> list[Job | None]:
        return await self._slowly(self.store.get(ids))

    async def _slowly(self, what: Awaitable[T]) -> T:
        found = await _later(self._chance, what)
        return await _later(self._chance, asyncio.sleep(0, found))


class Unguarded(Wrapped):
    """The control: a store that makes every change, whoever was first."""

    async def apply(self, changes: Sequence[Change], now: int) -> list[ApplyOutcome]:
        found = await self.store.get([change.job.id for change in changes])
        forced = [
            replace(each, expect=job.revision, job=replace(each.job, revision=job.revision + 1))
            for each, job in zip(changes, found, strict=True)
            if job is not None
        ]
        return await self.store.apply(forced, now)


# ── In process ──


async def race_in_process(world: World, chance: Random, rounds: int) -> Tally:
    tally = Tally()
    while tally.rounds < rounds:
        names = [f"race-{slot}" for slot in range(AT_ONCE)]
        await _race_together(world, chance, [Race(n, chance, TIMEOUT_MS) for n in names], tally)
    return tally


async def _race_together(world: World, chance: Random, races: list[Race], tally: Tally) -> None:
    before = [await _hand_out(world, race) for race in races]
    ends = [_let_leases_end(world) for _ in range(chance.randint(0, MOST_LEASE_ENDS))]
    said = [world.ask(op, **fields) for race in races for op, fields in race.requests]
    ended, answers = await asyncio.gather(
        asyncio.gather(*(_later(chance, each) for each in ends)),
        asyncio.gather(*(_later(chance, each) for each in said)),
    )
    told = iter(answers)
    for race, revision in zip(races, before, strict=True):
        own = [next(told) for _ in race.requests]
        changes = (await world.row(race.id)).revision - revision
        final = await world.get(race.id)
        tally.add(race, own, final, changes)
        await _look_again(world, race, final, tally)
    assert len(ended) == len(ends)


async def _hand_out(world: World, race: Race) -> int:
    """Push and pull the job; its revision then."""
    await world.push(race.queue, **race.options)
    race.about(await world.pulled(race.queue, lease_ms=LEASE_MS))
    return (await world.row(race.id)).revision


async def _let_leases_end(world: World) -> None:
    world.clock.advance(LEASE_MS)
    await world.housekeeper.run_due()


async def _look_again(world: World, race: Race, final: Answer, tally: Tally) -> None:
    """A job that has ended is never given out again; one that has not is ended here."""
    again = await world.pull(race.queue)
    if final["state"] in ("completed", "dlq", "cancelled"):
        tally.forbid(f"{race.queue} {final['state']}", again)
    await world.ask("cancel", id=race.id)
    await world.ask("ack", id=race.id)


# ── On a real server ──


def race_over_doors(server: Launched, chance: Random, rounds: int) -> Tally:
    tally = Tally()
    with open_doors(server, CLIENTS[1]) as doors:
        while tally.rounds < rounds:
            race = Race(f"race-{tally.rounds}", chance, chance.randint(*SOON_MS))
            first = doors[0]
            ok(first.call("push", queue=race.queue, name="proof", **race.options))
            race.about(first.call("pull", queue=race.queue, lease_ms=LONG_MS)["job"])
            answers = all_at_once(chance.sample(doors, len(doors)), race.requests, server)
            final: dict[str, Any] = ok(first.call("get", id=race.id))["job"]
            tally.add(race, answers, final, None)
            if final["state"] in ("completed", "dlq", "cancelled"):
                again = first.call("pull", queue=race.queue)["job"]
                tally.forbid(f"{race.queue} {final['state']}", again)
    return tally
