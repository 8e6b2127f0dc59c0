"""T10: a worker that was stopped past its lease says what it has to say too late, and nobody listens (guarantees C2; JW-LEASE-1, JW-LEASE-3, JW-SDK-9).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
from tests.proof.delivery.broken_rules import any_lease, broken
from tests.proof.delivery.doors import DOORS, TcpConnection, ok
from tests.proof.delivery.stalled_worker import CALLS_A_JOB, Said, stalled_raw, stalled_sdk
from tests.proof.knobs import AGAIN, SCALE, SEED, patience, scaled
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

ROUNDS = scaled(1)
JOBS = 18  # a raw worker holds at a time
SDK_JOBS = 6
CONTROL_JOBS = 9
LEASE_MS = 1_000
LONG_MS = 120_000
OURS = {"by": "the second worker"}


@dataclass(slots=True)
class Tally:
    """Calls, and jobs."""

    stale: list[Said] = field(default_factory=list)
    jobs: int = 0
    changed: int = 0  # jobs that were not after the stale calls what they were before
    overruled: int = 0  # jobs that do not have the second worker's result in the end

    @property
    def accepted(self) -> int:
        return sum(said.code in ("ok", "already") for said in self.stale)

    @property
    def bad(self) -> int:
        return self.accepted + self.changed + self.overruled


@pytest.mark.timeout(patience(10))
def test_a_stale_worker_is_never_heard(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "whole") as server, ThreadPoolExecutor(1 + len(DOORS)) as pool:
        raw = pool.map(lambda number: raw_round(server, f"raw-{number}", JOBS), range(ROUNDS))
        sdk = pool.map(lambda pair: sdk_round(server, *pair), product(DOORS, range(ROUNDS)))
        tally = summed([*raw, *sdk])
    with launched(tmp_path / "broken", entry=broken(any_lease)) as server:
        caught = raw_round(server, "raw", CONTROL_JOBS)

    figure = publish(
        Figure(
            test="T10",
            title="fencing",
            promises=("C2",),
            seed=SEED,
            what="stale calls",
            tries=len(tally.stale),
            bad=tally.bad,
            bar="stale accepted 0, the second worker's result stands 100 %",
            seconds=time.monotonic() - began,
            control=f"no check of the lease: {caught.accepted} of {len(caught.stale)} accepted, {caught.overruled} of {caught.jobs} results overruled",
            numbers={
                "accepted": tally.accepted,
                "jobs": tally.jobs,
                "changed": tally.changed,
                "overruled": tally.overruled,
                "sdk_jobs": ROUNDS * len(DOORS) * SDK_JOBS,
            },
        )
    )
    assert figure.bad == 0, AGAIN
    assert Counter(said.code for said in tally.stale) == {"LEASE_LOST": figure.tries}, AGAIN
    assert figure.tries == ROUNDS * JOBS * CALLS_A_JOB >= 200 * min(1, SCALE)
    assert tally.jobs == ROUNDS * (JOBS + len(DOORS) * SDK_JOBS)
    assert caught.accepted > 0, "without the check, stale calls must be accepted"
    assert caught.overruled > 0, "and results overruled"


def summed(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.stale += tally.stale
        total.jobs += tally.jobs
        total.changed += tally.changed
        total.overruled += tally.overruled
    return total


def raw_round(server: Launched, queue: str, count: int) -> Tally:
    """A third of the jobs is done, a third held and a third waiting again when the first worker speaks."""
    second = TcpConnection(server.tcp)
    push(second, queue, count)
    with stalled_raw(server, queue, count, LEASE_MS, SEED) as first:
        first.lines(count)
        first.stop()
        held = [pull(second, queue) for _ in range(count)]
        left = [job for job, fate in zip(held, cycle(FATES), strict=False) if fate(second, job)]
        before = [shown(second, job["id"]) for job in held]
        first.go_on()
        first.speak()
        said = [Said(**line) for line in first.lines(count * CALLS_A_JOB)]
    after = [shown(second, job["id"]) for job in held]
    changed = sum(one != other for one, other in zip(before, after, strict=True))
    for job in left:
        second.call("ack", id=job["id"], lease=job["lease"], result=OURS)
    finish_waiting(second, queue)
    overruled = overruled_among(second, held)
    second.close()
    return Tally(said, count, changed, overruled)


def done(door: TcpConnection, job: dict[str, Any]) -> bool:
    ok(door.call("ack", id=job["id"], lease=job["lease"], result=OURS))
    return False


def held_on(_: TcpConnection, __: dict[str, Any]) -> bool:
    return True


def given_back(door: TcpConnection, job: dict[str, Any]) -> bool:
    ok(door.call("release", id=job["id"], lease=job["lease"]))
    return False


FATES = (done, held_on, given_back)  # True: still to be acknowledged


def sdk_round(server: Launched, door: str, number: int) -> Tally:
    """The handlers of a stopped SDK worker return late; what they return must not count."""
    queue = f"sdk-{door}-{number}"
    gate = server.folder / f"gate-{queue}"
    second = TcpConnection(server.tcp)
    push(second, queue, SDK_JOBS)
    with stalled_sdk(server.url(door), queue, SDK_JOBS, LEASE_MS, gate) as first:
        first.lines(SDK_JOBS)
        first.stop()
        held = [pull(second, queue) for _ in range(SDK_JOBS)]
        for job in held[::2]:
            done(second, job)
        gate.touch()
        first.go_on()
        assert first.terminate() == 0, "the worker ended well"
    for job in held[1::2]:
        done(second, job)
    overruled = overruled_among(second, held)
    second.close()
    return Tally(jobs=SDK_JOBS, overruled=overruled)


def push(door: TcpConnection, queue: str, count: int) -> None:
    jobs = [{"name": "proof", "data": number, "max_attempts": 100} for number in range(count)]
    ok(door.call("push_batch", queue=queue, jobs=jobs))


def pull(door: TcpConnection, queue: str) -> dict[str, Any]:
    job: dict[str, Any] | None = door.call("pull", queue=queue, wait_ms=20_000, lease_ms=LONG_MS)[
        "job"
    ]
    assert job is not None, f"the job did not come again; {AGAIN}"
    return job


def finish_waiting(door: TcpConnection, queue: str) -> None:
    while (job := door.call("pull", queue=queue)["job"]) is not None:
        door.call("ack", id=job["id"], lease=job["lease"], result=OURS)


def overruled_among(door: TcpConnection, held: Iterable[dict[str, Any]]) -> int:
    finals = [shown(door, job["id"]) for job in held]
    return sum((job["state"], job["result"]) != ("completed", OURS) for job in finals)


def shown(door: TcpConnection, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = ok(door.call("get", id=job_id))["job"]
    return job
