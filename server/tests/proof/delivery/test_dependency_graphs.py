"""T16: jobs that wait for others run after them and are never forgotten, whenever the server is killed (guarantees C1, C3, C4; JW-DEP-1 to JW-DEP-9, JW-PUSH-16).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.proof.delivery.broken_rules import broken, forgotten_children, impatient_children
from tests.proof.delivery.graph_runs import run
from tests.proof.delivery.graphs import Verdict
from tests.proof.knobs import AGAIN, SCALE, SEED, patience, scaled
from tests.proof.launched import launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

GRAPHS = scaled(20)
KILLS = scaled(5)
HEAL_S = 30


@pytest.mark.timeout(patience(20))
def test_no_child_is_lost_early_or_stuck(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "whole") as server:
        done = run(server, SEED, graphs=GRAPHS, kills=KILLS, heal_s=HEAL_S)
    impatient = control(tmp_path, impatient_children)
    forgotten = control(tmp_path, forgotten_children)

    figure = publish(
        Figure(
            test="T16",
            title="graphs of jobs under kill -9",
            promises=("C1", "C3", "C4"),
            seed=SEED,
            what="jobs",
            tries=done.pushed,
            bad=len(done.verdict.all),
            bar="child lost 0, early 0, stuck 0",
            seconds=time.monotonic() - began,
            control=f"children released by their first parent: {len(impatient.early)} early; parents that do nothing: {len(forgotten.stuck)} stuck",
            numbers={
                "graphs": len(done.graphs),
                "kills": done.kills,
                "lost": len(done.verdict.lost),
                "early": len(done.verdict.early),
                "stuck": len(done.verdict.stuck),
                "wrong_end": len(done.verdict.wrong),
                "died_with_a_parent": done.ended("parent_failed"),
                "cancelled": done.ended("cancelled"),
                "refused": sum(seen.refused for seen in done.seen.values()),
            },
        )
    )
    assert figure.bad == 0, "\n".join([AGAIN, *done.verdict.all[:20]])
    assert len(done.graphs) >= GRAPHS
    assert done.kills == KILLS
    assert figure.tries >= 5 * GRAPHS
    assert done.ended("parent_failed") > 0 or SCALE < 1, "no parent died"
    assert len(impatient.early) > 0, "children that come too early must show"
    assert len(forgotten.stuck) > 0, "children that nobody releases must show"


def control(folder: Path, rule: Callable[[], None]) -> Verdict:
    with launched(folder / rule.__name__, entry=broken(rule)) as server:
        return run(server, SEED, graphs=4, kills=0, heal_s=1).verdict
