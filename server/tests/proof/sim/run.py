"""One seed, one run: who takes part, what goes wrong when, and what the rules say of it in the end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from structlog.testing import capture_logs
from tests.proof.checker import Violation
from tests.proof.crash.traffic import QUEUES
from tests.proof.facts import Final
from tests.proof.sim.client import Client
from tests.proof.sim.loop import NeverEndsError
from tests.proof.sim.producing import Carer, Producer
from tests.proof.sim.recording import History
from tests.proof.sim.rules import check
from tests.proof.sim.setting import Setting
from tests.proof.sim.working import Worker
from tests.proof.sim.world import World

DRAIN_MS = 60_000
BUG = "bug"  # an exception that nobody caught, or a run that never ends: no rule, and never allowed


@dataclass(frozen=True, slots=True)
class Result:
    seed: str
    fingerprint: str
    violations: list[Violation]
    history: History
    deeds: int  # verbs that the store carried out
    setting: Setting

    @property
    def rules(self) -> set[str]:
        return {violation.rule for violation in self.violations}

    def told(self) -> str:
        """How to run it again, what is wrong, and the history of the jobs concerned."""
        first = self.violations[0]
        lines = [f"again: python -m tests.proof.sim.again {self.seed}", *map(str, self.violations)]
        numbers = {int(line) for line in first.lines}
        named = [json.dumps(self.history.lines[n - 1]) for n in sorted(numbers)]
        return "\n".join([*lines, "", *named])


def simulate(seed: str, setting: Setting | None = None) -> Result:
    """Run one seed from nothing; two runs of it are the same to the last byte of their histories."""
    setting = setting or Setting.drawn(seed)
    world = World(seed, setting)
    violations: list[Violation] = []
    with capture_logs() as logs:
        try:
            final = world.loop.run_until_complete(Scene(world).play())
            violations = check(world.history.calls(), final)
        except NeverEndsError as error:
            violations = [Violation(BUG, str(error), ())]
        fingerprint = world.fingerprint()
        bugs = [*world.loop.problems, *(str(log) for log in logs if log["log_level"] == "error")]
        world.loop.close()
    violations += [Violation(BUG, bug, ()) for bug in bugs]
    return Result(seed, fingerprint, violations, world.history, world.deeds, setting)


class Scene:
    """All who take part in one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = Random(f"{world.seed}-scene")
        self.accepted: list[dict[str, Any]] = []
        self._clients: list[Client] = []

    async def play(self) -> Final:
        """Load and faults, then peace until every job has ended, then what the server shows."""
        await self.world.start()
        setting = self.world.setting
        workers = [
            self._task(Worker(self._client(f"w{number}")).run())
            for number in range(setting.workers)
        ]
        carer = self._task(Carer(self._client("c"), self.accepted).run())
        havoc = self._task(self._havoc())
        producers = [
            self._task(Producer(self._client(f"p{number}"), self.accepted).run(pushes))
            for number, pushes in enumerate(setting.pushes)
        ]
        await asyncio.gather(*producers)
        await havoc
        await self.world.heal()
        await carer
        await self._drain()
        self.world.is_over = True
        final = await self._final()
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        return final

    def _task(self, work: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    def _client(self, name: str) -> Client:
        client = Client(self.world, name)
        self._clients.append(client)
        return client

    # --- faults ---

    async def _havoc(self) -> None:
        for name in self.world.setting.faults:
            await asyncio.sleep(self.chance.uniform(0.05, 0.8))
            await self._do(name)

    async def _do(self, name: str) -> None:
        world = self.world
        match name:
            case "kill":
                await world.crash(self.chance.choice((0.01, 0.3, 2.5)))
            case "cut":
                self.chance.choice(self._clients).hang_up()
            case "before" | "after" if world.server is not None:
                world.server.store.next_fault = name
            case "full" if world.server is not None:
                await self._fill_up(world.server.store)
            case "stall":
                world.stall(self.chance.uniform(7, 12))
            case "jump":
                world.clock.jump(self.chance.choice((-20_000, -1_500, 1_500, 20_000)))

    async def _fill_up(self, store: Any) -> None:
        store.is_full = True
        await asyncio.sleep(self.chance.uniform(0.05, 0.4))
        store.is_full = False

    # --- the end ---

    async def _drain(self) -> None:
        key = self.world.ledger.invoke("drain", {"bound_ms": DRAIN_MS})
        ends = self.world.loop.time() + DRAIN_MS / 1_000
        while self.world.unfinished() and self.world.loop.time() < ends:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.1)
        self.world.ledger.end(key, "fail" if self.world.unfinished() else "ok", {})

    async def _final(self) -> Final:
        link = await self.world.connect()
        jobs, counts = [], {}
        for queue in QUEUES:
            jobs += (await link.send("find", queue=queue, limit=1_000))["jobs"]
            counts[queue] = (await link.send("stats", queue=queue))["counts"]
        return Final(jobs=jobs, counts=counts)
