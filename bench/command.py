"""The command line of the benchmark: what is measured in a run, how much of it, and what is said at the end."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import bars, depth, idle, latency, machine, peers, report, sdks, template, throughput
from bench.processes import OneProcess, end_on_sigterm
from bench.server import ServerProcess
from bench.throughput import BATCH, Group, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
DESCRIPTION = (
    "Measure a server of this tree on this machine. Prints tables, and ends with one line of key figures. "
    "bench/README.md says what they mean."
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a run measures."""

    plan: Plan
    latency_s: float
    deep_jobs: int
    depth_calls: int
    starts: int
    idle_connections: int
    peer_jobs: int
    peer_rounds: int
    sdk_jobs: sdks.Jobs


FULL = Size(
    plan=Plan(
        groups=tuple(
            Group(door, connections, batch, jobs)
            for door in ("tcp", "http")
            for connections, batch, jobs in ((1, BATCH, 10_000), (16, BATCH, 16_000), (1, 1, 400), (16, 1, 1_600))
        ),
        pipelined_jobs=10_000,
        rounds=7,
        least_rounds=3,
        limit_s=150,
    ),
    latency_s=8.0,
    deep_jobs=1_000_000,
    depth_calls=200,
    starts=3,
    idle_connections=2_000,
    peer_jobs=10_000,
    peer_rounds=3,
    sdk_jobs=sdks.Jobs(push=1_000, push_batch=10_000, push_at_once=5_000, work=4_000, rounds=3),
)  # fmt: skip

# Two rounds on one door, a tenth of the depth: enough to see that a change did something.
QUICK = Size(
    plan=Plan(
        groups=(Group("tcp", 1, BATCH, 5_000), Group("tcp", 16, BATCH, 8_000), Group("tcp", 1, 1, 100)),
        pipelined_jobs=5_000,
        rounds=3,
        least_rounds=2,
        limit_s=10,
    ),
    latency_s=2.0,
    deep_jobs=50_000,
    depth_calls=40,
    starts=1,
    idle_connections=2_000,
    peer_jobs=2_000,
    peer_rounds=1,
    sdk_jobs=sdks.Jobs(push=200, push_batch=2_000, push_at_once=2_000, work=1_000, rounds=1),
)  # fmt: skip


@dataclass(slots=True)
class Run:
    """What was asked for, and what has been found so far."""

    size: Size
    folder: Path
    seed: int
    address: tuple[str, int] | None  # of a server that speaks RustQueue's wire
    record: dict[str, Any]

    @property
    def figures(self) -> dict[str, float]:
        found: dict[str, float] = self.record["figures"]
        return found


def measure_throughput(run: Run) -> None:
    plan = run.size.plan
    rows = throughput.measure(plan, run.folder, template.observe(run.folder))
    run.record["throughput"] = [row.record() for row in rows]
    run.figures.update(throughput.key_figures(rows))


def measure_latency(run: Run) -> None:
    with ServerProcess(run.folder, "latency") as server, OneProcess() as client:
        address = ("127.0.0.1", server.tcp)
        found = client.call(latency.measure, address, run.size.latency_s, run.seed)
    run.record["latency"] = [asdict(one) for one in found]
    run.figures["wake_p99_ms"] = found[-1].ms["p99"]


def measure_depth(run: Run) -> None:
    found = depth.measure(run.folder, run.size.deep_jobs, run.size.depth_calls, run.size.starts)
    run.record["depth"] = asdict(found)
    run.figures.update(found.key_figures())


def measure_idle(run: Run) -> None:
    found = idle.measure(run.folder, run.size.idle_connections)
    run.record["idle"] = asdict(found)
    run.figures.update(found.key_figures())


def measure_peers(run: Run) -> None:
    """Ours stands among them, measured by the client that drives any server of that wire."""
    size = run.size
    with ServerProcess(run.folder, "peer") as server:
        asked = peers.Asked(ours=("127.0.0.1", server.tcp), other=run.address)
        rows = peers.measure(run.folder, asked, size.peer_jobs, BATCH, size.peer_rounds)
    run.record["peers"] = [asdict(row) for row in rows]


def measure_sdks(run: Run) -> None:
    run.record["sdks"] = sdks.measure(run.folder, run.size.sdk_jobs)


SECTIONS: dict[str, Callable[[Run], None]] = {
    "throughput": measure_throughput,
    "latency": measure_latency,
    "depth": measure_depth,
    "idle": measure_idle,
    "peers": measure_peers,
    "sdks": measure_sdks,
}


def main() -> int:
    options = _options()
    end_on_sigterm()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobwire-bench-", dir=options.folder) as folder:
        run = _prepare(options, Path(folder))
        for name in _sections(options.only):
            print(f"bench: {name} …", file=sys.stderr, flush=True)
            SECTIONS[name](run)
    run.record["seconds"] = round(time.monotonic() - began)
    print(report.render(run.record))
    if options.save:
        report.save(run.record, RESULTS)
    missed = bars.missed(run.figures, partly=bool(options.only)) if options.check else []
    return _conclude(run.figures, missed)


def _prepare(options: argparse.Namespace, folder: Path) -> Run:
    size = QUICK if options.quick else FULL
    if options.rounds:
        size = replace(size, plan=replace(size.plan, rounds=options.rounds))
    groups = tuple(group for group in size.plan.groups if _is_wanted(group.name, options.only))
    size = replace(size, plan=replace(size.plan, groups=groups))
    about = {"quick": options.quick, "seed": options.seed, **machine.describe(folder)}
    return Run(size, folder, options.seed, options.address, about | {"figures": {}})


def _sections(only: Sequence[str]) -> list[str]:
    """Throughput is also wanted when one of its rows is."""
    return [
        name
        for name in SECTIONS
        if not only or name in only or (name == "throughput" and set(only) - set(SECTIONS))
    ]


def _is_wanted(group: str, only: Sequence[str]) -> bool:
    patterns = [name for name in only if name not in SECTIONS]
    return not patterns or any(fnmatch(group, pattern) for pattern in patterns)


def _conclude(figures: dict[str, float], missed: Sequence[str]) -> int:
    """The bars that were missed, and the one line at the end."""
    for sentence in missed:
        print(f"missed: {sentence}", file=sys.stderr)
    sys.stderr.flush()
    print(bars.line(figures), flush=True)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=DESCRIPTION)
    flag = parser.add_argument
    flag("--quick", action="store_true", help="a minute at most, small and coarse, for development")
    flag("--only", type=_names, default=(), metavar="ROWS", help=f"of {', '.join(SECTIONS)}, or rows as in tcp-c16-b50 or http-*; separated by commas")  # fmt: skip
    flag("--rounds", type=int, help="rounds of the throughput rows at most")
    flag("--check", action="store_true", help="exit with 1 when a bar of bars.py is missed")
    flag("--save", action="store_true", help="write docs/results/bench.json and bench.md")
    flag("--seed", type=int, default=1, help="of the arrival times")
    flag("--folder", type=Path, help="make the files below this folder, to measure its disk")
    flag("--address", type=_address, metavar="HOST:PORT", help="a running server that speaks RustQueue's wire, as a peer")  # fmt: skip
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    known = [*SECTIONS, *(group.name for group in FULL.plan.groups)]
    for name in names:
        if not any(fnmatch(one, name) for one in known):
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if host not in LOOPBACK or not port.isdigit():
        raise argparse.ArgumentTypeError(
            "a benchmark sends its load to this machine only: use 127.0.0.1:PORT"
        )
    return host, int(port)
