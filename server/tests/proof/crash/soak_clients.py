"""A steady load on one queue: `python -m tests.proof.crash.soak_clients produce p1 SEED tcp PORT FOLDER SECONDS QUEUE RATE`. RATE is jobs a second, for a producer."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Any

from tests.proof.crash.traffic import Client, jobs_of
from tests.proof.crash.working import ack_batch, tell
from tests.proof.history import Ledger

BATCH = 20  # jobs of one push
PULLED = 50
LEASE_MS = 30_000
DELAYED_SHARE, FAILED_SHARE = 0.05, 0.01
MAX_ATTEMPTS = 50  # so that no job ends in the dead letters

Job = dict[str, Any]


def produce(client: Client, queue: str, rate: float) -> None:
    """Push batches at their times. After a pause, such as a kill, it goes on from now, and does not catch up."""
    due = time.monotonic()
    while not client.is_over("healed"):
        client.insist("push_batch", queue=queue, jobs=batch(client), atomic=True)
        due = max(due + BATCH / rate, time.monotonic() - BATCH / rate)
        time.sleep(max(0.0, due - time.monotonic()))  # the pace of the load


def batch(client: Client) -> list[Job]:
    return [job(client) for _ in range(BATCH)]


def job(client: Client) -> Job:
    made: Job = {
        "id": str(uuid.UUID(int=client.chance.getrandbits(128), version=4)),
        "name": "soak",
        "data": {"pad": "x" * client.chance.choice((20, 200))},
        "max_attempts": MAX_ATTEMPTS,
        "backoff": "fixed",
        "backoff_delay_ms": 100,
    }
    if client.chance.random() < DELAYED_SHARE:
        made["delay_ms"] = client.chance.choice((50, 500))
    return made


def work(client: Client, queue: str, _rate: float) -> None:
    number = 0
    while not client.is_over("done"):
        number += 1
        jobs = pull(client, queue, number)
        failed = [each for each in jobs if client.chance.random() < FAILED_SHARE]
        for each in failed:
            tell(client, "fail", each, error="soak")
        good = [each for each in jobs if each not in failed]
        if good:
            ack_batch(client, good)


def pull(client: Client, queue: str, number: int) -> list[Job]:
    answer = client.insist(
        "pull",
        queue=queue,
        count=PULLED,
        wait_ms=100,
        lease_ms=LEASE_MS,
        request_id=f"{queue}-{client.ledger.worker}-{number}",
    )
    return list(jobs_of(answer)) if answer and answer["ok"] else []


ROLES = {"produce": produce, "work": work}


def main(
    role: str, name: str, seed: str, kind: str, port: str, folder: str, seconds: str, queue: str, rate: str
) -> None:  # fmt: skip
    with Ledger(Path(folder), name) as ledger:
        client = Client(
            kind, int(port), Path(folder), ledger, f"{seed}-{queue}-{name}", float(seconds)
        )
        ROLES[role](client, queue, float(rate))


if __name__ == "__main__":
    main(*sys.argv[1:])
