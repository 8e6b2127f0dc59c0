"""Producers and workers as processes of their own, over plain sockets: `python -m tests.proof.traffic produce p1 SEED tcp PORT FOLDER SECONDS`.

They write every call to a ledger, outlive the server, and repeat what was not answered with the same id, lease or request_id.
A file in the folder tells them what phase it is: nothing, then `healed` (producers end, workers finish what there is), then `done`.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.acceptance.processes import Lines
from tests.proof.history import Ledger

QUEUES = ("proof-a", "proof-b")
LEASE_MS = 1_500
MAX_PUSHES = 20_000  # a process ends by itself, whatever becomes of its parent
NEVER = 1_000_000
PAUSE_S = 0.002


class Link(Protocol):
    def call(self, cmd: str, **fields: Any) -> dict[str, Any]: ...
    def close(self) -> None: ...


class TcpLink:
    def __init__(self, port: int) -> None:
        self._lines = Lines(port)
        self._lines.socket.settimeout(10)
        self._lines.call(cmd="hello", v=[2], rid=0)

    def call(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] | None = self._lines.call(cmd=cmd, rid=1, **fields)
        while answer is not None and "notice" in answer:
            answer = self._lines.read()
        if answer is None:
            raise ConnectionResetError("the server closed the connection")
        return answer

    def close(self) -> None:
        self._lines.close()


class HttpLink:
    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._connection.connect()

    def call(self, cmd: str, **fields: Any) -> dict[str, Any]:
        self._connection.request(
            "POST",
            f"/api/v1{path_of(cmd, fields)}",
            json.dumps(fields),
            {"Content-Type": "application/json"},
        )
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer

    def close(self) -> None:
        self._connection.close()


LINKS: dict[str, Callable[[int], Link]] = {"tcp": TcpLink, "http": HttpLink}


def path_of(cmd: str, fields: dict[str, Any]) -> str:
    """The route of a command; takes out of `fields` what stands in the path."""
    if cmd == "push":
        return f"/queues/{fields.pop('queue')}/jobs"
    if cmd == "pull":
        return "/pull"
    return f"/jobs/{fields.pop('id')}/{cmd}"


class Client:
    """One connection at a time, and a ledger of what was said over it."""

    def __init__(
        self, kind: str, port: int, folder: Path, ledger: Ledger, seed: str, seconds: float
    ) -> None:
        self.chance = random.Random(seed)
        self.ledger = ledger
        self._open = LINKS[kind]
        self._port = port
        self._folder = folder
        self._link: Link | None = None
        self._ends = time.monotonic() + seconds

    def is_over(self, phase: str) -> bool:
        return time.monotonic() > self._ends or (self._folder / phase).exists()

    def connect(self) -> bool:
        """Wait for the server; False when the run ended first."""
        while self._link is None:
            if self.is_over("done"):
                return False
            try:
                self._link = self._open(self._port)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # another process gives no signal that it listens
        return True

    def call(self, op: str, *, delivery: int | None = None, **fields: Any) -> dict[str, Any] | None:
        """The answer, or None when it is not known whether the call had its effect."""
        assert self._link is not None
        key = self.ledger.invoke(op, fields, delivery=delivery)
        try:
            answer = self._link.call(op, **fields)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            self._link.close()
            self._link = None
            return None
        return self._settled(op, key, answer)

    def _settled(self, op: str, key: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        code = "" if answer["ok"] else answer["error"]["code"]
        if code in ("STORAGE_UNAVAILABLE", "INTERNAL", "SHUTTING_DOWN"):
            return None  # says nothing about the effect
        told = {"jobs": list(jobs_of(answer))} if op == "pull" else answer
        self.ledger.end(key, "fail" if code else "ok", told)
        return answer

    def insist(
        self, op: str, *, delivery: int | None = None, **fields: Any
    ) -> dict[str, Any] | None:
        """Call again with the same fields until it is answered; None when the run ended first."""
        while self.connect():
            answer = self.call(op, delivery=delivery, **fields)
            if answer is not None:
                return answer
        return None


KEPT = ("id", "queue", "delivery", "lease", "attempt", "priority", "data", "run_at")


def jobs_of(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    jobs = answer["jobs"] if "jobs" in answer else [answer["job"]]
    for job in jobs:
        if job is not None:
            yield {name: job[name] for name in KEPT}


# ── Producers ──


def produce(client: Client) -> None:
    for number in range(MAX_PUSHES):
        if client.is_over("healed") or not client.connect():
            return
        push_one(client, job_of(client, number))
        time.sleep(PAUSE_S)  # the pace of the load, not a wait for anything


def push_one(client: Client, job: dict[str, Any]) -> None:
    """Push, and say it again after a lost answer, now and then also after a good one."""
    answer = client.call("push", **job)
    again = client.chance.random()
    if (answer is None and again < 0.7) or again < 0.02:
        client.insist("push", **job)


def job_of(client: Client, number: int) -> dict[str, Any]:
    chance = client.chance
    job: dict[str, Any] = {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "queue": chance.choice(QUEUES),
        "name": "proof",
        "data": {"from": client.ledger.worker, "n": number},
        "priority": chance.choice((0, 0, 0, 0, 5)),
        "max_attempts": chance.choice((3, 4, 5)),
        "backoff": chance.choice(("fixed", "linear", "exponential")),
        "backoff_delay_ms": chance.choice((20, 60)),
    }
    if chance.random() < 0.05:
        job["remove_on_complete"] = True
    if chance.random() < 0.1:
        job["unique_key"] = f"key-{chance.randrange(8)}"
        job["on_conflict"] = chance.choice(("reject", "ignore"))
    return job


# ── Workers ──


def work(client: Client) -> None:
    late: list[tuple[float, dict[str, Any]]] = []
    for number in range(10 * MAX_PUSHES):
        if client.is_over("done"):
            return
        healed = client.is_over("healed")
        late = settle_late(client, late)
        for job in pull(client, number) or ():
            handle(client, job, late, healed=healed)


def pull(client: Client, number: int) -> list[dict[str, Any]] | None:
    answer = client.insist(
        "pull",
        queue=client.chance.choice(QUEUES),
        count=client.chance.choice((1, 2, 4)),
        wait_ms=50,
        lease_ms=LEASE_MS,
        worker_id=client.ledger.worker,
        request_id=f"{client.ledger.worker}-{number}",
    )
    return list(jobs_of(answer)) if answer and answer["ok"] else None


def handle(
    client: Client, job: dict[str, Any], late: list[tuple[float, dict[str, Any]]], *, healed: bool
) -> None:
    """Mostly ack; before the end also fail, give back, say things twice or too late, and forget."""
    share = 0.0 if healed else client.chance.random()
    if client.chance.random() < 0.1:
        tell(client, "heartbeat", job)
    if share < 0.86:
        ack(client, job)
    elif share < 0.93:
        tell(client, "fail", job, error="proof")
        ack(client, job)  # under a lease that has ended; must be refused
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


def settle_late(
    client: Client, late: list[tuple[float, dict[str, Any]]]
) -> list[tuple[float, dict[str, Any]]]:
    """Ack what was dropped long enough ago; answers what is still to come."""
    now = time.monotonic()
    for due, job in late:
        if due <= now:
            ack(client, job)
    return [entry for entry in late if entry[0] > now]


def ack(client: Client, job: dict[str, Any]) -> None:
    tell(client, "ack", job, result={"by": client.ledger.worker, "delivery": job["delivery"]})


def tell(client: Client, op: str, job: dict[str, Any], **fields: Any) -> None:
    client.insist(op, delivery=job["delivery"], id=job["id"], lease=job["lease"], **fields)


ROLES = {"produce": produce, "work": work}


def main(role: str, name: str, seed: str, kind: str, port: str, folder: str, seconds: str) -> None:
    with Ledger(Path(folder), name) as ledger:
        client = Client(kind, int(port), Path(folder), ledger, f"{seed}-{name}", float(seconds))
        ROLES[role](client)


if __name__ == "__main__":
    main(*sys.argv[1:])
