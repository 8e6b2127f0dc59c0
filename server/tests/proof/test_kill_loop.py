"""T1: kill -9 again and again under load loses nothing, and a server that keeps nothing is caught (guarantees C1–C3, C5, C7, C8).

PROOF_SEED and PROOF_KILLS choose another run; a failure prints both and the folder that holds the ledgers and the file.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tests.proof.kill_loop import Report, run

pytestmark = pytest.mark.acceptance

SEED = int(os.environ.get("PROOF_SEED", "20261122"))
KILLS = int(os.environ.get("PROOF_KILLS", "12"))
EXPECTED_REFUSALS = {"DUPLICATE_KEY", "LEASE_LOST"}
LEAST_PER_KILL = 5  # acknowledged jobs; a loop that did next to nothing proves nothing


@pytest.mark.timeout(60 + 10 * KILLS)
def test_kill_9_again_and_again_breaks_no_rule(tmp_path: Path) -> None:
    report = run(tmp_path, seed=SEED, kills=KILLS)

    print(report.line)
    assert report.violations == [], told(report)
    assert report.summary.unexplained == 0, told(report)
    assert report.summary.duplicates <= report.summary.duplicates_bound, told(report)
    assert report.kills >= KILLS
    assert report.summary.acknowledged >= LEAST_PER_KILL * KILLS, told(report)
    assert set(refusals(report)) <= EXPECTED_REFUSALS, told(report)
    assert refusals(report)["LEASE_LOST"] > 0, "no stale lease was tried"


def test_a_server_that_forgets_is_caught(tmp_path: Path) -> None:
    """The control: the same loop, with a store that keeps nothing."""
    report = run(tmp_path, seed=SEED, kills=1, storage="memory://")

    print(report.line)
    assert report.summary.lost > 0
    assert "R1" in {violation.rule for violation in report.violations}


def refusals(report: Report) -> Counter[str]:
    return Counter(
        call.answer["error"]["code"]
        for call in report.calls
        if call.op != "drain" and call.out == "fail"
    )


def told(report: Report) -> str:
    """How to run it again, and what it found."""
    again = f"PROOF_SEED={report.seed} PROOF_KILLS={KILLS}; kept in {report.folder}"
    return "\n".join([report.line, again, str(refusals(report)), *map(str, report.violations)])
