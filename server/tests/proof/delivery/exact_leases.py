"""T12 on a clock that is moved by hand: a lease and a timeout end at their millisecond, and not one before."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from tests.stores import KINDS, new_store
from tests.world import World

from jobwire_server.clock import ManualClock

LEASES_MS: Final = (1_000, 5_000, 30_000)


async def wrong_ends(folder: Path, seed: object, rounds: int) -> tuple[int, int]:
    """How many leases and timeouts were tried, and how many did not end at their instant."""
    tried = wrong = 0
    for kind in KINDS:
        clock = ManualClock()
        store = new_store(kind, folder)
        await store.open(clock.now())
        world, chance = World(store, clock), random.Random(f"{seed}-{kind}")
        for _ in range(rounds):
            for lease_ms in LEASES_MS:
                wrong += not await ends_exactly(world, chance, lease_ms)
                wrong += not await times_out_exactly(world, chance, lease_ms)
                tried += 2
        await store.close()
    return tried, wrong


async def ends_exactly(world: World, chance: random.Random, lease_ms: int) -> bool:
    """The lease ends its length after the pull or the last of some heartbeats."""
    await world.push(max_attempts=2)
    job = await world.pulled(lease_ms=lease_ms)
    for _ in range(chance.randrange(4)):
        await world.after(chance.randrange(lease_ms))
        await world.ok("heartbeat", id=job["id"], lease=job["lease"])
    return await _ends_after(world, job["id"], lease_ms, "lease_expired")


async def times_out_exactly(world: World, chance: random.Random, timeout_ms: int) -> bool:
    """The timeout counts from the pull, whatever heartbeats do to the lease."""
    await world.push(max_attempts=2, timeout_ms=timeout_ms, backoff_delay_ms=0)
    job = await world.pulled(lease_ms=2 * timeout_ms)
    passed = chance.randrange(timeout_ms)
    await world.after(passed)
    await world.ok("heartbeat", id=job["id"], lease=job["lease"])
    return await _ends_after(world, job["id"], timeout_ms - passed, "timeout")


async def _ends_after(world: World, job_id: str, ms: int, kind: str) -> bool:
    before = await world.after(ms - 1), await world.state(job_id)
    await world.after(1)
    after = await world.get(job_id)
    kinds = [error["kind"] for error in after["errors"]]
    await world.ok("cancel", id=job_id)
    return (before, after["state"], kinds) == ((0, "active"), "waiting", [kind])
