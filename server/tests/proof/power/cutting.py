"""Many power cuts in one recorded run, and what each leaves."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.proof.crash.kill_loop import final_states
from tests.proof.power.disk import Disk, Image, Mode
from tests.proof.power.io_log import Kind, Op
from tests.proof.power.launching import Launcher, Plan, WatchedServer
from tests.proof.power.opening import Verdict, judge, lay_out
from tests.proof.power.promises import Promises
from tests.proof.power.recording import Recorded

MODES: tuple[Mode, ...] = ("drop", "torn", "torn")
SERVED_EVERY = 25  # cuts; so many get a real server on what they left
SHOWN = 5


@dataclass(slots=True)
class Outcome:
    """What the cuts of one or several runs came to."""

    cuts: int = 0
    lost: int = 0  # cuts with a broken promise
    corrupt: int = 0
    served: int = 0  # cuts with a real server on what was left
    promises: int = 0  # of all cuts together
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return self.lost + self.corrupt

    def count(self, where: str, verdict: Verdict) -> None:
        self.lost += bool(verdict.lost)
        self.corrupt += bool(verdict.corrupt)
        if verdict.is_bad and len(self.examples) < SHOWN:
            self.examples.append(f"{where}: {[*verdict.corrupt, *verdict.lost][:3]}")

    def add(self, other: Outcome) -> None:
        for name in ("cuts", "lost", "corrupt", "served", "promises", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = [*self.examples, *other.examples][:SHOWN]


def cut_often(
    recorded: Recorded,
    folder: Path,
    launcher: Launcher,
    *,
    seed: int,
    cuts: int,
    served_every: int = SERVED_EVERY,
) -> Outcome:
    """Cut the power at `cuts` instants; `folder` is overwritten each time."""
    began, outcome = time.monotonic(), Outcome()
    chance = random.Random(f"{seed}-cuts")
    disk, promises = Disk(recorded.ops), Promises(recorded.calls)
    for number, instant in enumerate(sorted(instants(recorded, chance, cuts))):
        disk.advance(1_000 * instant)
        promises.advance(instant)
        mode = MODES[number % len(MODES)]
        image = disk.cut(mode, chance)
        verdict = judge(lay_out(image, folder, chance), promises, is_synced=recorded.is_synced)
        if not verdict.is_bad and number % served_every == 0:
            verdict = served(image, folder, launcher, promises, Plan(settings=recorded.settings))
            outcome.served += 1
        outcome.count(f"seed {seed} cut {number} {mode} at {instant} µs", verdict)
        outcome.cuts += 1
        outcome.promises += promises.kept
    outcome.seconds = time.monotonic() - began
    return outcome


def instants(recorded: Recorded, chance: random.Random, number: int) -> Iterator[int]:
    """
    In µs. A quarter each: at any time; when a client had just read an answer, which is when most is owed; at any change; and at a
    change outside of the WAL, which is a checkpoint, a start or a stop.
    """
    ops = recorded.ops
    first, last = ops[0].at // 1_000, ops[-1].at // 1_000
    told = [call.t1 for call in recorded.calls if call.t1 is not None and call.op != "kill"]
    changed = [op.at // 1_000 for op in ops]
    rare = [op.at // 1_000 for op in ops_outside_the_wal(ops)]
    kinds: list[Any] = [lambda: chance.randint(first, last)]
    kinds += [lambda these=these: chance.choice(these) for these in (told, changed, rare)]
    for place in range(number):
        yield kinds[place % len(kinds)]()


def ops_outside_the_wal(ops: list[Op]) -> Iterator[Op]:
    wals: set[int] = set()
    for op in ops:
        if op.kind is Kind.OPEN:
            (wals.add if op.name.endswith("-wal") else wals.discard)(op.inode)
        if op.inode not in wals:
            yield op


def served(
    image: Image, folder: Path, launcher: Launcher, promises: Promises, plan: Plan
) -> Verdict:
    """What a real server makes of the same files: it starts, shows what was promised, and takes a job."""
    server = WatchedServer(folder.with_name("served"), launcher, plan)
    lay_out(image, server.database.parent)
    try:
        if not server.has_started():
            return Verdict(corrupt=(f"no server starts: {server.log[-500:]}",))
        lost = tuple(promises.broken_by(final_states(server).jobs))
        status, answer = server.post("/queues/after/jobs", {"name": "after"})
        return Verdict(lost=lost, corrupt=() if status == 201 else (f"a push: {answer}",))
    finally:
        server.end()
