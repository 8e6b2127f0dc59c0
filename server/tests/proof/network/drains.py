"""T26: worker processes that get SIGTERM at a random point of their work, and what the server and their output then say."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from tests.acceptance.forks import SERVER
from tests.acceptance.processes import until
from tests.proof.launched import Launched
from tests.proof.network.lost_replies import jobs_in

GRACES: Final = (0.0, 0.2, 20.0)  # give back at once, after a while, or finish everything
SECONDS: Final = (0.01, 0.05, 0.3, 0.8)  # of a handler
STUBBORN_SHARE: Final = 0.1
SIGNAL_AFTER_S: Final = (0.0, 0.5)  # after the first handler began
JOBS: Final = 60  # of a queue; more than a worker gets to
ENDS_IN_S: Final = 30.0
ENDS_AT_ONCE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One worker process, and when it is told to end."""

    number: int
    kind: str
    door: str
    seed: int
    ending: str = "drain"
    twice: bool = False  # a second SIGTERM, before the grace is over

    @property
    def queue(self) -> str:
        return f"{self.ending}-{self.kind}-{self.door}-{self.number}"

    @property
    def chance(self) -> random.Random:
        return random.Random(f"{self.seed}-{self.queue}")


@dataclass(slots=True, kw_only=True)
class Outcome:
    order: Order
    code: int
    took_s: float  # from the last signal to the end of the process
    finished: int = 0
    given_back: int = 0
    wrong: list[str] = field(default_factory=list)


def carry_out(server: Launched, order: Order, folder: Path) -> Outcome:
    """Stock the queue, let the worker begin, tell it to end, and look at what it left."""
    chance = order.chance
    grace = ENDS_IN_S if order.twice else chance.choice(GRACES)
    stock(server, order, chance)
    with (folder / f"{order.queue}.log").open("wb") as log:
        process = start(server, order, grace, log)
        try:
            said = Said(process)
            said.wait_for_work()
            time.sleep(chance.uniform(*SIGNAL_AFTER_S))  # the random point
            took = told_to_end(process, order, server)
        finally:
            process.kill()
            process.wait()
        lines = said.all()
    outcome = Outcome(order=order, code=process.returncode, took_s=took)
    (look_at_exit if order.twice else look_at_jobs)(server, outcome, lines)
    return outcome


def stock(server: Launched, order: Order, chance: random.Random) -> None:
    longest = ENDS_IN_S if order.twice else None
    jobs = [
        {
            "name": "proof",
            "data": {
                "seconds": longest or chance.choice(SECONDS),
                "stubborn": chance.random() < STUBBORN_SHARE,
            },
        }
        for _ in range(JOBS)
    ]
    status, answer = server.post(f"/queues/{order.queue}/jobs/batch", {"jobs": jobs})
    assert status == 201, answer


def start(server: Launched, order: Order, grace: float, log: IO[bytes]) -> subprocess.Popen[bytes]:
    arguments = (order.kind, server.url(order.door), order.queue, str(grace), order.ending)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.proof.network.drained_worker", *arguments],
        cwd=SERVER,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )


class Said:
    """What a process prints, read in a thread so that it never waits for its reader."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._out = process.stdout
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, name="proof-said")
        self._reader.start()

    def _read(self) -> None:
        with self._out:
            for line in self._out:
                self._lines.append(line.decode())

    def wait_for_work(self) -> None:
        until(lambda: len(self._lines) > 1, ENDS_IN_S, "a handler began")

    def all(self) -> list[str]:
        """Every line, once the process has ended."""
        self._reader.join()
        return self._lines


def told_to_end(process: subprocess.Popen[bytes], order: Order, server: Launched) -> float:
    """Seconds from the last signal to the end."""
    process.send_signal(signal.SIGTERM)
    if order.twice:
        until(lambda: is_quiet(server, order), ENDS_IN_S, "the worker drains")
        process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.wait(ENDS_IN_S)
    return time.monotonic() - began


def is_quiet(server: Launched, order: Order) -> bool:
    workers = server.get("/workers")[1]["workers"]
    return any(one["state"] == "quiet" for one in workers if order.queue in one["queues"])


def look_at_exit(server: Launched, outcome: Outcome, lines: list[str]) -> None:
    """After a second signal: gone at once, by that signal."""
    if outcome.code != -signal.SIGTERM:
        outcome.wrong.append(f"exit code {outcome.code}")
    if outcome.took_s > ENDS_AT_ONCE_S:
        outcome.wrong.append(f"took {outcome.took_s:.2f} s after the second signal")


def look_at_jobs(server: Launched, outcome: Outcome, lines: list[str]) -> None:
    """No job is left to its lease, no attempt is burnt, and what was finished is completed."""
    if outcome.code != 0:
        outcome.wrong.append(f"exit code {outcome.code}")
    began, finished = (ids(lines, word) for word in ("began", "finished"))
    jobs = {job["id"]: job for job in jobs_in(server, outcome.order.queue)}
    outcome.finished, outcome.given_back = len(finished), len(began - finished)
    outcome.wrong += [
        f"{job['id']} is {job['state']}, attempt {job['attempt']}, errors {job['errors']}"
        for job in jobs.values()
        if not is_settled(job, job["id"] in finished)
    ]
    if len(jobs) != JOBS:
        outcome.wrong.append(f"{len(jobs)} of {JOBS} jobs are there")


def ids(lines: list[str], word: str) -> set[str]:
    return {line.split()[1] for line in lines if line.startswith(f"{word} ")}


def is_settled(job: dict[str, Any], is_finished: bool) -> bool:
    """Completed when it was finished, else waiting with all its attempts. One given back while its stubborn handler ran on may be either."""
    state = "completed" if is_finished else "waiting"
    is_right = job["state"] == state or (is_finished and job["data"]["stubborn"])
    return is_right and job["state"] != "active" and job["attempt"] == 0 and not job["errors"]
