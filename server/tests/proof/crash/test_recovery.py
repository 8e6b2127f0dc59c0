"""T1-recovery: a killed server with 10^5 jobs answers again within a second (guarantee C11). The campaign measures 10^6 as well."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.proof.crash.recovery import Start, figure_of, measure
from tests.proof.report import publish

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]

SEED = int(os.environ.get("PROOF_SEED", "20261122"))
JOBS = 100_000
STARTS = 3


def test_a_start_on_many_jobs_is_quick(tmp_path: Path) -> None:
    began = time.monotonic()

    took = {JOBS: measure(tmp_path, JOBS, STARTS)}

    figure = publish(figure_of(took, SEED, time.monotonic() - began))
    assert figure.bad == 0, took


@pytest.mark.parametrize(
    ("wall", "busy", "bad"), [(900, 1_100, 0), (1_900, 900, 0), (1_100, 1_200, 1)]
)
def test_a_slow_start_is_caught(wall: float, busy: float, bad: int) -> None:
    assert figure_of({JOBS: [Start(wall, busy)]}, SEED, 0).bad == bad
