"""What workers do with jobs, several at a time: ack, fail, give back, say things twice, too late and at the same time, and forget."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.proof.crash.traffic import QUEUES, jobs_of
from tests.proof.sim.client import Client, Impatience

LEASES_MS = (1_000, 1_000, 1_600)

Job = dict[str, Any]


class Worker:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.chance = client.chance
        self._features = client.world.setting.features
        self._handlers: set[asyncio.Task[None]] = set()
        self._pulls = 0

    async def run(self) -> None:
        while not self.client.world.is_over:
            for job in await self._pull():
                handler = asyncio.get_running_loop().create_task(self._handle(job))
                self._handlers.add(handler)
                handler.add_done_callback(self._handlers.discard)
            if len(self._handlers) > 3:
                await asyncio.wait(self._handlers, return_when=asyncio.FIRST_COMPLETED)

    async def _pull(self) -> list[Job]:
        """Asks again with the same request_id until it is answered, and now and then after that."""
        fields = self._fields()
        answer = None
        if "impatient" in self._features and self.chance.random() < 0.25:
            hangs_up = self.chance.random() < 0.5
            impatience = Impatience(self.chance.uniform(0, 0.06), hangs_up=hangs_up)
            answer = await self.client.call("pull", impatient=impatience, **fields)
        if answer is None:
            answer = await self.client.insist("pull", **fields)
        if "again" in self._features and self.chance.random() < 0.1:
            answer = await self.client.insist("pull", **fields)
        return list(jobs_of(answer)) if answer["ok"] else []

    def _fields(self) -> dict[str, Any]:
        self._pulls += 1
        some = self.chance.sample(QUEUES, 2)
        several = self.chance.random() < 0.3
        named = {"request_id": f"{self.client.ledger.worker}-{self._pulls}"}
        return {
            **({"queues": some} if several else {"queue": some[0]}),
            **(named if self.chance.random() < 0.7 else {}),
            "count": self.chance.choice((1, 1, 2, 3)),
            "wait_ms": self.chance.choice((0, 100, 800, 1_500, 3_000)),
            "lease_ms": self.chance.choice(LEASES_MS),
            "worker_id": self.client.ledger.worker,
        }

    async def _handle(self, job: Job) -> None:
        world, share = self.client.world, self.chance.random()
        await self.client.a_while(0, 0.15)
        if world.is_healed:
            share = 0.0
        for limit, way in WAYS:
            if share < limit:
                await way(self, job)
                return

    # --- the ways to handle a job ---

    async def _finish(self, job: Job) -> None:
        await self._tell("ack", job, result=self._result(job))

    async def _finish_slowly(self, job: Job) -> None:
        """Longer than the lease, which heartbeats keep alive."""
        for _ in range(self.chance.choice((1, 2, 4))):
            await self.client.a_while(0.2, 0.8)
            await self._tell("heartbeat", job)
        await self._tell("progress", job, progress=50)
        await self.client.a_while(0, 0.5)
        await self._finish(job)

    async def _finish_twice(self, job: Job) -> None:
        """At the same time, over one connection."""
        await asyncio.gather(self._finish(job), self._finish(job), self._tell("heartbeat", job))

    async def _finish_and_fail(self, job: Job) -> None:
        """Only one of them can be true."""
        await asyncio.gather(self._finish(job), self._tell("fail", job, error="sim"))

    async def _fail(self, job: Job) -> None:
        """At times for good; then at once under a lease that has ended, which must be refused."""
        discard = self.chance.random() < 0.3
        answer = await self._tell("fail", job, error="sim", discard=discard)
        await self._finish(job)
        dead = answer["ok"] and not answer["will_retry"]
        if dead and "cancel" in self._features and not self._waited(job):
            await self._restart(job)

    async def _restart(self, job: Job) -> None:
        if self.chance.random() < 0.5:
            await self.client.call("retry", id=job["id"])
        else:
            await self.client.call("dlq_retry", queue=job["queue"], ids=[job["id"]])

    async def _give_back(self, job: Job) -> None:
        await self._tell("release", job, delay_ms=self.chance.choice((0, 0, 60)))
        await self._tell("progress", job, progress=1)

    async def _forget(self, job: Job) -> None:
        """About when the lease ends, or after it has been given to another one, say that it is done."""
        self.client.ledger.note("drop", delivery=job["delivery"], id=job["id"], lease=job["lease"])
        await self.client.a_while(0.9, 3.0)
        if self.chance.random() < 0.7:
            await self._finish(job)

    # --- steps ---

    async def _tell(self, op: str, job: Job, **fields: Any) -> Job:
        return await self.client.insist(
            op, delivery=job["delivery"], id=job["id"], lease=job["lease"], **fields
        )

    def _result(self, job: Job) -> Job:
        return {"by": self.client.ledger.worker, "delivery": job["delivery"]}

    def _waited(self, job: Job) -> bool:
        """Whether it is a child, which is not started over."""
        return bool(job["data"].get("child"))


WAYS = (
    (0.45, Worker._finish),
    (0.57, Worker._finish_slowly),
    (0.65, Worker._finish_twice),
    (0.70, Worker._finish_and_fail),
    (0.84, Worker._fail),
    (0.91, Worker._give_back),
    (1.01, Worker._forget),
)
