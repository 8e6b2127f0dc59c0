"""Run the kill loop for some minutes and write what came of it: `python -m tests.proof.campaign MINUTES SEED RESULTS`.

Each round is a new server file under a seed of its own. The ledgers of a round that broke a rule are kept.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.proof.kill_loop import Report, run
from tests.proof.report import machine, versions

KILLS_A_ROUND = 25
SUMMED = ("attempted", "acknowledged", "recovered", "lost", "phantom", "resurrected")
DUPLICATES = ("duplicates", "duplicates_bound", "unexplained", "stale_refused")


def main(minutes: str, seed: str, results: str) -> int:
    reports: list[Report] = []
    ends = time.monotonic() + 60 * float(minutes)
    while time.monotonic() < ends:
        reports.append(one_round(int(seed) + len(reports)))
        print(reports[-1].line, flush=True)
    path = Path(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result_of(reports, int(seed)), indent=2) + "\n")
    print(f"wrote {path}")
    return 1 if any(is_bad(report) for report in reports) else 0


def one_round(seed: int) -> Report:
    folder = Path(tempfile.mkdtemp(prefix=f"proof-{seed}-"))
    report = run(folder, seed=seed, kills=KILLS_A_ROUND)
    if is_bad(report):
        print(f"kept {folder}", *report.violations, sep="\n")
    else:
        shutil.rmtree(folder)
    return report


def is_bad(report: Report) -> bool:
    return bool(report.violations or report.summary.unexplained)


def result_of(reports: list[Report], seed: int) -> dict[str, Any]:
    sums = [asdict(report.summary) for report in reports]
    totals = {name: sum(each[name] for each in sums) for name in (*SUMMED, *DUPLICATES)}
    kills = sum(report.kills for report in reports)
    recovery = [took for report in reports for took in report.recovery_ms]
    return {
        "test": "T1 kill -9 loop",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "rounds": len(reports),
        "kills": kills,
        **totals,
        "violations": sum(len(report.violations) for report in reports),
        "at_most_lost_per_job_95": 3 / max(1, totals["acknowledged"]),
        "at_most_lost_per_kill_95": 3 / kills,
        "recovery_ms": {
            "p50": round(statistics.median(recovery)),
            "max": round(max(recovery)),
        },
        "fsync_p50_ms": round(statistics.median(r.fsync_p50_ms for r in reports), 3),
        "seconds": round(sum(report.seconds for report in reports)),
        "versions": versions(),
        "machine": machine(),
    }


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
