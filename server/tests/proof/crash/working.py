"""What a worker does with a job: mostly ack; before the end also fail, give back, say things twice or too late, and forget."""

from __future__ import annotations

import time
from typing import Any

from tests.proof.crash.traffic import QUEUES, Client, jobs_of

LEASE_MS = 1_500
MAX_PULLS = 200_000  # a process ends by itself, whatever becomes of its parent
NEVER = 1_000_000

Job = dict[str, Any]
Late = list[tuple[float, Job]]  # (instant of the monotonic clock in s, a job that was dropped)


def work(client: Client) -> None:
    late: Late = []
    for number in range(MAX_PULLS):
        if client.is_over("done"):
            return
        healed = client.is_over("healed")
        late = settle_late(client, late)
        handle_all(client, pull(client, number), late, healed=healed)


def pull(client: Client, number: int) -> list[Job]:
    answer = client.insist(
        "pull",
        queue=client.chance.choice(QUEUES),
        count=client.chance.choice((1, 2, 4)),
        wait_ms=50,
        lease_ms=LEASE_MS,
        worker_id=client.ledger.worker,
        request_id=f"{client.ledger.worker}-{number}",
    )
    return list(jobs_of(answer)) if answer and answer["ok"] else []


def handle_all(client: Client, jobs: list[Job], late: Late, *, healed: bool) -> None:
    """One by one, or in a batch those that came together."""
    if len(jobs) > 1 and client.chance.random() < 0.4:
        ack_batch(client, jobs)
        return
    for job in jobs:
        handle(client, job, late, healed=healed)


def handle(client: Client, job: Job, late: Late, *, healed: bool) -> None:
    share = 0.0 if healed else client.chance.random()
    if client.chance.random() < 0.1:
        tell(client, "heartbeat", job)
    if share < 0.84:
        ack(client, job)
    elif share < 0.93:
        fail(client, job)
    elif share < 0.96:
        tell(client, "release", job, delay_ms=client.chance.choice((0, 30)))
        tell(client, "heartbeat", job)
    elif share < 0.975:
        ack(client, job)
        ack(client, job)
    else:
        client.ledger.note("drop", delivery=job["delivery"], id=job["id"], lease=job["lease"])
        leases = client.chance.choice((1, 3, NEVER))  # about when the lease ends, or long after
        late.append((time.monotonic() + leases * LEASE_MS / 1_000, job))


def fail(client: Client, job: Job) -> None:
    """At times for good; a dead letter is often started over, by itself or as dead letters are."""
    answer = tell(client, "fail", job, error="proof", discard=client.chance.random() < 0.3)
    ack(client, job)  # under a lease that has ended; must be refused
    is_dead = answer and answer["ok"] and not answer["will_retry"]
    if is_dead and client.chance.random() < 0.6 and client.connect():
        if client.chance.random() < 0.5:
            client.call("retry", id=job["id"])
        else:
            client.call("dlq_retry", queue=job["queue"], ids=[job["id"]])


def settle_late(client: Client, late: Late) -> Late:
    """Ack what was dropped long enough ago; answers what is still to come."""
    now = time.monotonic()
    for due, job in late:
        if due <= now:
            ack(client, job)
    return [entry for entry in late if entry[0] > now]


def ack(client: Client, job: Job) -> None:
    tell(client, "ack", job, result=result_of(client, job))


def ack_batch(client: Client, jobs: list[Job]) -> None:
    items = [
        {"id": job["id"], "lease": job["lease"], "result": result_of(client, job)} for job in jobs
    ]
    client.insist("ack_batch", delivery=[job["delivery"] for job in jobs], items=items)


def result_of(client: Client, job: Job) -> Job:
    return {"by": client.ledger.worker, "delivery": job["delivery"]}


def tell(client: Client, op: str, job: Job, **fields: Any) -> Job | None:
    return client.insist(op, delivery=job["delivery"], id=job["id"], lease=job["lease"], **fields)
