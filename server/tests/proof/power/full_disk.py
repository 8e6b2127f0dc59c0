"""A server on a small disk that runs full: `unshare -m python -m tests.proof.power.full_disk FOLDER SEED ROUNDS [CHANGE]`.

It mounts a disk of its own in the folder, which ends with the process, and prints what came of it as JSON (a `Told`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.processes import until
from tests.proof.crash.traffic import QUEUES, Client
from tests.proof.history import Ledger, read_folder
from tests.proof.power.launching import Launcher, Plan, WatchedServer, shimmed
from tests.proof.power.opening import judge
from tests.proof.power.promises import Promises

DISK_MIB = 64  # the ballast is 16 MiB, and needs as much again to be kept
CHECKPOINT_PAGES = 250  # instead of 4,000, so that checkpoints too find the disk full
HELD = 40
FILL_LIMIT = 300  # pushes until the disk must be found full
PATIENCE_S = 20


@dataclass(slots=True)
class Told:
    """`wrong` is what broke the promise, in words; times in ms, one a recovery."""

    rounds: int = 0
    pushes_refused: int = 0
    acks_on_full_disk: int = 0
    recovered_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def expect(self, is_so: bool, what: str) -> None:
        if not is_so:
            self.wrong.append(what)


class SmallDisk:
    """A disk of its own in the folder, and a file that takes what is left of it."""

    def __init__(self, folder: Path, mebibytes: int = DISK_MIB, inodes: int = 1_000) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        options = f"size={mebibytes}m,nr_inodes={inodes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take the last byte."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))

    def take_inodes(self) -> None:
        """Make files until there can be no more."""
        (self.folder / "many").mkdir(exist_ok=True)
        with suppress(OSError):
            for number in range(1_000_000):
                (self.folder / "many" / str(number)).touch()

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)
        for file in (self.folder / "many").glob("*"):
            file.unlink()


class Scene:
    """One server on one small disk, and one client that notes all it was told."""

    def __init__(
        self, folder: Path, launcher: Launcher, seed: int, changes: dict[str, int]
    ) -> None:
        self.disk = SmallDisk(folder / "disk")
        plan = Plan(changes={"checkpoint_pages": CHECKPOINT_PAGES, **changes})
        self.server = WatchedServer(folder, launcher, plan, self.disk.folder / "jobs.db")
        self.ledger = Ledger(folder, "client")
        self.client = Client("tcp", self.server.tcp, folder, self.ledger, f"{seed}", 600)

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        answer = self.client.insist(op, **fields)
        assert answer is not None, self.server.log
        return answer

    def push(self, size: int = 20_000) -> str:
        """The code of the refusal, or nothing."""
        job_id = str(uuid.UUID(int=self.client.chance.getrandbits(128), version=4))
        data = {"filling": self.client.chance.randbytes(size // 2).hex()}
        answer = self.call("push", id=job_id, queue=QUEUES[0], name="n", data=data)
        return "" if answer["ok"] else str(answer["error"]["code"])

    def pull(self, count: int) -> list[dict[str, Any]]:
        answer = self.call("pull", queue=QUEUES[0], count=count, lease_ms=600_000)
        return list(answer["jobs"])

    def ack(self, job: dict[str, Any]) -> bool:
        fields = {"id": job["id"], "lease": job["lease"], "delivery": job["delivery"]}
        return bool(self.call("ack", **fields, result={"by": "client"})["ok"])

    def status(self) -> str:
        return str(self.server.get("/health")[1]["status"])

    def kept(self) -> list[str]:
        """Kill the server; what is wrong with what it leaves, in words."""
        self.server.end()
        promises = Promises(read_folder(self.server.folder))
        promises.advance(sys.maxsize)
        verdict = judge(self.server.database, promises)
        return [*verdict.lost[:3], *verdict.corrupt]


# ── The steps of a round ──


def runs_full(scene: Scene, told: Told) -> None:
    """Pushes are refused, everything else goes on."""
    for _ in range(HELD):
        told.expect(scene.push() == "", "a push on a disk with space was refused")
    held = scene.pull(HELD)
    scene.disk.fill()
    code = next(filter(None, (scene.push() for _ in range(FILL_LIMIT))), "")
    told.expect(code == "STORAGE_FULL", f"a push on a full disk: {code or 'accepted'}")
    told.pushes_refused += code == "STORAGE_FULL"
    told.expect(scene.status() == "degraded", f"health says {scene.status()}")
    told.expect(scene.server.get("/health/ready")[0] == 503, "ready on a full disk")
    status, answer = scene.server.post("/queues/other/jobs", {"name": "n"})
    told.expect(status == 507, f"HTTP: {status} {answer}")
    acked = sum(scene.ack(job) for job in held)
    told.acks_on_full_disk += acked
    told.expect(acked == HELD, f"only {acked} of {HELD} acks were accepted")
    job_id = held[0]["id"]
    told.expect(scene.server.get(f"/jobs/{job_id}")[1]["job"]["state"] == "completed", "a read")


def has_space_again(scene: Scene, told: Told) -> None:
    scene.disk.free()
    began = time.monotonic()
    until(lambda: scene.push() == "", PATIENCE_S, "pushes are accepted")
    told.recovered_ms.append(1_000 * (time.monotonic() - began))
    told.expect(scene.status() == "healthy", f"health says {scene.status()}")


def is_killed_when_all_is_taken(scene: Scene, told: Told) -> None:
    """Full again, the ballast's space too, and then the server is killed: it may wait for space, but nothing is lost."""
    scene.disk.fill()
    for _ in range(FILL_LIMIT):
        if scene.push():
            break
    held = scene.pull(2)
    scene.disk.fill()
    for job in held:
        scene.ack(job)  # it may be refused now, and only then be undone
    told.wrong += scene.kept()
    starts_now_or_with_space(scene.server, scene.disk, told)
    told.expect(scene.status() in ("healthy", "degraded"), f"health says {scene.status()}")
    has_space_again(scene, told)


