"""T1-recovery: a killed server with 10^5 jobs answers again within a second (guarantee C11). The campaign measures 10^6 as well."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.proof.crash.recovery import EMPTY, figure_of, measure
from tests.proof.knobs import SCALE, SEED, SLACK
from tests.proof.report import publish

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]

JOBS = 100_000
STARTS = 3 if SCALE >= 1 else 2


def test_a_start_on_many_jobs_is_quick(tmp_path: Path) -> None:
    began = time.monotonic()

    took = measure(tmp_path, [JOBS], STARTS)

    figure = publish(figure_of(took, SEED, time.monotonic() - began, SLACK))
    assert figure.bad == 0, took


@pytest.mark.parametrize(
    ("empty", "full", "bad"), [(400, 900, 0), (1_500, 2_000, 0), (500, 1_100, 1)]
)
def test_a_slow_start_is_caught(empty: float, full: float, bad: int) -> None:
    assert figure_of({EMPTY: [empty], JOBS: [full, full + 500]}, SEED, 0).bad == bad
