"""T21: a server that is stopped and goes on, under workers whose leases are shorter than the stop."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.processes import until
from tests.proof.crash.traffic import TcpLink
from tests.proof.faulty_server import FAULTY
from tests.proof.launched import Launched, entry, launched
from tests.proof.network.hands import LOST
from tests.proof.network.lost_replies import jobs_in
from tests.proof.network.sdk_load import EACH, Consumer, Threaded, end_all

LEASE_S = 1.2
RAW_LEASE_MS = 1_800
RAW_BEAT_S = 0.25
RAW_JOBS = 40  # held by each raw client
SDK_JOBS = 24  # held by each SDK worker
QUEUE = "paused"
SETTLES_IN_S = 2.0  # after a stop; longer than a lease, so that one that was lost has shown


class Holder(Threaded):
    """
    Holds its jobs over a plain socket with a batch of heartbeats now and then, and acks them at the end.

    While `frozen` is set it says nothing: a process on the same machine, that is stopped together with the server.
    """

    def __init__(self, port: int, queue: str) -> None:
        super().__init__()
        self._port, self._queue = port, queue
        self.frozen = threading.Event()
        self.jobs: list[dict[str, Any]] = []
        self.lost: set[str] = set()

    def _work(self) -> None:
        self._link = TcpLink(self._port)
        pull = {"queue": self._queue, "count": RAW_JOBS, "lease_ms": RAW_LEASE_MS}
        self.jobs = self._link.call("pull", **pull)["jobs"]
        frozen = False
        while not self._stop.wait(RAW_BEAT_S):
            frozen_before, frozen = frozen, self.frozen.is_set()
            if frozen or frozen_before:  # it goes on where it was: with a wait
                continue
            results = self._call("heartbeat_batch")["results"]
            self.lost |= {result["id"] for result in results if not result["ok"]}
        results = self._call("ack_batch")["results"]
        self.lost |= {result["id"] for result in results if not result["ok"]}
        self._link.close()

    def _call(self, cmd: str) -> dict[str, Any]:
        """Over a new connection when the old one is lost."""
        items = [{"id": job["id"], "lease": job["lease"]} for job in self.jobs]
        try:
            return self._link.call(cmd, items=items)
        except LOST:
            self._link = TcpLink(self._port)
            return self._link.call(cmd, items=items)


@dataclass(slots=True)
class Report:
    """What one run came to; leases are counted once a stop."""

    pauses_s: list[float] = field(default_factory=list)
    leases: int = 0
    taken: list[str] = field(default_factory=list)  # jobs whose leases were lost
    unfinished: list[str] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)  # from SIGCONT to the first answer


def run(folder: Path, seed: int, pauses: Sequence[float], *, fault: str = "") -> Report:
    report, chance = Report(), random.Random(f"pauses-{seed}")
    # Handlers take as long as all stops together, so that the same leases meet each of them.
    seconds = sum(pauses) + len(pauses) * SETTLES_IN_S
    with launched(folder, entry=entry(FAULTY, fault)) as server, ExitStack() as stack:
        stock(server, seconds)
        holders = [stack.enter_context(Holder(server.tcp, f"raw-{n}")) for n in range(2)]
        workers = [
            stack.enter_context(
                Consumer(
                    kind,
                    server.url(door),
                    [f"{kind}-{door}"],
                    lease=LEASE_S,
                    concurrency=SDK_JOBS,
                    timeout=5.0,
                )
            )
            for kind, door in EACH
        ]
        until(lambda: is_all_held(holders, workers), 20, "every job is held")
        for pause in pauses:
            stop_for(server, pause, report, holders[0].frozen)
            report.leases += len(holders) * RAW_JOBS + len(workers) * SDK_JOBS
            time.sleep(SETTLES_IN_S * chance.uniform(0.8, 1))  # for a lost lease to show
        end_all(holders)
        finish_rest(server)
        conclude(server, holders, workers, report)
        end_all(workers)
    return report


def stock(server: Launched, seconds: float) -> None:
    """As many jobs as there are slots, in a queue for each client."""
    rooms = {f"raw-{number}": RAW_JOBS for number in range(2)}
    rooms |= {f"{kind}-{door}": SDK_JOBS for kind, door in EACH}
    for queue, count in rooms.items():
        jobs = [{"name": "proof", "data": {"seconds": seconds}} for _ in range(count)]
        assert server.post(f"/queues/{queue}/jobs/batch", {"jobs": jobs})[0] == 201


def is_all_held(holders: list[Holder], workers: list[Consumer]) -> bool:
    held = [len(one.jobs) == RAW_JOBS for one in holders]
    return all([*held, *(len(one.runs) == SDK_JOBS for one in workers)])


def stop_for(server: Launched, pause: float, report: Report, frozen: threading.Event) -> None:
    report.pauses_s.append(pause)
    frozen.set()
    server.signal(signal.SIGSTOP)
    time.sleep(pause)  # the stop
    server.signal(signal.SIGCONT)
    frozen.clear()
    began = time.monotonic()
    assert server.get("/health/live")[0] == 200
    report.back_s.append(time.monotonic() - began)


def finish_rest(server: Launched) -> None:
    """Ack what the holders lost, so that it can be seen to be there."""
    link = TcpLink(server.tcp)
    rest = [link.call("pull", queue=f"raw-{n}", count=RAW_JOBS)["jobs"] for n in range(2)]
    items = [{"id": job["id"], "lease": job["lease"]} for jobs in rest for job in jobs]
    link.call("ack_batch", items=items)
    link.close()


def conclude(
    server: Launched, holders: list[Holder], workers: list[Consumer], report: Report
) -> None:
    """A lease was taken when its client heard so, or when the job was given out more than once."""
    queues = [*(f"raw-{n}" for n in range(len(holders))), *(one.queues[0] for one in workers)]
    for queue in queues:
        server.wait_until_done(queue, 40)
    jobs = [job for queue in queues for job in jobs_in(server, queue)]
    heard = {job_id for one in holders for job_id in one.lost}
    heard |= {job_id for one in workers for job_id in one.lost}
    again = {job["id"] for job in jobs if job["delivery"] > 1 or job["attempt"] > 0}
    report.taken = sorted(heard | again)
    report.unfinished = [job["id"] for job in jobs if job["state"] != "completed"]
