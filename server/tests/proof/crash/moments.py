"""The moments at which a server is killed. Each is reached for certain, or is tried again until it was.

What can be told from outside is: that it runs, that it owns its file and does not serve yet, that it was told to stop and has not. A checkpoint
and a migration are announced by the server itself (announcing.py), which waits there.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tests.acceptance.forks import Process
from tests.acceptance.processes import Server, until
from tests.proof.crash.next_schema import BOUNDARIES
from tests.proof.history import Ledger

RUNNING_S = (0.1, 0.8)  # how long it runs under load before it is killed
STARTING_S = (0.0, 0.04)  # after it took its file
STOPPING_S = (0.0, 0.03)  # after SIGTERM
CHECKPOINT_PAGES = (0, 12)  # pages that it has moved
ANNOUNCED_WITHIN_S = 20
MOST_TRIES = 12
NEVER = 1_000_000
_numbers = count()


class Victim(Server):
    """A server that can be killed at a moment."""

    def launch(self) -> Process:
        self._log_before = len(self.log) if (self.folder / "server.log").exists() else 0
        return super().launch()

    def launch_announcing(self, moment: str, place: int) -> None:
        """Start one that announces a moment, and wait until it is there."""
        told = self.folder / f"announced-{next(_numbers)}"
        os.mkfifo(told)
        heard = os.open(told, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._announcing(moment, place, str(told))
            ready, _, _ = select.select([heard], [], [], ANNOUNCED_WITHIN_S)
            assert ready, f"never came to {moment}\n{self.log}"
            assert os.read(heard, 1) == b"!", f"ended before {moment}\n{self.log}"
        finally:
            os.close(heard)

    def start_upgraded(self) -> None:
        """Start one of the next schema, and wait until it has migrated the file and serves."""
        self._announcing("migrating", NEVER, os.devnull)
        until(self._is_ready, ANNOUNCED_WITHIN_S, f"the server is ready\n{self.log}")

    def _announcing(self, moment: str, place: int, told: str) -> None:
        arguments = [moment, str(place), told, "serve", "--storage", self.storage, *self.ports]
        self.run("tests.proof.crash.announcing", arguments)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_owner(self) -> bool:
        """Whether this process has its file, by what it wrote into the lock."""
        assert self.is_alive, self.log
        lock = self.folder / "jobs.db.lock"
        return lock.exists() and f"process {self.pid} on" in lock.read_text()

    def has_said(self, event: str) -> bool:
        """Whether its log has the event, since it was launched."""
        return event in self.log[self._log_before :]


@dataclass(frozen=True, slots=True)
class Scene:
    server: Victim
    ledger: Ledger
    chance: random.Random

    def kill(self, moment: str) -> None:
        key = self.ledger.invoke("kill", {"moment": moment})
        self.server.kill()
        self.ledger.end(key, "ok", {})

    def wait(self, between: tuple[float, float], share: float = 1.0) -> None:
        """The moment of a kill is an instant, and not an event that one could wait for."""
        time.sleep(share * self.chance.uniform(*between))


def running(scene: Scene) -> None:
    scene.wait(RUNNING_S)
    scene.kill("running")


def starting(scene: Scene) -> None:
    """It owns the file, may have opened it, and has not opened its doors."""
    running(scene)
    for tries in range(MOST_TRIES):
        scene.server.launch()
        until(lambda: scene.server.is_owner, ANNOUNCED_WITHIN_S, "the server has its file")
        scene.wait(STARTING_S, share=1 / (tries + 1))
        if not scene.server.has_said("server.started"):
            scene.kill("starting")
            return
        scene.kill("running")
    raise AssertionError("every start was over before it could be killed")


def stopping(scene: Scene) -> None:
    """It was told to stop, and had not ended when it was killed."""
    for tries in range(MOST_TRIES):
        scene.wait(RUNNING_S)
        scene.server.signal(signal.SIGTERM)
        scene.wait(STOPPING_S, share=1 / (tries + 1))
        if scene.server.is_alive and not scene.server.has_said("server.stopped"):
            scene.kill("stopping")
            return
        assert scene.server.wait() == 0, scene.server.log
        scene.server.start()
    raise AssertionError("every stop was over before it could be killed")


def checkpoint(scene: Scene) -> None:
    running(scene)
    scene.server.launch_announcing("checkpoint", scene.chance.randint(*CHECKPOINT_PAGES))
    scene.kill("checkpoint")


def migrating(scene: Scene) -> None:
    """The server after it knows the old schema only: it would refuse a file of which the half is new."""
    running(scene)
    scene.server.launch_announcing("migrating", scene.chance.randrange(BOUNDARIES))
    scene.kill("migrating")


Moment = Callable[[Scene], None]
MOMENTS: dict[str, Moment] = {
    "running": running,
    "starting": starting,
    "stopping": stopping,
    "checkpoint": checkpoint,
    "migrating": migrating,
}


def plan(seed: int, kills: int) -> list[str]:
    """Every moment about as often, from the plainest on when there are few, and in any order."""
    names = list(MOMENTS)
    planned = [names[number % len(names)] for number in range(kills)]
    random.Random(f"{seed}-plan").shuffle(planned)
    return planned
