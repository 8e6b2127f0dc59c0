"""Ways to start a second server on the file of the first, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.proof.knobs import SCALE
from tests.proof.power.launching import Launcher, Plan, WatchedServer
from tests.proof.power.opening import read

LIMIT_S = 1.0 if SCALE >= 1 else 5.0  # the promise; and what a starved machine may take
REFUSED = 3


@dataclass(frozen=True, slots=True)
class Second:
    """Where the second server looks for the file. `cwd` is for a relative path."""

    database: Path
    cwd: Path = Path("/")


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of it; `took_s` is until it had ended or served."""

    way: str
    code: int | None
    took_s: float
    log: str
    first_pid: int

    @property
    def is_owner(self) -> bool:
        return self.code is None

    def faults(self) -> list[str]:
        """What breaks the promise, in words."""
        told = {
            f"it is a second owner: {self.log}": self.is_owner,
            f"it ended with {self.code}: {self.log}": self.code not in (REFUSED, None),
            f"it took {self.took_s:.2f} s": self.took_s > LIMIT_S,
            f"it does not say who the owner is: {self.log}": str(self.first_pid) not in self.log,
        }
        return [f"{self.way}: {words}" for words, is_so in told.items() if is_so]


# ── Names of one file. Each gets the file of the first server, and makes what it needs ──


def the_same_path(database: Path) -> Second:
    return Second(database)


def a_path_with_dots(database: Path) -> Second:
    return Second(database.parent / ".." / database.parent.name / database.name)


def a_relative_path(database: Path) -> Second:
    return Second(Path(database.name), cwd=database.parent)


def a_link_to_the_file(database: Path) -> Second:
    link = database.parent.parent / "elsewhere.db"
    link.symlink_to(database)
    return Second(link)


def a_link_to_the_folder(database: Path) -> Second:
    link = database.parent.parent / "elsewhere"
    link.symlink_to(database.parent)
    return Second(link / database.name)


def a_second_name(database: Path) -> Second:
    """A hard link. Nobody can know the owner's pid from it; see NAMELESS."""
    link = database.parent.parent / "second.db"
    os.link(database, link)
    return Second(link)


def a_deleted_lock_file(database: Path) -> Second:
    database.with_name(f"{database.name}.lock").unlink()
    return Second(database)


WAYS: dict[str, Callable[[Path], Second]] = {
    way.__name__.replace("_", " "): way
    for way in (
        the_same_path,
        a_path_with_dots,
        a_relative_path,
        a_link_to_the_file,
        a_link_to_the_folder,
        a_second_name,
        a_deleted_lock_file,
    )
}

# The lock file that has the owner's name in it cannot be found from here.
NAMELESS = ("a second name", "a deleted lock file")


# ── What is tried ──


def try_second(
    way: str, first: WatchedServer, second: Second, launcher: Launcher, plan: Plan | None = None
) -> Seen:
    """Start it, wait until it serves or has ended, and end it."""
    folder = first.folder / f"second {way}"
    plan = Plan(cwd=second.cwd) if plan is None else plan
    server = WatchedServer(folder, launcher, plan, second.database)
    began = time.monotonic()
    try:
        serves = server.has_started()
        took, pid = time.monotonic() - began, 0 if way in NAMELESS else first.pid
        return Seen(way, None if serves else server.wait(), took, server.log, pid)
    finally:
        server.end()


def try_beside_a_stopped_first(first: WatchedServer, launcher: Launcher) -> Seen:
    first.signal(signal.SIGSTOP)
    try:
        return try_second("stopped", first, Second(first.database), launcher)
    finally:
        first.signal(signal.SIGCONT)


def is_unharmed(first: WatchedServer, pushed: list[str]) -> list[str]:
    """Whether the first server still serves what it took, and its file is whole once it has ended; what is wrong, in words."""
    status, answer = first.post("/queues/q/jobs", {"name": "after", "data": 1})
    wrong = [] if status == 201 else [f"the first server answers {answer}"]
    wrong += [job for job in pushed if first.get(f"/jobs/{job}")[0] != 200]
    first.stop()
    rows, _ = read(first.database)
    there = {row["id"] for row in rows}
    return wrong + [job for job in (*pushed, answer["id"]) if job not in there]


def restarts_after_kill(first: WatchedServer) -> float:
    """Kill the owner; how long the next one takes on the lock file that it left, in seconds."""
    first.kill()
    began = time.monotonic()
    assert first.has_started(), first.log
    return time.monotonic() - began


def starts_on_a_copy(first: WatchedServer, launcher: Launcher) -> bool:
    """A copy of the files, the lock file with a living owner's name among them, is nobody's."""
    copy = first.folder / "copied" / "store"
    shutil.copytree(first.database.parent, copy)
    server = WatchedServer(copy.parent, launcher, Plan())
    try:
        return server.has_started()
    finally:
        server.end()
