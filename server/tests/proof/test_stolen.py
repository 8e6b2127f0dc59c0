"""A test of times is made again where the machine was not ours, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.proof.stolen import Again, Clock

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

SETTINGS = """
[pytest]
asyncio_default_fixture_loop_scope = function
markers =
    alone: a
    paced: a
    slow: a
"""
TEST = """
import pytest
tries = []

@pytest.fixture
def fresh():
    return len(tries)

{mark}
def test_it(fresh):
    assert fresh == len(tries)
    tries.append(1)
    assert len(tries) == {passes_at}
"""


def clock_that_tells(share: float) -> type[Clock]:
    class Told(Clock):
        def stolen(self) -> float:
            return share

    return Told


@pytest.mark.parametrize(
    ("mark", "share", "passes_at", "passed", "again"),
    [
        ("alone", 0.4, 2, 1, 1),
        ("paced", 0.4, 2, 1, 1),
        ("alone", 0.4, 1, 1, 0),
        ("alone", 0.4, 3, 0, 1),  # once, and not until it passes
        ("alone", 0.05, 2, 0, 0),
        ("slow", 0.4, 2, 0, 0),
    ],
)
def test_a_failure_on_a_stolen_machine_is_made_again_once(
    pytester: pytest.Pytester, mark: str, share: float, passes_at: int, passed: int, again: int
) -> None:
    test = TEST.format(mark=f"@pytest.mark.{mark}", passes_at=passes_at)
    pytester.makepyfile(test)
    pytester.makeini(SETTINGS)

    run = pytester.runpytest_inprocess(plugins=[Again(clock_that_tells(share))])

    run.assert_outcomes(passed=passed, failed=1 - passed)
    told = [line for line in run.outlines if line.startswith("made again: ")]
    assert len(told) == again
    assert all(line.endswith("::test_it: 40% of the time was stolen") for line in told)


def test_what_is_stolen_is_a_share_of_all_time(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1\n")
    clock = Clock(stat)
    stat.write_text("cpu  110 0 110 750 0 0 0 130 0 0\ncpu0 1\n")

    assert clock.stolen() == pytest.approx(0.3)


@pytest.mark.parametrize("text", ["cpu  100 0 100 700\n", None])
def test_where_nobody_tells_nothing_is_stolen(tmp_path: Path, text: str | None) -> None:
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)

    assert Clock(stat).stolen() == 0.0
