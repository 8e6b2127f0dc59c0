"""Feed the pure parsers: `python -m tests.proof.fuzz.parsers SEED COUNT [SECONDS]` prints one JSON object, a `Report`; it ends at whichever comes first.

A bug is told with its target and its input in hex: `check(target, bytes.fromhex(…))` shows it again, and it becomes a row of REGRESSIONS.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Final

from tests.proof.fuzz.inputs import Inputs
from tests.proof.fuzz.targets import REGRESSIONS, TARGETS, drawn

SERVER: Final = Path(__file__).parents[3]
HANG_MS: Final = 100  # of processor time, for one input
AGAIN: Final = 3  # times that a slow input is tried before it counts
WARM: Final = 2_000  # inputs before memory is looked at: tables and caches are filled by then
MOST_BUGS: Final = 20


@dataclass(slots=True)
class Report:
    seed: int
    inputs: int = 0
    bugs: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    worst_ms: float = 0.0
    grown_bytes: int = 0
    by_target: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)  # ok, or the code of a refusal

    @property
    def found(self) -> list[str]:
        return [*self.bugs, *self.hangs]


def check(target: str, data: bytes, report: Report) -> None:
    """Feed one input, and keep what was wrong with it."""
    outcome, took = "bug", 0.0
    try:
        outcome, took = _timed(target, data)
        for _ in range(
            AGAIN if took > HANG_MS else 0
        ):  # a busy machine is slow once, and a hang always
            took = min(took, _timed(target, data)[1])
    except Exception as bug:  # noqa: BLE001 - whatever a parser raises besides a refusal is what is looked for
        report.bugs.append(f"{target} {data.hex()}: {type(bug).__name__}: {bug}")
    if took > HANG_MS:
        report.hangs.append(f"{target} {data.hex()[:2000]}: {took:.0f} ms")
    report.worst_ms = max(report.worst_ms, round(took, 2))
    report.inputs += 1
    report.by_target[target] = report.by_target.get(target, 0) + 1
    report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1


def _timed(target: str, data: bytes) -> tuple[str, float]:
    """What came of an input, and for how many ms of processor time it held up everyone."""
    its = TARGETS[target]
    began = time.thread_time_ns()
    outcome = its.check(data)
    took = (time.thread_time_ns() - began) / 1e6
    return outcome, min(took, its.turn(data)) if took > HANG_MS and its.turn else took


def run(seed: int, count: int, seconds: float = inf) -> Report:
    """Regressions first, then `count` inputs from the seed."""
    report, inputs = Report(seed), Inputs(seed)
    ends = time.monotonic() + seconds
    base = 0
    for target, data in REGRESSIONS:
        check(target, data, report)
    for number in range(count):
        if number == WARM:
            base = rss()
        if time.monotonic() > ends or len(report.bugs) > MOST_BUGS:
            break
        target = drawn(inputs.random)
        check(target, TARGETS[target].draw(inputs), report)
    report.grown_bytes = max(0, rss() - base) if base else 0
    return report


def rss() -> int:
    """Bytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def start(seed: int, count: int, seconds: float = inf) -> subprocess.Popen[bytes]:
    """Run it in a process of its own, whose memory is then that of the parsers; give it to `result`."""
    command = [sys.executable, "-m", __name__, str(seed), str(count), str(seconds)]
    return subprocess.Popen(command, cwd=SERVER, stdout=subprocess.PIPE, start_new_session=True)


def result(process: subprocess.Popen[bytes], seconds: float) -> Report:
    """Raises TimeoutExpired, which is a hang, when it has not ended by then; the process is gone in any case."""
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Report(**json.loads(said))


def main(seed: str, count: str, seconds: str = "inf") -> None:
    print(json.dumps(asdict(run(int(seed), int(count), float(seconds)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
