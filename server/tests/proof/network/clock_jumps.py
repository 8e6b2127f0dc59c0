"""T20: a server under load whose wall clock is set, and what becomes of leases, delayed jobs, ids and timestamps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.acceptance.processes import Lines, until
from tests.proof.faulty_server import FAULTY
from tests.proof.launched import Launched, entry, launched
from tests.proof.network.jumping_clock import JumpingClock
from tests.proof.network.lost_replies import jobs_in
from tests.proof.network.sdk_load import EACH, Consumer, Producer, end_all

TICK_S: Final = 1.0  # how often the server looks at its clock
SLACK_S: Final = 1.5  # for a loaded machine
LEASE_S: Final = 3.0  # of the SDK workers, which renew it
HELD: Final = 10  # jobs of each SDK worker, for about the whole run
SILENT: Final = 40  # jobs of one client that says nothing, under a long lease
DEAD: Final = 3  # jobs a jump whose worker died, under a short one
DEAD_LEASE_S: Final = 1.0
DELAYED: Final = 4  # jobs a jump
DELAY_S: Final = 0.7
IN_ORDER: Final = 10  # jobs a jump
FOLLOWS_IN_S: Final = TICK_S + SLACK_S


@dataclass(slots=True)
class Report:
    """What one run came to."""

    jumps: int = 0
    leases: int = 0  # that had to outlive jumps
    early: list[str] = field(default_factory=list)  # leases that ended before their time
    stuck: list[str] = field(default_factory=list)  # leases of the dead that ended too late
    delayed: int = 0
    misplaced: list[str] = field(default_factory=list)  # delayed jobs, too early or too late
    lost: list[str] = field(default_factory=list)
    insane: list[str] = field(default_factory=list)  # ids, order, timestamps
    ids: int = 0
    load: int = 0  # jobs that the load had done meanwhile
    longest_s: float = 0.0  # of a call of the load

    @property
    def bad(self) -> list[str]:
        return [*self.early, *self.stuck, *self.misplaced, *self.lost, *self.insane]


def run(folder: Path, seed: int, offsets: Sequence[float], *, fault: str = "") -> Report:
    folder.mkdir()
    clock = JumpingClock(folder)
    with (
        launched(folder, environment=clock.environment, entry=entry(FAULTY, fault)) as server,
        ExitStack() as stack,
    ):
        scene = Scene(server, clock, stack, seed, len(offsets))
        for offset in offsets:
            scene.jump(offset)
        return scene.concluded()


class Scene:
    """Everything that goes on while the clock is set."""

    def __init__(
        self, server: Launched, clock: JumpingClock, stack: ExitStack, seed: int, jumps: int
    ) -> None:
        self._server, self._clock = server, clock
        self._report = Report()
        self._lines = stack.enter_context(server.connect())
        self._dead = stack.enter_context(server.connect())
        self._made: list[str] = []  # ids by the server, in the order of its answers
        self._delayed: dict[str, float] = {}  # id → when it was pushed
        self._silent = self._pulled(self._lines, "silent", SILENT, lease_ms=600_000)
        seconds = jumps * (DEAD_LEASE_S + TICK_S)
        self._push("held", HELD * len(EACH), data={"seconds": seconds})
        self._workers = [
            stack.enter_context(
                Consumer(
                    kind,
                    server.url(door),
                    ["held", "delayed", "load"],
                    lease=LEASE_S,
                    concurrency=HELD + 5,
                )
            )
            for kind, door in EACH
        ]
        until(lambda: self._held_runs() == HELD * len(EACH), 20, "the long jobs are held")
        self._load = [
            stack.enter_context(Producer(kind, server.url(door), "load", seed=seed))
            for kind, door in EACH
        ]

    # --- one jump ---

    def jump(self, offset: float) -> None:
        """What is due soon is there before the jump; what the server then says is looked at behind it."""
        report = self._report
        for job_id in self._push("delayed", DELAYED, delay_ms=round(DELAY_S * 1_000)):
            self._delayed[job_id] = time.monotonic()
        report.leases += SILENT + DEAD + self._server.counts("held")["active"]
        taken_at = time.monotonic()
        dead = self._pulled(self._dead, "dead", DEAD, lease_ms=round(DEAD_LEASE_S * 1_000))
        self._clock.set(offset)
        until(self._follows, FOLLOWS_IN_S, f"created_at follows the clock to {offset:+} s")
        self._look_at_order()
        self._look_at_dead({job["id"] for job in dead}, taken_at)
        report.jumps += 1

    def _follows(self) -> bool:
        """Whether a job that is pushed now is stamped with the time that the clock shows."""
        wall = self._clock.wall
        [job_id] = self._push("stamped", 1)
        job = self._server.get(f"/jobs/{job_id}")[1]["job"]
        return abs(unix(job["created_at"]) - wall) < SLACK_S

    def _look_at_order(self) -> None:
        pushed = self._push("order", IN_ORDER)
        taken = [self._lines.call(cmd="pull", queue="order")["job"] for _ in pushed]
        for job in taken:
            self._lines.call(cmd="ack", id=job["id"], lease=job["lease"])
        if [job["id"] for job in taken] != pushed:
            self._report.insane.append(f"order {pushed} was {[job['id'] for job in taken]}")

    def _look_at_dead(self, waited_for: set[str], taken_at: float) -> None:
        """The jobs of a worker that died come back, no earlier than their lease is long and not much later."""
        longest = taken_at + DEAD_LEASE_S + TICK_S + SLACK_S
        while waited_for:
            wait_ms = max(0, round((longest - time.monotonic()) * 1_000))
            job = self._dead.call(cmd="pull", queue="dead", wait_ms=wait_ms)["job"]
            after = time.monotonic() - taken_at
            if job is None:
                self._report.stuck += [f"{job_id} not in {after:.2f} s" for job_id in waited_for]
                return
            self._dead.call(cmd="ack", id=job["id"], lease=job["lease"])
            waited_for.discard(job["id"])
            if after < DEAD_LEASE_S:
                self._report.early.append(f"dead {job['id']} after {after:.3f} s")

    # --- the end ---

    def concluded(self) -> Report:
        end_all(self._load)
        for queue in ("load", "delayed", "held"):
            self._server.wait_until_done(queue, 40)
        end_all(self._workers)
        self._look_at_leases()
        self._look_at_delayed()
        self._look_at_jobs()
        return self._report

    def _look_at_leases(self) -> None:
        report = self._report
        for job in self._silent:
            answer = self._lines.call(cmd="ack", id=job["id"], lease=job["lease"])
            if not answer["ok"]:
                report.early.append(f"silent {job['id']} {answer['error']['code']}")
        again = {job["id"] for job in jobs_in(self._server, "held") if job["delivery"] != 1}
        told = {job_id for one in self._workers for job_id in one.lost}
        report.early += [f"held {job_id}" for job_id in again | told]

    def _look_at_delayed(self) -> None:
        """Ready when its delay is over by either clock at the earliest, and soon after the wall clock says so."""
        began = {run.job_id: run.began for one in self._workers for run in list(one.runs)}
        self._report.delayed = len(self._delayed)
        for job_id, pushed in self._delayed.items():
            due = self._clock.reaches(pushed, DELAY_S)
            at = began.get(job_id)
            if at is None:
                self._report.lost.append(f"delayed {job_id}")
            elif not min(due, pushed + DELAY_S) - 0.05 <= at <= due + 2 * TICK_S + SLACK_S:
                self._report.misplaced.append(
                    f"{job_id} at {at - pushed:.2f}, due {due - pushed:.2f}"
                )

    def _look_at_jobs(self) -> None:
        report = self._report
        pushed = [job_id for one in self._load for job_id in one.pushed]
        report.load, report.ids = len(pushed), len(self._made)
        report.longest_s = max(one.longest_s for one in self._load)
        report.lost += [f"load {text}" for one in self._load for text in one.failed]
        done = {job["id"]: job for job in jobs_in(self._server, "load")}
        report.lost += [i for i in pushed if i not in done or done[i]["state"] != "completed"]
        if self._made != sorted(set(self._made)):
            report.insane.append("ids of the server do not increase")
        report.insane += [
            f"{job['id']} {job['created_at']} > {job['updated_at']}"
            for job in done.values()
            if job["created_at"] > job["updated_at"]
        ]

    # --- calls ---

    def _push(self, queue: str, count: int, **fields: Any) -> list[str]:
        """Ids that the server made."""
        job = {"name": "proof", "data": {"seconds": 0}, **fields}
        ids = [self._lines.call(cmd="push", queue=queue, **job)["id"] for _ in range(count)]
        self._made += ids
        return ids

    def _pulled(self, lines: Lines, queue: str, count: int, *, lease_ms: int) -> list[Any]:
        self._push(queue, count)
        jobs: list[Any] = lines.call(cmd="pull", queue=queue, count=count, lease_ms=lease_ms)[
            "jobs"
        ]
        assert len(jobs) == count
        return jobs

    def _held_runs(self) -> int:
        return sum(len(one.runs) for one in self._workers)


def unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
