"""T1: a server that is killed again and again under load, seen from outside.

The clients are processes of their own and outlive it. What they were told is compared with what the last server shows.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.acceptance.processes import Server, until
from tests.proof.checker import Violation, check
from tests.proof.crash.moments import MOMENTS, Scene, Victim, plan
from tests.proof.crash.traffic import QUEUES
from tests.proof.facts import UNFINISHED, Facts, Final
from tests.proof.figures import Summary, summarise, totals
from tests.proof.history import Call, Ledger, read_folder
from tests.proof.report import Figure, Number, p99

SERVER = Path(__file__).parents[3]
DRAIN_S = 30
BUSY_BYTES = 50_000  # of ledgers, once there is a load to speak of
A_KILL_BYTES = 100_000  # of ledgers between two kills; on a starved machine time alone says nothing of the load


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one loop came to."""

    seed: int
    kills: Counter[str]  # by moment
    summary: Summary
    violations: list[Violation]
    recovery_ms: list[float]  # from the start of the process to its first answer
    seconds: float
    folder: Path
    asked: int  # calls of clients, each item of a batch counted
    calls: list[Call]

    @property
    def bad(self) -> int:
        return len(self.violations) + self.summary.unexplained

    def figure(self, control: str = "") -> Figure:
        return figure_of([self], control)


def figure_of(reports: Sequence[Report], control: str = "") -> Figure:
    """Figure T1, of one loop or of the rounds of a campaign."""
    kills = sum((report.kills for report in reports), Counter[str]())
    return Figure(
        test="T1",
        title="kill -9 under load",
        promises=("C1", "C2", "C3", "C4", "C5", "C7", "C8", "C11"),
        seed=reports[0].seed,
        what="kills",
        tries=kills.total(),
        bad=sum(report.bad for report in reports),
        bar="lost 0, phantom 0, resurrected 0, duplicates ≤ leases open at a kill, no rule of R1–R21 broken",
        seconds=sum(report.seconds for report in reports),
        control=control,
        numbers={
            **{f"kills_{moment}": kills[moment] for moment in MOMENTS},
            **totals([report.summary for report in reports]),
            **spread([took for report in reports for took in report.recovery_ms]),
            "calls": sum(report.asked for report in reports),
        },
    )


def spread(recovery_ms: list[float]) -> dict[str, Number]:
    """Restart to first answer, in ms; the machine's other work included."""
    return {
        "recovery_p50_ms": round(statistics.median(recovery_ms)),
        "recovery_p99_ms": round(p99(recovery_ms)),
        "recovery_max_ms": round(max(recovery_ms)),
    }


def run(
    folder: Path,
    *,
    seed: int,
    kills: int,
    storage: str | None = None,
    clients: int = 4,
    beside: Callable[[Server], AbstractContextManager[object]] = nullcontext,
) -> Report:
    """Run the loop in `folder`, which keeps the ledgers, the log and the file of the server.

    `beside` is open while the kills go on: something else that looks at the server's file.
    """
    began = time.monotonic()
    server = Victim(folder, storage=storage)
    try:
        server.start()
        with (
            Ledger(folder, "harness") as ledger,
            traffic(folder, server, seed, clients, 60 + 10 * kills) as producers,
        ):
            until(lambda: has_begun(folder, clients), 20, "every client is at work")
            with beside(server):
                recovery = kill_all(Scene(server, ledger, random.Random(seed)), plan(seed, kills))
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
        kills=Counter(call.request["moment"] for call in Facts(calls).kills),
        summary=summarise(calls, final),
        violations=check(calls, final),
        recovery_ms=recovery,
        seconds=time.monotonic() - began,
        folder=folder,
        asked=len(calls),
        calls=calls,
    )


def has_begun(folder: Path, clients: int) -> bool:
    return len(ledgers(folder)) == 2 * clients and written(folder) > BUSY_BYTES


def ledgers(folder: Path) -> list[Path]:
    """Those of the clients."""
    return [path for path in folder.glob("*.jsonl") if path.name != "harness.jsonl"]


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in ledgers(folder))


def kill_all(scene: Scene, moments: Sequence[str]) -> list[float]:
    """Kill it at each moment and start it again; how long each start took to the first answer, in ms."""
    took = []
    for moment in moments:
        wanted = written(scene.server.folder) + A_KILL_BYTES
        until(lambda wanted=wanted: written(scene.server.folder) > wanted, 60, "the load goes on")
        MOMENTS[moment](scene)
        began = time.monotonic()
        scene.server.start()
        took.append((time.monotonic() - began) * 1_000)
    return took


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
    """A process of tests/proof/crash/clients.py; what it prints is kept in the folder."""
    command = [sys.executable, "-m", "tests.proof.crash.clients", *arguments]
    with (folder / "clients.log").open("ab") as log:
        return subprocess.Popen(command, cwd=SERVER, stdout=log, stderr=log)


def end_client(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def drain(server: Server, ledger: Ledger, queues: Sequence[str] = QUEUES) -> None:
    """Wait until every job has ended. One that has not is for the checker to tell (R16)."""
    key = ledger.invoke("drain", {"bound_ms": DRAIN_S * 1_000})
    try:
        until(lambda: unfinished(server, queues) == 0, DRAIN_S, "every job has ended")
    except AssertionError:
        ledger.end(key, "fail", {})
        return
    ledger.end(key, "ok", {})


def unfinished(server: Server, queues: Sequence[str] = QUEUES) -> int:
    counts = counts_of(server, queues).values()
    return sum(each[state] for each in counts for state in UNFINISHED)


def counts_of(server: Server, queues: Sequence[str] = QUEUES) -> dict[str, dict[str, int]]:
    return {queue: server.get(f"/queues/{queue}/stats")[1]["counts"] for queue in queues}


def final_states(server: Server, queues: Sequence[str] = QUEUES) -> Final:
    jobs = [job for queue in queues for job in jobs_in(server, queue)]
    return Final(jobs=jobs, counts=counts_of(server, queues))


def jobs_in(server: Server, queue: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        status, page = server.get(f"/jobs?queue={queue}&limit=1000{more}")
        assert status == 200, page
        yield from page["jobs"]
        cursor = page["next_cursor"]
