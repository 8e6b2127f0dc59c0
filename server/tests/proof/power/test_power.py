"""T2: the power goes at any instant, and nothing that was answered is lost (guarantees C1, C10).

A shim notes all that a loaded server does to its files; the disk is rebuilt as a power cut may have left it, at hundreds of instants.
PROOF_SEED and PROOF_SCALE choose another or a longer run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.power.cutting import Outcome, cut_often
from tests.proof.power.figures_of_power import figure_of_cuts
from tests.proof.power.launching import Launcher, build, shimmed
from tests.proof.power.needs import needs_gcc
from tests.proof.power.recording import record
from tests.proof.report import publish

pytestmark = [pytest.mark.acceptance, needs_gcc]

SECONDS = 5.0
CUTS = scaled(320)
LEAST_PROMISES = 50  # of an average cut; a run that promised next to nothing proves nothing

CONTROL_SECONDS = 3.0
CONTROL_CUTS = 60


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with shimmed(build(tmp_path_factory.mktemp("shim"))) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def controls(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The same harness on servers that do not wait for the disk."""
    return {
        mode: cuts_of(
            tmp_path_factory.mktemp(mode), launcher, CONTROL_SECONDS, CONTROL_CUTS, synchronous=mode
        )
        for mode in ("normal", "off")
    }


@pytest.mark.timeout(patience(60))
def test_power_cuts_lose_nothing_that_was_answered(
    launcher: Launcher, controls: dict[str, Outcome], tmp_path: Path
) -> None:
    done = cuts_of(tmp_path, launcher, SECONDS, CUTS)

    publish(figure_of_cuts(done, controls, SEED))
    assert done.bad == 0, f"{AGAIN}; kept in {tmp_path}\n" + "\n".join(done.examples)
    assert done.cuts == CUTS
    assert done.served > 0
    assert done.promises >= LEAST_PROMISES * done.cuts


def test_a_server_that_syncs_only_checkpoints_is_caught(controls: dict[str, Outcome]) -> None:
    normal = controls["normal"]

    assert normal.lost > CONTROL_CUTS // 10
    assert normal.corrupt == 0, normal.examples  # NORMAL promises a whole file


def test_a_server_that_never_syncs_is_caught(controls: dict[str, Outcome]) -> None:
    assert controls["off"].lost > CONTROL_CUTS // 10
    assert controls["off"].corrupt > 0


def cuts_of(
    folder: Path, launcher: Launcher, seconds: float, cuts: int, *, synchronous: str = "full"
) -> Outcome:
    recorded = record(folder, launcher, seed=SEED, seconds=seconds, synchronous=synchronous)
    return cut_often(recorded, folder / "cut", launcher, seed=SEED, cuts=cuts)
