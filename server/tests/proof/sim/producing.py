"""What producers and those who care for jobs do: pushes of every kind, repeats, batches, children, cancels, retries, pauses."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

from tests.proof.crash.traffic import QUEUES
from tests.proof.sim.client import Client

PAUSED_QUEUE = QUEUES[1]
KEYS = 3
BAD_BATCH_SHARE = 0.4

Job = dict[str, Any]


def job_of(chance: Random, features: frozenset[str], worker: str, number: int) -> Job:
    """A job without a queue; `features` names the options that this run may use."""
    job: Job = {
        "id": str(UUID(int=chance.getrandbits(128), version=4)),
        "name": "sim",
        "data": {"from": worker, "n": number},
        "priority": chance.choice((0, 0, 0, 5)),
        "max_attempts": chance.choice((2, 3, 4)),
        "backoff": chance.choice(("fixed", "linear", "exponential")),
        "backoff_delay_ms": chance.choice((20, 300)),
    }
    for name, (share, option) in OPTIONS.items():
        if name in features and chance.random() < share:
            option(job, chance)
    return job


def _delay(job: Job, chance: Random) -> None:
    job["delay_ms"] = chance.choice((40, 700))


def _lifo(job: Job, _: Random) -> None:
    job["lifo"] = True


def _remove(job: Job, _: Random) -> None:
    job["remove_on_complete"] = True


def _unique(job: Job, chance: Random) -> None:
    job["unique_key"] = f"key-{chance.randrange(KEYS)}"
    job["on_conflict"] = chance.choice(("reject", "reject", "ignore", "replace"))


OPTIONS = {
    "delay": (0.12, _delay),
    "lifo": (0.15, _lifo),
    "remove": (0.25, _remove),
    "unique": (0.4, _unique),
}


class Producer:
    """Pushes `number` jobs; what was accepted stands in `accepted`, which all clients share."""

    def __init__(self, client: Client, accepted: list[Job]) -> None:
        self.client = client
        self.chance = client.chance
        self._features = client.world.setting.features
        self._accepted = accepted
        self._made = 0

    async def run(self, number: int) -> None:
        for _ in range(number):
            await self.client.a_while(0, 1.5 if "sparse" in self._features else 0.2)
            if "batch" in self._features and self.chance.random() < 0.2:
                await self._push_batch()
            elif "again" in self._features and self._accepted and self.chance.random() < 0.2:
                await self._push_again()
            else:
                await self._push()

    def _job(self) -> Job:
        self._made += 1
        return job_of(self.chance, self._features, self.client.ledger.worker, self._made)

    async def _push(self) -> None:
        job = {**self._job(), "queue": self.chance.choice(QUEUES)}
        if "children" in self._features and self._accepted and self.chance.random() < 0.3:
            parents = self.chance.sample(self._accepted, min(len(self._accepted), 2))
            job["depends_on"] = [parent["id"] for parent in parents]
            job["data"]["child"] = True
            job.pop(
                "unique_key", None
            )  # a child may end with its parents, unseen, and free its key
            job.pop("on_conflict", None)
        answer = await self.client.insist("push", **job)
        if answer["ok"] and answer["id"] == job["id"]:
            self._accepted.append(job)

    async def _push_again(self) -> None:
        """The same once more, long after: it must be recognised, also when the job is gone."""
        job = self.chance.choice(self._accepted)
        await self.client.insist("push", **job)

    async def _push_batch(self) -> None:
        queue = self.chance.choice(QUEUES)
        jobs = [self._job() for _ in range(self.chance.choice((2, 3)))]
        if self.chance.random() < BAD_BATCH_SHARE:
            for job in jobs:
                job |= {"unique_key": f"batch-{self._made}", "on_conflict": "reject"}
        answer = await self.client.insist("push_batch", queue=queue, jobs=jobs, atomic=True)
        if answer["ok"]:
            mine = [job for job, made in zip(jobs, answer["ids"], strict=True) if job["id"] == made]
            self._accepted += [{**job, "queue": queue} for job in mine]


class Carer:
    """Cancels jobs, starts dead letters and cancelled jobs over, and pauses one queue now and then."""

    def __init__(self, client: Client, accepted: list[Job]) -> None:
        self.client = client
        self.chance = client.chance
        self._features = client.world.setting.features
        self._accepted = accepted
        self._is_paused = False

    async def run(self) -> None:
        while not self.client.world.is_healed:
            await self.client.a_while(0.05, 0.4)
            if "pause" in self._features and self.chance.random() < 0.3:
                await self._pause_or_resume()
            elif "cancel" in self._features and self._accepted:
                await self._stop_or_restart(self.chance.choice(self._accepted[-8:]))
        while self._is_paused:
            await self._pause_or_resume()

    async def _pause_or_resume(self) -> None:
        """Refused while the disk is full, and then everything stays as it was (JW-JOB-10)."""
        if self._is_paused:
            answer = await self.client.insist("queue_resume", queue=PAUSED_QUEUE)
        else:
            mode = self.chance.choice(("pull", "pull", "both"))
            answer = await self.client.insist("queue_pause", queue=PAUSED_QUEUE, mode=mode)
        self._is_paused ^= answer["ok"]

    async def _stop_or_restart(self, job: Job) -> None:
        """A child is not started over: it would no longer wait for its parents (JW-RETRY-2)."""
        if self.chance.random() < 0.4:
            await self.client.insist("cancel", id=job["id"])
        elif "depends_on" not in job:
            await self.client.call("retry", id=job["id"])
