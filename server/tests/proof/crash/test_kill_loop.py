"""T1: kill -9 at every moment, under load, loses nothing, and a server that keeps nothing is caught (guarantees C1–C5, C7, C8, C11).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both and the folder that holds the ledgers and the file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.proof.crash.kill_loop import Report, run
from tests.proof.crash.moments import MOMENTS
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import publish

pytestmark = pytest.mark.acceptance

KILLS = max(len(MOMENTS), round(10 * SCALE))
LEAST_PER_KILL = 5  # acknowledged jobs; a loop that did next to nothing proves nothing
KINDS = ("stale_refused", "cancelled", "replaced", "restarted", "children")

LATE = {"INVALID_STATE", "JOB_NOT_FOUND"}  # what a person hears who asks for what is over
EXPECTED_REFUSALS = {
    "push": {"DUPLICATE_KEY", "QUEUE_PAUSED", "VALIDATION_ERROR"},  # the last for a dead parent
    "ack": {"LEASE_LOST"},
    "fail": {"LEASE_LOST"},
    "release": {"LEASE_LOST"},
    "heartbeat": {"LEASE_LOST"},
    "cancel": LATE,
    "retry": LATE | {"DUPLICATE_KEY"},
}


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The control: the same loop, with a store that keeps nothing."""
    return run(tmp_path_factory.mktemp("control"), seed=SEED, kills=1, storage="memory://")


def test_a_server_that_forgets_is_caught(forgetful: Report) -> None:
    assert forgetful.summary.lost > 0
    assert "R1" in {violation.rule for violation in forgetful.violations}


@pytest.mark.timeout(90 + 10 * KILLS)
def test_kill_9_at_every_moment_breaks_no_rule(tmp_path: Path, forgetful: Report) -> None:
    report = run(tmp_path, seed=SEED, kills=KILLS)

    publish(report.figure(f"memory:// loses {forgetful.summary.lost} in one kill"))
    assert report.violations == [], told(report)
    assert report.summary.unexplained == 0, told(report)
    assert report.summary.duplicates <= report.summary.duplicates_bound, told(report)
    assert report.summary.acknowledged >= LEAST_PER_KILL * KILLS, told(report)
    assert all(getattr(report.summary, kind) > 0 for kind in KINDS), told(report)
    assert all(report.kills[moment] >= KILLS // len(MOMENTS) for moment in MOMENTS), told(report)
    for op, codes in refusals(report).items():
        assert set(codes) <= EXPECTED_REFUSALS[op], told(report)


def refusals(report: Report) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for call in report.calls:
        if call.out == "fail" and call.op != "drain":
            found.setdefault(call.op, Counter())[call.answer["error"]["code"]] += 1
    return found


def told(report: Report) -> str:
    """How to run it again, and what it found."""
    again = f"PROOF_SEED={report.seed} PROOF_SCALE={SCALE}; kept in {report.folder}"
    found = [report.figure().line, again, str(refusals(report))]
    return "\n".join([*found, *map(str, report.violations)])
