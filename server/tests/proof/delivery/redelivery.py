"""T12 on a real server: how long after the end of its lease, or its timeout, a dead worker's job is given out again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tests.proof.delivery.doors import TcpConnection, ok
from tests.proof.delivery.stalled_worker import Holding, stalled_raw
from tests.proof.launched import Launched

WAIT_MS: Final = 20_000
BEAT_S: Final = 0.3
BEATEN_LEASE_MS: Final = 1_000
LONG_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Case:
    """Jobs of a worker that is killed; they should come again `after_ms` after it pulled them."""

    name: str
    lease_ms: int
    timeout_ms: int | None = None

    @property
    def after_ms(self) -> int:
        return self.lease_ms if self.timeout_ms is None else self.timeout_ms


CASES: Final = (
    Case("lease-1000", 1_000),
    Case("lease-2000", 2_000),
    Case("timeout-1000", LONG_MS, timeout_ms=1_000),
)


@dataclass(slots=True)
class Delays:
    """How late, in ms, each job came again; and what must not have been."""

    late_ms: list[float] = field(default_factory=list)
    early: int = 0
    beats: int = 0
    taken: int = 0  # jobs that were given out again although their worker reported all the while


def measure(server: Launched, jobs: int, beating_s: float) -> Delays:
    """All cases at once, `jobs` each, while `jobs` more are kept by heartbeats for `beating_s` seconds."""
    total = Delays()
    with ThreadPoolExecutor(len(CASES) + 1) as pool:
        beating = pool.submit(keep_alive, server, jobs, beating_s)
        for part in pool.map(lambda case: redelivered(server, case, jobs), CASES):
            total.late_ms += part.late_ms
            total.early += part.early
        total.beats, total.taken = beating.result()
    return total


def redelivered(server: Launched, case: Case, count: int) -> Delays:
    door = TcpConnection(server.tcp)
    options = {"max_attempts": 100, "backoff_delay_ms": 0, "timeout_ms": case.timeout_ms}
    jobs = [{"name": "proof", **options} for _ in range(count)]
    ok(door.call("push_batch", queue=case.name, jobs=jobs))
    with stalled_raw(server, case.name, count, case.lease_ms) as worker:
        held = [Holding(**line) for line in worker.lines(count)]
        worker.kill()
    again = dict(pulled(door, case.name) for _ in held)
    door.close()
    after_us = case.after_ms * 1_000
    return Delays(
        late_ms=[(again[one.id] - one.heard_us - after_us) / 1_000 for one in held],
        early=sum(again[one.id] < one.asked_us + after_us for one in held),
    )


def pulled(door: TcpConnection, queue: str) -> tuple[str, int]:
    """The id of the next job and when it was heard of, in µs of CLOCK_MONOTONIC."""
    job = ok(door.call("pull", queue=queue, wait_ms=WAIT_MS, lease_ms=LONG_MS))["job"]
    assert job is not None, f"a job of {queue} did not come again within {WAIT_MS} ms"
    return job["id"], time.monotonic_ns() // 1_000


def keep_alive(server: Launched, count: int, seconds: float) -> tuple[int, int]:
    """How many heartbeats were sent, and how many of the jobs were taken away all the same."""
    door = TcpConnection(server.tcp)
    jobs = [{"name": "proof", "max_attempts": 100} for _ in range(count)]
    ok(door.call("push_batch", queue="beating", jobs=jobs))
    asked, ends = time.monotonic(), time.monotonic() + seconds
    held = door.call("pull", queue="beating", count=count, lease_ms=BEATEN_LEASE_MS)["jobs"]
    items = [{"id": job["id"], "lease": job["lease"]} for job in held]
    beats, lost = 0, set[str]()
    while time.monotonic() < ends and items:
        time.sleep(BEAT_S)  # the pace of a worker
        renewed, asked = asked, time.monotonic()
        gone = set(ok(door.call("heartbeat_batch", items=items))["lost"])
        is_in_time = time.monotonic() < renewed + BEATEN_LEASE_MS / 1_000
        lost |= gone if is_in_time else set()  # a harness that was held up itself proves nothing
        items = [item for item in items if item["id"] not in gone]
        beats += len(items)
    door.close()
    return beats, len(lost)
