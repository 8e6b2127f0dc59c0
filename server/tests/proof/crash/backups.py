"""T8: backups that are taken while a server is killed again and again, and what each of them must hold.

A backup shows one instant between the beginning and the end of its command. So the history is cut there: what was answered before the
beginning has happened, what was still open or began before the end may have, and what came later has not. Of that history the copy must be
a possible state, by the rules of the checker about states.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
from tests.acceptance.forks import forked
from tests.acceptance.processes import Server, until
from tests.proof.checker import RULES
from tests.proof.crash.kill_loop import final_states
from tests.proof.facts import Facts
from tests.proof.history import Call, now_us

PAUSE_S = 0.1
COMMAND_S = 90  # bounds one command
OF_STATES = ("R1", "R2", "R7", "R8", "R13", "R17", "R18", "R19", "R21")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of the store's file that shows an instant between `t0` and `t1`, in µs."""

    path: Path
    t0: int
    t1: int
    bytes: int = 0


Take = Callable[[Path, Path], None]  # from the store's file to a file that does not exist


def by_command(store: Path, target: Path) -> None:
    said = target.with_name(f"{target.name}.said")
    command = forked("jobwire_server", ["backup", str(store), str(target), "-o", "json"], said)
    assert command.wait(COMMAND_S) == 0, said.read_text()
    assert json.loads(said.read_text())["ok"]


def by_plain_copy(store: Path, target: Path) -> None:
    """The control: what a person does who does not know of the WAL."""
    shutil.copyfile(store, target)


class Copier:
    """Takes one copy after another on a thread of its own, each by every way that there is to take one."""

    def __init__(self, folder: Path, ways: Sequence[Take], least: int) -> None:
        self.copies: dict[Take, list[Copy]] = {way: [] for way in ways}
        self.error: BaseException | None = None
        self._least = least
        self._folder = folder
        self._ended = threading.Event()

    @contextmanager
    def beside(self, server: Server) -> Iterator[None]:
        """Copying while the block is open, and until there are enough."""
        thread = threading.Thread(target=self._run, args=(server.folder / "jobs.db",))
        thread.start()
        try:
            yield
            until(self._has_enough, self._least * COMMAND_S, "enough copies")
        finally:
            self._ended.set()
            thread.join()

    def _has_enough(self) -> bool:
        return self.error is not None or min(map(len, self.copies.values())) >= self._least

    def _run(self, store: Path) -> None:
        try:
            while not self._ended.wait(PAUSE_S):
                for way, copies in self.copies.items():
                    copies.append(self._take(store, way, len(copies)))
        except BaseException as error:  # noqa: BLE001 - the test thread raises it
            self.error = error

    def _take(self, store: Path, way: Take, number: int) -> Copy:
        folder = self._folder / f"{way.__name__}-{number}"
        folder.mkdir()
        target, t0 = folder / "jobs.db", now_us()
        way(store, target)
        return Copy(path=target, t0=t0, t1=now_us(), bytes=target.stat().st_size)


def problems_of(copy: Copy, calls: Iterable[Call]) -> list[str]:
    """Why it is no backup; empty for a good one."""
    found = damage(copy.path)
    if found:
        return found
    server = Server(copy.path.parent)
    try:
        final = final_states(server.start())
    except AssertionError as error:
        return [f"no server starts on it: {error}"]
    finally:
        server.end()
    facts = Facts(cut(calls, copy))
    return [
        f"{name}: {what} {[line for call in proof for line in call.lines]}"
        for name in OF_STATES
        for what, proof in RULES[name](facts, final)
    ]


def damage(path: Path) -> list[str]:
    """What SQLite complains of, and counts that are not those of the jobs."""
    connection = apsw.Connection(str(path))
    try:
        complaints = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
        jobs = "SELECT queue, state, count(*) FROM jobs WHERE state <> 'removed' GROUP BY 1, 2"
        counted = "SELECT queue, state, n FROM counts WHERE n <> 0"
        if sorted(connection.execute(jobs)) != sorted(connection.execute(counted)):
            complaints.append("it counts other jobs than it has")
    except apsw.Error as error:
        return [f"it does not open: {error}"]
    finally:
        connection.close(True)
    return [complaint for complaint in complaints if complaint != "ok"]


def cut(calls: Iterable[Call], copy: Copy) -> Iterator[Call]:
    """The history as it stood when the copy was taken."""
    for call in calls:
        if call.t0 > copy.t1:
            continue
        is_over = call.latest < copy.t0 or call.out == "fail"
        yield call if is_over else replace(call, t1=None, out="info", answer={})
