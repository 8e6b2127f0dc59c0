"""
The SDKs over TCP, each beside a bare socket that asks the same server for the same in the same round.

Each language has a program in sdk_programs/ that lives for the whole run, so that no start and no import is measured. The order of the
clients changes from round to round.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import load, wire
from bench.load import Took, Work
from bench.processes import OneProcess
from bench.server import ROOT, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROGRAMS = Path(__file__).resolve().parent / "sdk_programs"
GO_BINARY = ROOT / "build" / "bench-sdk-go"
LIMIT_S = 150.0
BATCH, AT_ONCE, SLOTS = 50, 1_000, 16
WARM_UP = 4 * BATCH
BARE = "bare socket"


class Missing(Exception):  # noqa: N818 - a state of things, not a fault
    """The SDK cannot be measured on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """How many jobs a cell has; those at once are a multiple of AT_ONCE, the others of BATCH where they are pushed in batches or worked on."""

    push: int
    push_batch: int
    push_at_once: int
    work: int
    rounds: int


@dataclass(slots=True)
class Cell:
    """One load of one client over the rounds; `bare` has the rates of the bare socket in the same rounds."""

    load: str
    client: str
    jobs: int
    rates: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    client_cpu_us: list[float] = field(default_factory=list)  # a job, as the next
    server_cpu_us: list[float] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """What the report keeps."""
        ratios = [rate / other for rate, other in zip(self.rates, self.bare, strict=True)]
        return {
            "load": self.load,
            "client": self.client,
            "jobs": self.jobs,
            "rounds": len(self.rates),
            "jobs_s_median": round(statistics.median(self.rates)),
            "jobs_s_best": round(max(self.rates)),
            "ratio_median": round(statistics.median(ratios), 3),
            "ratio_low": round(min(ratios), 3),
            "ratio_high": round(max(ratios), 3),
            "client_cpu_us_per_job": round(statistics.median(self.client_cpu_us), 1),
            "server_cpu_us_per_job": round(statistics.median(self.server_cpu_us), 1),
        }


def measure(folder: Path, jobs: Jobs, warm_up: int = WARM_UP) -> list[dict[str, object]]:
    """A record for each load and client; of one that is missing, why it is. `warm_up` jobs of a cell are not counted."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ServerProcess(folder, "sdks"))
        bare = stack.enter_context(OneProcess())
        clients: dict[str, Program] = {}
        missing: list[dict[str, object]] = []
        for name, command in COMMANDS.items():
            try:
                clients[name] = stack.enter_context(started(command(), server.tcp))
            except (Missing, OSError) as error:
                missing.append({"client": name, "missing": str(error)})
        rounds = _Rounds(server, bare, clients, jobs)
        if warm_up:
            rounds.warm_up(warm_up)
        return [*rounds.run(), *missing]


class _Rounds:
    def __init__(
        self, server: ServerProcess, bare: OneProcess, clients: Mapping[str, Program], jobs: Jobs
    ) -> None:
        self._server, self._bare, self._clients, self._jobs = server, bare, clients, jobs
        names = (BARE, *clients)
        self._cells = {
            what: {name: Cell(what, name, count) for name in names}
            for what, count in asdict(jobs).items()
            if what != "rounds"
        }

    def warm_up(self, warm_up: int) -> None:
        """A small cell of each that is not counted."""
        for what, cells in self._cells.items():
            for name in cells:
                jobs = AT_ONCE if what == "push_at_once" else warm_up
                self._took(what, name, jobs, f"warm-up-{what}-{name}")

    def run(self) -> list[dict[str, object]]:
        for number in range(self._jobs.rounds):
            for what, cells in self._cells.items():
                names = list(cells)
                turned = number % len(names)
                for name in names[turned:] + names[:turned]:
                    self._one(cells[name], f"{what}-{name}-{number}")
                for cell in cells.values():
                    cell.bare.append(cells[BARE].rates[-1])
        return [cell.record() for cells in self._cells.values() for cell in cells.values()]

    def _one(self, cell: Cell, queue: str) -> None:
        took, server_s = self._took(cell.load, cell.client, cell.jobs, queue)
        cell.rates.append(cell.jobs / took.seconds)
        cell.client_cpu_us.append(took.cpu_s / cell.jobs * 1e6)
        cell.server_cpu_us.append(server_s / cell.jobs * 1e6)

    def _took(self, what: str, name: str, jobs: int, queue: str) -> tuple[Took, float]:
        """What the load took, and the CPU seconds of the server."""
        queue = queue.replace(" ", "-")
        if what == "work":
            self._bare_run(Work("produce", "tcp", 1, BATCH, jobs, queue))
        cpu = self._server.cpu_s()
        if name == BARE:
            took = self._bare_took(what, jobs, queue)
        else:
            took = self._clients[name].run(what, jobs, queue)
        return took, self._server.cpu_s() - cpu

    def _bare_took(self, what: str, jobs: int, queue: str) -> Took:
        """The same of a socket: singles, batches, pipelined singles, pulls and acks of as many as a worker has slots."""
        if what == "push_at_once":
            address = ("127.0.0.1", self._server.tcp)
            return self._bare.call(load.pipeline, address, queue, jobs)
        works = {
            "push": Work("produce", "tcp", 1, 1, jobs, queue),
            "push_batch": Work("produce", "tcp", 1, BATCH, jobs, queue),
            "work": Work("consume", "tcp", 1, SLOTS, jobs, queue),
        }
        return self._bare_run(works[what])

    def _bare_run(self, work: Work) -> Took:
        return self._bare.call(load.run, ("127.0.0.1", self._server.tcp), work)


class Program:
    """A running program of sdk_programs: a line in, a line out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, what: str, jobs: int, queue: str) -> Took:
        """Raises RuntimeError when the program ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        cell = {"load": what, "queue": queue, "jobs": jobs, "batch": BATCH, "data": wire.DATA}
        cell["concurrency"] = SLOTS if what == "work" else AT_ONCE
        self._process.stdin.write(json.dumps(cell) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait(LIMIT_S)}")
        return Took(**json.loads(said))


@contextlib.contextmanager
def started(command: Sequence[str], port: int) -> Iterator[Program]:
    """The program, until the end of its input ends it."""
    url = f"tcp://127.0.0.1:{port}"
    with subprocess.Popen([*command, url], stdin=-1, stdout=-1, text=True, cwd=ROOT) as process:
        try:
            yield Program(process)
        except BaseException:
            process.kill()
            raise


# ── Which clients there are ──


def _python(*flags: str) -> Callable[[], Sequence[str]]:
    return lambda: (sys.executable, str(PROGRAMS / "python" / "program.py"), *flags)


def _node() -> Sequence[str]:
    return (str(ROOT / "tools" / "node.sh"), "node", str(PROGRAMS / "node" / "program.mjs"))


def _go() -> Sequence[str]:
    """Built first. Raises Missing when that fails."""
    GO_BINARY.parent.mkdir(exist_ok=True)
    command = [str(ROOT / "tools" / "go.sh"), "go", "build", "-o", str(GO_BINARY), "."]
    built = subprocess.run(
        command, cwd=PROGRAMS / "go", capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        raise Missing(f"the Go program does not build: {built.stderr[-500:]}")
    return (str(GO_BINARY),)


COMMANDS: Mapping[str, Callable[[], Sequence[str]]] = {
    "python": _python(),
    "python-async": _python("--async"),
    "node": _node,
    "go": _go,
}
