"""T4: a real disk that runs full, out of inodes too, and has space again (guarantees C10).

The disk is a tmpfs in a mount namespace that ends with the process; as root or through `unshare -rm`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.acceptance.forks import SERVER
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.power.full_disk import HELD, Told
from tests.proof.power.needs import OWN_MOUNTS, needs_mounts
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, needs_mounts]

ROUNDS = scaled(1)
RECOVERED_MS = 2_000


def fill_disks(folder: Path, rounds: int, *changes: str) -> Told:
    command = [*OWN_MOUNTS, sys.executable, "-m", "tests.proof.power.full_disk"]
    arguments = [str(folder), str(SEED), str(rounds), *changes]
    run = subprocess.run(
        [*command, *arguments], cwd=SERVER, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return Told(**json.loads(run.stdout))


@pytest.mark.timeout(patience(20))
def test_a_full_disk_refuses_pushes_loses_nothing_and_recovers(tmp_path: Path) -> None:
    began = time.monotonic()
    told = fill_disks(tmp_path, ROUNDS)

    publish(figure_of(told, time.monotonic() - began))
    assert told.wrong == [], AGAIN
    assert told.rounds == ROUNDS
    assert told.pushes_refused == ROUNDS
    assert told.acks_on_full_disk == HELD * ROUNDS
    assert max(told.recovered_ms) <= RECOVERED_MS


def test_a_server_that_answers_what_it_could_not_write_is_caught(tmp_path: Path) -> None:
    told = fill_disks(tmp_path, 1, "answer_anyway")

    assert any("gone" in wrong for wrong in told.wrong), told.wrong


def figure_of(told: Told, seconds: float) -> Figure:
    return Figure(
        test="T4",
        title="disk full",
        promises=("C1", "C10"),
        seed=SEED,
        what="disks filled",
        tries=3 * told.rounds,  # bytes, bytes and ballast, inodes
        bad=len(told.wrong),
        bar=f"pushes 507, acks accepted, lost 0, pushes accepted again in {RECOVERED_MS} ms",
        seconds=seconds,
        control="a server that answers what it could not write loses jobs",
        numbers={
            "acks_on_full_disk": told.acks_on_full_disk,
            "recovered_max_ms": round(max(told.recovered_ms)),
        },
    )