def has_no_inodes(scene: Scene, told: Told) -> None:
    """No file can be made: a server that runs goes on; one that starts may wait for it with a clear line."""
    scene.disk.take_inodes()
    told.expect(scene.push() == "", "a push without a free inode was refused")
    scene.server.stop()
    scene.disk.take_inodes()
    starts_now_or_with_space(scene.server, scene.disk, told)
    told.expect(scene.status() in ("healthy", "degraded"), "health")
    has_space_again(scene, told)


def starts_now_or_with_space(server: WatchedServer, disk: SmallDisk, told: Told) -> None:
    """A start may wait for space. Then it says so, and blames neither the file nor its owner."""
    if server.has_started():
        return
    told.expect(server.wait() == 1, f"exit code {server.wait()}")
    log = server.log.splitlines()[-2:]
    told.expect("space" in log[0] and "damaged" not in log[0], f"an unclear line: {log}")
    disk.free()
    told.expect(server.has_started(), f"it does not start with space: {server.log[-400:]}")


STEPS: tuple[Callable[[Scene, Told], None], ...] = (
    runs_full,
    has_space_again,
    is_killed_when_all_is_taken,
    has_no_inodes,
)


def first_start(folder: Path, launcher: Launcher, told: Told) -> None:
    """A new store on a disk without space: a clear line; and it starts once there is."""
    disk = SmallDisk(folder / "empty")
    disk.fill()
    server = WatchedServer(folder, launcher, Plan(), disk.folder / "jobs.db")
    try:
        starts_now_or_with_space(server, disk, told)
    finally:
        server.end()


@contextmanager
def opened(folder: Path, launcher: Launcher, seed: int, changes: dict[str, int]) -> Iterator[Scene]:
    scene = Scene(folder, launcher, seed, changes)
    try:
        assert scene.server.has_started(), scene.server.log
        yield scene
    finally:
        scene.server.end()
        scene.ledger.close()


def main(folder: str, seed: str, rounds: str, *changes: str) -> None:
    told, where = Told(), Path(folder)
    with shimmed() as launcher:
        for number in range(int(rounds)):
            here = where / str(number)
            here.mkdir()
            with opened(here, launcher, int(seed) + number, dict.fromkeys(changes, 1)) as scene:
                for step in STEPS:
                    step(scene, told)
                told.wrong += scene.kept()
            first = here / "first"
            first.mkdir()
            first_start(first, launcher, told)
            told.rounds += 1
    print(json.dumps(asdict(told)))


if __name__ == "__main__":
    os.umask(0o077)
    main(*sys.argv[1:])
