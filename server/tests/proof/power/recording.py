"""A run of a real server under real traffic, with all that it did to its files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.processes import until
from tests.proof.crash.kill_loop import has_begun, traffic
from tests.proof.history import Call, read_folder
from tests.proof.power.disk import Disk
from tests.proof.power.io_log import Op, read_logs
from tests.proof.power.launching import Launcher, Plan, WatchedServer

CLIENTS = 2  # producers, and as many workers
CHECKPOINT_PAGES = 150  # instead of 4,000, so that a short run has many checkpoints


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the server did to its files, and what its clients were told meanwhile."""

    ops: list[Op]
    calls: list[Call]
    settings: Mapping[str, str]
    is_synced: bool  # before each answer


def record(
    folder: Path,
    launcher: Launcher,
    *,
    seed: int,
    seconds: float,
    synchronous: str = "full",
    checkpoint_pages: int = CHECKPOINT_PAGES,
) -> Recorded:
    """Three servers on one file under load: the first is killed, the second drained, the third killed in the end."""
    settings: Mapping[str, str] = {"JOBWIRE_SQLITE__SYNCHRONOUS": synchronous}
    plan = Plan(
        io_log=folder / "io",
        changes={"checkpoint_pages": checkpoint_pages},
        settings=settings,
    )
    server = WatchedServer(folder, launcher, plan)
    server.start()
    with traffic(folder, server, seed, CLIENTS, int(60 + seconds)):
        until(lambda: has_begun(folder, CLIENTS), 20, "every client is at work")
        time.sleep(seconds / 3)
        server.kill()
        server.start()
        time.sleep(seconds / 3)
        server.stop()
        server.start()
        time.sleep(seconds / 3)
        server.kill()
        (folder / "done").touch()
    ops = read_logs(folder / "io")
    assert_nothing_was_missed(ops, server.database)
    return Recorded(ops, read_folder(folder), settings, synchronous == "full")


def assert_nothing_was_missed(ops: list[Op], database: Path) -> None:
    """All that was noted, played again, is what the files hold."""
    disk = Disk(ops)
    disk.advance(ops[-1].at)
    kept = {path.name: path.read_bytes() for path in database.parent.glob("jobs.db*")}
    whole = disk.whole()
    for name in (database.name, f"{database.name}-wal"):
        assert whole.get(name) == kept.get(name), f"{name} is not what the shim noted"
