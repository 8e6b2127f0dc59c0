"""
CPU µs a job by package, while the server produces, consumes, and does both end to end.

Each load runs on a server that notes stacks (sampled_server.py). The share of a package in the stacks, by their innermost frame that
belongs to anyone named here, times the CPU that the system says the process has used.
"""

from __future__ import annotations

import argparse
import linecache
import re
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench import load, report
from bench.load import Work
from bench.processes import OneProcess, end_on_sigterm
from bench.server import ServerProcess
from bench.throughput import WARM_UP

LOADS = ("produce", "consume", "e2e")
FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)
OURS = re.compile(r"/jobwire_server/(\w+)")
LIBRARIES = re.compile(r"/(asyncio|uvloop|aiohttp|prometheus_client)/")
LOOP = "asyncio, uvloop"
# C has no frames of its own: a line of this package that calls it says where the time went.
CALLS_OF_C = (
    ("store", re.compile(r"\.(execute|executemany|fetchall|get|wal_checkpoint)\b"), "apsw"),
    ("tcp_api", re.compile(r"\.(write|writelines)\("), LOOP),
    ("wire", re.compile(r"_?(encode|decode|read|write)\w*\(|msgspec"), "wire (lines that call msgspec)"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """One load: CPU µs a job by package, of so many stacks."""

    us: dict[str, float]
    stacks: int


def main() -> None:
    options = _options()
    end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="jobwire-profile-") as name:
        stacks = Path(name) / "stacks"
        launcher = ("-m", "bench.sampled_server", str(stacks))
        with ServerProcess(Path(name), "profile", launcher) as server, OneProcess() as client:
            found = {kind: _profile(server, client, options, kind, stacks) for kind in LOADS}
    _print(found, options)


def _profile(
    server: ServerProcess,
    client: OneProcess,
    options: argparse.Namespace,
    kind: str,
    stacks: Path,
) -> Profile:
    address = ("127.0.0.1", server.tcp if options.door == "tcp" else server.http)
    client.call(load.run, address, _work(options, kind, WARM_UP, "warm-up"))
    work = _work(options, kind, options.jobs, "profile")
    begin, cpu = stacks.stat().st_size, server.cpu_s()
    client.call(load.run, address, work)
    cpu = server.cpu_s() - cpu
    packages = Counter(map(where, split(stacks.read_text(errors="replace")[begin:])))
    us = cpu / work.jobs * 1e6
    total = sum(packages.values())
    return Profile({name: us * n / total for name, n in packages.items()} | {"all": us}, total)


def _work(options: argparse.Namespace, kind: str, jobs: int, queue: str) -> Work:
    """Whole batches for every connection."""
    share = options.batch * options.connections
    whole = max(jobs // share, 1) * share
    queue = f"{queue}-{kind == 'e2e'}"
    return Work(kind, options.door, options.connections, options.batch, whole, queue)


def split(text: str) -> list[list[tuple[str, int]]]:
    """The stacks that faulthandler wrote, each as (file, line) from the innermost frame outwards."""
    return [
        [(file, int(line)) for file, line in FRAME.findall(stack)]
        for stack in re.split(r"^\S.*$", text, flags=re.MULTILINE)
        if FRAME.search(stack)
    ]


def where(stack: list[tuple[str, int]]) -> str:
    """The package of the innermost frame that is the server's or of a library that is named."""
    for file, line in stack:
        ours, library = OURS.search(file), LIBRARIES.search(file)
        if ours is not None:
            return _of_ours(ours[1], file, line)
        if library is not None:
            return LOOP if library[1] in ("asyncio", "uvloop") else library[1]
    return "other"


def _of_ours(package: str, file: str, line: int) -> str:
    text = linecache.getline(file, line)
    for caller, pattern, name in CALLS_OF_C:
        if package == caller and pattern.search(text):
            return name
    return package


def _print(found: dict[str, Profile], options: argparse.Namespace) -> None:
    by_package: dict[str, dict[str, float]] = defaultdict(dict)
    for kind, profile in found.items():
        for name, us in profile.us.items():
            by_package[name][kind] = us
    rows = sorted(by_package.items(), key=lambda row: -sum(row[1].values()))
    body = [(name, *(round(us.get(kind, 0.0), 1) for kind in LOADS)) for name, us in rows]
    columns = {"CPU µs a job": report.LEFT} | dict.fromkeys(LOADS, report.RIGHT)
    print(f"{options.door}, connections: {options.connections}, batch: {options.batch}\n")
    print(report.table(columns, [*body, ("stacks", *(p.stacks for p in found.values()))]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU µs a job of the server, by package.")
    parser.add_argument("--door", choices=("tcp", "http"), default="tcp")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=40_000, help="a load")
    return parser.parse_args()
