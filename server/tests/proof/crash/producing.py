"""What a producer does: pushes of every kind, batches, children, cancels, and one producer that pauses a queue now and then."""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.proof.crash.traffic import QUEUES, Client
from tests.proof.history import now_us

MAX_CALLS = 20_000  # a process ends by itself, whatever becomes of its parent
PAUSE_S = 0.002
REMEMBERED = 40  # jobs that a producer may still cancel or depend on
BATCH_SIZES = (2, 3, 5)

PAUSER = "produce-0"  # one client pauses one queue, so that it is known when it was paused
PAUSED_QUEUE = QUEUES[1]
PAUSE_EVERY_S = (0.8, 2.0)
PAUSED_FOR_S = (0.05, 0.3)

Job = dict[str, Any]


def produce(client: Client) -> None:
    producer = Producer(client)
    for _ in range(MAX_CALLS):
        if client.is_over("healed") or not client.connect():
            break
        producer.step()
        time.sleep(PAUSE_S)  # the pace of the load, not a wait for anything
    producer.resume()


class Producer:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.chance = client.chance
        self.pauser = Pauser(client)
        self._recent: deque[Job] = deque(maxlen=REMEMBERED)
        self._made = 0

    def step(self) -> None:
        if self.client.ledger.worker == PAUSER:
            self.pauser.step()
        share = self.chance.random()
        if share < 0.1:
            self._push_batch()
        elif share < 0.15 and self._recent:
            self._cancel(self.chance.choice(self._recent))
        else:
            self._push()

    def resume(self) -> None:
        self.pauser.resume()

    # ── Pushes ──

    def _push(self) -> None:
        job = self._job() | self._dependencies()
        job["queue"] = self.chance.choice(QUEUES)
        if self._say("push", **job):
            self._recent.append(job)

    def _push_batch(self) -> None:
        """Jobs of one queue; at times the last one waits for the first, wherever that stands."""
        queue = self.chance.choice(QUEUES)
        jobs = [self._job() for _ in range(self.chance.choice(BATCH_SIZES))]
        if self.chance.random() < 0.3:
            jobs[-1]["depends_on"] = [jobs[0]["id"]]
            self.chance.shuffle(jobs)
        atomic = self.chance.random() < 0.7
        if self._say("push_batch", queue=queue, jobs=jobs, atomic=atomic):
            self._recent += [{**job, "queue": queue} for job in jobs]

    def _say(self, op: str, **fields: Any) -> bool:
        """Push, and say it again after a lost answer, now and then also after a good one; True when it was accepted."""
        answer = self.client.call(op, **fields)
        again = self.chance.random()
        if (answer is None and again < 0.7) or again < 0.02:
            answer = self.client.insist(op, **fields)
        return bool(answer and answer["ok"])

    def _job(self) -> Job:
        self._made += 1
        data: Job = {"from": self.client.ledger.worker, "n": self._made}
        job: Job = {
            "id": str(uuid.UUID(int=self.chance.getrandbits(128), version=4)),
            "name": "proof",
            "data": data,
            "priority": self.chance.choice((0, 0, 0, 0, 5)),
            "max_attempts": self.chance.choice((3, 4, 5)),
            "backoff": self.chance.choice(("fixed", "linear", "exponential")),
            "backoff_delay_ms": self.chance.choice((20, 60)),
        }
        for option, share in SHARES.items():
            if self.chance.random() < share:
                OPTIONS[option](job, self.chance)
        return job

    def _dependencies(self) -> Job:
        if self.chance.random() > 0.07 or not self._recent:
            return {}
        parents = self.chance.sample(self._recent, min(len(self._recent), 2))
        return {"depends_on": [parent["id"] for parent in parents]}

    # ── What is done to jobs that were pushed ──

    def _cancel(self, job: Job) -> None:
        """Cancel, and at times start it over. A child is not: it would no longer wait for its parents (JW-RETRY-2)."""
        answer = self.client.insist("cancel", id=job["id"])
        is_free = answer and answer["ok"] and "depends_on" not in job
        if is_free and self.chance.random() < 0.3 and self.client.connect():
            self.client.call("retry", id=job["id"])


def _delay(job: Job, chance: random.Random) -> None:
    job["delay_ms"] = chance.choice((40, 250))


def _run_at(job: Job, chance: random.Random) -> None:
    """An instant of the wall clock; the data has it in µs of the clock that the ledgers have."""
    ahead_ms = chance.choice((60, 300))
    due = datetime.now(UTC) + timedelta(milliseconds=ahead_ms)
    job["run_at"] = due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    job["data"]["due_us"] = now_us() + ahead_ms * 1_000
    job.pop("delay_ms", None)


def _lifo(job: Job, _: random.Random) -> None:
    job["lifo"] = True


def _remove(job: Job, _: random.Random) -> None:
    job["remove_on_complete"] = True


def _unique(job: Job, chance: random.Random) -> None:
    job["unique_key"] = f"key-{chance.randrange(8)}"
    job["on_conflict"] = chance.choice(("reject", "ignore", "replace", "replace"))


OPTIONS = {
    "delay": _delay,
    "run_at": _run_at,
    "lifo": _lifo,
    "remove": _remove,
    "unique": _unique,
}
SHARES = {"delay": 0.06, "run_at": 0.04, "lifo": 0.06, "remove": 0.05, "unique": 0.1}


class Pauser:
    """Pauses a queue for a short while, again and again."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_paused = False
        self._next = time.monotonic() + client.chance.uniform(*PAUSE_EVERY_S)

    def step(self) -> None:
        if time.monotonic() < self._next:
            return
        if self._is_paused:
            self.resume()
        else:
            self._pause()

    def _pause(self) -> None:
        mode = self._client.chance.choice(("pull", "push", "both"))
        self._client.insist("queue_pause", queue=PAUSED_QUEUE, mode=mode)
        self._is_paused = True
        self._next = time.monotonic() + self._client.chance.uniform(*PAUSED_FOR_S)

    def resume(self) -> None:
        if self._is_paused:
            self._client.insist("queue_resume", queue=PAUSED_QUEUE)
            self._is_paused = False
            self._next = time.monotonic() + self._client.chance.uniform(*PAUSE_EVERY_S)
