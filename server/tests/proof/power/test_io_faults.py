"""T3: the n-th call to the disk fails, and nothing that was answered is lost (guarantees C1, C10).

PROOF_SEED and PROOF_SCALE choose other calls or more; `python -m tests.proof.power.campaign` tries all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.power.figures_of_power import figure_of_trials
from tests.proof.power.io_faults import ALL, VARIANTS, Trial, calls_of, try_fault
from tests.proof.power.launching import FAIL_SYNC, FAIL_WRITE, Launcher, build, shimmed
from tests.proof.power.needs import needs_gcc
from tests.proof.report import publish

pytestmark = [pytest.mark.acceptance, needs_gcc, pytest.mark.paced]

TRIALS = max(2 * len(VARIANTS), scaled(25))
FIRST_SYNCS = 8  # a new file takes six before its first job
CONTROL = "EIO on a sync"


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with shimmed(build(tmp_path_factory.mktemp("shim"))) as launcher:
        yield launcher


@pytest.mark.timeout(patience(40))
def test_a_disk_that_fails_loses_nothing_that_was_answered(
    launcher: Launcher, tmp_path: Path
) -> None:
    began = time.monotonic()
    trials = sampled(launcher, tmp_path)

    complaints = [words for trial in trials for words in trial.complaints()]
    publish(figure_of_trials(trials, SEED, time.monotonic() - began))
    assert complaints == [], f"{AGAIN}; kept in {tmp_path}\n" + "\n".join(complaints)
    hit = [trial for trial in trials if trial.faults]
    assert (
        len(hit) >= 0.8 * TRIALS
    )  # a run may have fewer calls than the one that they were counted in
    assert any(trial.sync_failure for trial in trials)
    assert any(trial.served for trial in hit)


def test_each_of_the_first_syncs_can_fail(launcher: Launcher, tmp_path: Path) -> None:
    """Those that make the files: a failed sync of the folder is passed over by SQLite, and is made good by the store."""
    fault_at, _ = VARIANTS[CONTROL]

    trials = [
        try_fault(tmp_path / str(n), launcher, f"{CONTROL} {n}", fault_at(n))
        for n in range(1, FIRST_SYNCS + 1)
    ]

    assert [words for trial in trials for words in trial.complaints()] == []


def sampled(launcher: Launcher, folder: Path) -> list[Trial]:
    chance = random.Random(SEED)
    made = {
        kinds: calls_of(folder / f"clean-{kinds}", launcher, kinds)
        for kinds in (ALL, FAIL_SYNC, FAIL_WRITE)
    }
    trials = []
    for number, (name, (fault_at, kinds)) in zip(range(TRIALS), cycle(VARIANTS.items())):
        n = chance.randint(1, made[kinds])
        trials.append(try_fault(folder / str(number), launcher, f"{name} {n}", fault_at(n)))
    return trials


def test_a_server_that_answers_what_it_could_not_write_is_caught(
    launcher: Launcher, tmp_path: Path
) -> None:
    """The control. The calls are some in the middle, which are commits."""
    fault_at, kinds = VARIANTS[CONTROL]
    middle = calls_of(tmp_path / "clean", launcher, kinds) // 2
    broken = {"answer_anyway": 1}

    trials = [
        try_fault(tmp_path / str(n), launcher, f"{CONTROL} {n}", fault_at(n), broken)
        for n in range(middle - 4, middle)
    ]

    assert all(trial.sync_failure for trial in trials)
    assert all("it ended with 0" in trial.complaints()[-1] for trial in trials)
    assert any(trial.wrong for trial in trials)
