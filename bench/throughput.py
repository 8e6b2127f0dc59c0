"""
Produce, consume and end to end, each beside its ceiling, in rounds.

In a round every cell is measured twice, one right after the other: on the server, and on bare apsw with as many jobs in the same
batches. Which of the two comes first alternates. Both files have the same history, because every cell of the one is a cell of the other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import ceiling, load
from bench.figures import Row
from bench.load import Took, Work
from bench.processes import OneProcess
from bench.server import LAUNCHER, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.template import Template

# Every connection of the 16 has to get whole batches of 50.
BATCH = 50
WARM_UP = 1_600
HARD_LIMIT = 1.5  # times the limit of a plan


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that share a door, a number of connections and a batch size: produce, consume what was produced, end to end."""

    door: str
    connections: int
    batch: int
    jobs: int
    loads: tuple[str, ...] = ("produce", "consume", "e2e")

    @property
    def name(self) -> str:
        return f"{self.door}-c{self.connections}-b{self.batch}"

    def rows(self) -> list[Row]:
        cells = (self.door, self.connections, self.batch, self.jobs)
        return [Row(name, *cells) for name in self.loads]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How much is done. Rounds stop early once `limit_s` are over: not before `least_rounds`, unless even those take half as long again.
    """

    groups: tuple[Group, ...]
    pipelined_jobs: int
    rounds: int
    least_rounds: int
    limit_s: float


def measure(
    plan: Plan, folder: Path, template: Template, launcher: tuple[str, ...] = LAUNCHER
) -> list[Row]:
    """All rows of the plan; the pipelined one last."""
    with OneProcess() as client, OneProcess() as bare, ServerProcess(folder, "bench", launcher) as server:  # fmt: skip
        bare.call(ceiling.begin, folder / "ceiling.db", template)
        rounds = _Rounds(plan, server, client, bare)
        rounds.warm_up()
        return rounds.run()


class _Rounds:
    def __init__(
        self, plan: Plan, server: ServerProcess, client: OneProcess, bare: OneProcess
    ) -> None:
        self._plan, self._server, self._client, self._bare = plan, server, client, bare
        self._rows = [(group, group.rows()) for group in plan.groups]
        self._pipelined = Row(
            "pipelined", "tcp", 1, 1, plan.pipelined_jobs, against="produce-tcp-c1-b50"
        )

    def warm_up(self) -> None:
        """Cells of each door that are not counted: imports, caches, the first growth of both files."""
        for door, group in {group.door: group for group in self._plan.groups}.items():
            for row in Group(door, 1, BATCH, WARM_UP, group.loads).rows():
                self._pair(row, f"warm-up-{door}-{row.load == 'e2e'}", ceiling_first=True)

    def run(self) -> list[Row]:
        began = time.monotonic()
        for number in range(self._plan.rounds):
            late = (time.monotonic() - began) / self._plan.limit_s
            if number and late > (1 if number >= self._plan.least_rounds else HARD_LIMIT):
                break
            self._round(number)
        rows = [row for _, rows in self._rows for row in rows]
        return [*rows, self._pipelined] if self._pipelined.rates else rows

    def _round(self, number: int) -> None:
        for group, rows in self._rows:
            for row in rows:
                queue = (
                    f"{group.door}-{group.connections}-{group.batch}-{number}-{row.load == 'e2e'}"
                )
                self._pair(row, queue, ceiling_first=number % 2 == 0)
        if self._plan.pipelined_jobs:
            self._pipeline(number)

    def _pair(self, row: Row, queue: str, *, ceiling_first: bool) -> None:
        steps: list[Callable[[], None]] = [
            lambda: self._run_ceiling(row, queue),
            lambda: self._note(row, lambda: self._run_server(row, queue)),
        ]
        for step in steps if ceiling_first else reversed(steps):
            step()

    def _run_ceiling(self, row: Row, queue: str) -> None:
        took = self._bare.call(ceiling.run, row.load, queue, row.jobs, row.batch)
        row.others.append(row.jobs / took.seconds)
        row.ceiling_cpu_us.append(took.cpu_s / row.jobs * 1e6)

    def _run_server(self, row: Row, queue: str) -> Took:
        address = ("127.0.0.1", self._server.tcp if row.door == "tcp" else self._server.http)
        work = Work(row.load, row.door, row.connections, row.batch, row.jobs, queue)
        return self._client.call(load.run, address, work)

    def _pipeline(self, number: int) -> None:
        """Beside the batched produce of the same round."""
        batched = [
            row for _, rows in self._rows for row in rows if row.name == self._pipelined.against
        ]
        if batched:
            address = ("127.0.0.1", self._server.tcp)
            jobs, queue = self._pipelined.jobs, f"pipelined-{number}"
            self._note(
                self._pipelined, lambda: self._client.call(load.pipeline, address, queue, jobs)
            )
            self._pipelined.others.append(batched[0].rates[-1])

    def _note(self, row: Row, work: Callable[[], Took]) -> None:
        cpu = self._server.cpu_s()
        took = work()
        row.rates.append(row.jobs / took.seconds)
        row.server_cpu_us.append((self._server.cpu_s() - cpu) / row.jobs * 1e6)
        row.client_cpu_us.append(took.cpu_s / row.jobs * 1e6)


# Which row each key of the last line is.
KEYS = {
    "produce_ratio": "produce-tcp-c1-b50",
    "produce16_ratio": "produce-tcp-c16-b50",
    "consume_ratio": "consume-tcp-c1-b50",
    "e2e_ratio": "e2e-tcp-c1-b50",
    "pipelined_ratio": "pipelined-tcp-c1-b1",
}


def key_figures(rows: Sequence[Row]) -> dict[str, float]:
    ratios = {row.name: row.ratio for row in rows}
    return {key: ratios[name] for key, name in KEYS.items() if name in ratios}
