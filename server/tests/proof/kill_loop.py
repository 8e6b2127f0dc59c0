"""T1: a server that is killed again and again under load, seen from outside.

The clients are processes of their own and outlive it. What they were told is compared with what the last server shows.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.acceptance.processes import Server, until
from tests.proof.checker import Violation, check
from tests.proof.facts import UNFINISHED, Facts, Final
from tests.proof.figures import Summary, summarise
from tests.proof.history import Call, Ledger, read_folder
from tests.proof.report import fsync_p50_ms, versions
from tests.proof.traffic import QUEUES

SERVER = Path(__file__).parents[2]
DRAIN_S = 25
KILL_AFTER_S = (0.1, 0.8)
STARTING_SHARE = 0.15  # of the kills hit a server that is still starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one loop came to."""

    seed: int
    kills: int
    summary: Summary
    violations: list[Violation]
    recovery_ms: list[float]  # from the start of the process to its first answer
    fsync_p50_ms: float
    seconds: float
    folder: Path
    calls: list[Call]
    final: Final

    @property
    def line(self) -> str:
        done = self.summary
        return (
            f"T1 seed={self.seed} kills={self.kills} attempted={done.attempted} acknowledged={done.acknowledged} "
            f"lost={done.lost} phantom={done.phantom} resurrected={done.resurrected} recovered={done.recovered} "
            f"duplicates={done.duplicates}≤{done.duplicates_bound} unexplained={done.unexplained} stale_refused={done.stale_refused} "
            f"violations={len(self.violations)} "
            f"recovery_ms p50={statistics.median(self.recovery_ms):.0f} max={max(self.recovery_ms):.0f} "
            f"loss≤{3 / max(1, done.acknowledged):.1e}/job ≤{3 / self.kills:.1e}/kill (95 %) fsync_p50={self.fsync_p50_ms:.2f}ms "
            f"wall={self.seconds:.1f}s {versions()}"
        )


def run(
    folder: Path, *, seed: int, kills: int, storage: str | None = None, clients: int = 4
) -> Report:
    """Run the loop in `folder`, which keeps the ledgers, the log and the file of the server."""
    began = time.monotonic()
    server = Server(folder, storage=storage).start()
    try:
        with (
            Ledger(folder, "harness") as ledger,
            traffic(folder, server, seed, clients, 60 + 10 * kills) as producers,
        ):
            recovery = [kill_and_start(server, ledger, chance) for chance in chances(seed, kills)]
            (folder / "healed").touch()
            assert [end_client(producer) for producer in producers] == [0] * clients
            drain(server, ledger)
        final = final_states(server)
    finally:
        server.end()
    final.save(folder)
    calls = read_folder(folder)
    return Report(
        seed=seed,
        kills=len(Facts(calls).kills),
        summary=summarise(calls, final),
        violations=check(calls, final),
        recovery_ms=recovery,
        fsync_p50_ms=fsync_p50_ms(folder),
        seconds=time.monotonic() - began,
        folder=folder,
        calls=calls,
        final=final,
    )


def chances(seed: int, kills: int) -> list[random.Random]:
    return [random.Random(f"{seed}-kill-{number}") for number in range(kills)]


def kill_and_start(server: Server, ledger: Ledger, chance: random.Random) -> float:
    """SIGKILL after a while, or in mid-start; answers how long the next server took to answer, in ms."""
    time.sleep(chance.uniform(*KILL_AFTER_S))
    kill(server, ledger)
    if chance.random() < STARTING_SHARE:
        server.launch()
        time.sleep(chance.uniform(0, 0.5))
        kill(server, ledger)
    began = time.monotonic()
    server.start()
    return (time.monotonic() - began) * 1_000


def kill(server: Server, ledger: Ledger) -> None:
    key = ledger.invoke("kill", {})
    server.kill()
    ledger.end(key, "ok", {})


@contextmanager
def traffic(
    folder: Path, server: Server, seed: int, clients: int, seconds: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Producers, which it gives, and workers, half over TCP and half over HTTP; all have ended afterwards."""
    ports = {"tcp": server.tcp, "http": server.http}
    processes = [
        start_client(
            folder,
            role,
            f"{role}-{number}",
            str(seed),
            kind,
            str(ports[kind]),
            str(folder),
            str(seconds),
        )
        for role in ("produce", "work")
        for number, kind in zip(range(clients), cycle(ports))
    ]
    try:
        yield processes[:clients]
    finally:
        (folder / "done").touch()
        codes = [end_client(process) for process in processes]
    assert codes == [0] * len(codes), (folder / "clients.log").read_text()


def start_client(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of tests/proof/traffic.py; what it prints is kept in the folder."""
    command = [sys.executable, "-m", "tests.proof.traffic", *arguments]
    with (folder / "clients.log").open("ab") as log:
        return subprocess.Popen(command, cwd=SERVER, stdout=log, stderr=log)


def end_client(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def drain(server: Server, ledger: Ledger) -> None:
    """Wait until every job has ended. One that has not is for the checker to tell (R16)."""
    key = ledger.invoke("drain", {"bound_ms": DRAIN_S * 1_000})
    try:
        until(lambda: unfinished(server) == 0, DRAIN_S, "every job has ended")
    except AssertionError:
        ledger.end(key, "fail", {})
        return
    ledger.end(key, "ok", {})


def unfinished(server: Server) -> int:
    return sum(counts[state] for counts in counts_of(server).values() for state in UNFINISHED)


def counts_of(server: Server) -> dict[str, dict[str, int]]:
    return {queue: server.get(f"/queues/{queue}/stats")[1]["counts"] for queue in QUEUES}


def final_states(server: Server) -> Final:
    jobs = [job for queue in QUEUES for job in jobs_in(server, queue)]
    return Final(jobs=jobs, counts=counts_of(server))


def jobs_in(server: Server, queue: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, page = server.get(f"/jobs?queue={queue}&limit=1000{more}")
        assert status == 200, page
        yield from page["jobs"]
        cursor = page["next_cursor"]
