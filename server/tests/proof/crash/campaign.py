"""Run the kill loop for some minutes and write what came of it: `python -m tests.proof.crash.campaign MINUTES SEED RESULTS`.

Each round is a new server file under a seed of its own. The ledgers of a round that broke a rule are kept. Before the first round, while the
machine is quiet, it measures how long a start takes on large files.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.proof.crash import recovery
from tests.proof.crash.kill_loop import Report, figure_of, run
from tests.proof.crash.moments import Victim
from tests.proof.report import Figure, publish, save_all

KILLS_A_ROUND = 20
STARTS = 5


def main(minutes: str, seed: str, results: str) -> int:
    Victim.is_forked = False  # its times to recover are published
    ends = time.monotonic() + 60 * float(minutes)
    starts = publish(measured(int(seed)))
    reports: list[Report] = []
    while not reports or time.monotonic() < ends:
        reports.append(one_round(int(seed) + len(reports)))
        print(reports[-1].figure().line, flush=True)
    figure = publish(figure_of(reports))
    own = {"rounds": len(reports), "violations": sum(len(each.violations) for each in reports)}
    save_all([replace(figure, numbers={**figure.numbers, **own}), starts], Path(results))
    return 1 if figure.bad or starts.bad else 0


def measured(seed: int) -> Figure:
    """Figure T1-recovery, with the large file."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="proof-recovery-") as folder:
        took = recovery.measure(Path(folder), list(recovery.BARS_MS), STARTS)
    return recovery.figure_of(took, seed, time.monotonic() - began)


def one_round(seed: int) -> Report:
    """Only its numbers are kept, so that a campaign of hours stays small."""
    folder = Path(tempfile.mkdtemp(prefix=f"proof-{seed}-"))
    report = run(folder, seed=seed, kills=KILLS_A_ROUND)
    if report.bad:
        print(f"kept {folder}", *report.violations, sep="\n")
    else:
        shutil.rmtree(folder)
    return replace(report, calls=[])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
