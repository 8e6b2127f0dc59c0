"""T14 once more, with packets that the kernel loses: a cable is pulled and plugged in again (bonus; needs root and iproute2).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.acceptance.forks import SERVER
from tests.acceptance.processes import until
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.network.bad_networks import BACK_IN_S, GIVES_UP_IN_S, LEASE_S, push
from tests.proof.network.cable import SERVER_SIDE, Cable
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

PULLS = max(2, round(2 * SCALE))
PULLED_S = (0.5, 3.0)
KINDS = ("sync", "async")
# The TCP door is at this end of the cable; HTTP stays on loopback, for the harness.
SETTINGS = f"""
[tcp]
host = "{SERVER_SIDE}"
[auth]
insecure = true
[jobs]
lease_ms = {round(LEASE_S * 1_000)}
"""


@pytest.mark.timeout(60 + round(30 * SCALE))
def test_a_pulled_cable_costs_a_moment(tmp_path: Path) -> None:
    began, chance = time.monotonic(), random.Random(f"cable-{SEED}")
    back: list[float] = []
    with Cable() as cable, launched(tmp_path, settings=SETTINGS) as server, ExitStack() as stack:
        for kind in KINDS:
            stack.enter_context(worker_at_the_end(cable, server, kind, tmp_path))
            finished_in(server, kind)
        for _ in range(PULLS):
            cable.pull()
            time.sleep(chance.uniform(*PULLED_S))  # the outage
            unheard = not any(is_done(server, push(server, kind, 1, 0)[0]) for kind in KINDS)
            cable.plug()
            assert unheard, "the cable was not pulled"
            back += [finished_in(server, kind) for kind in KINDS]
        left = [kind for kind in KINDS if server.wait_until_done(kind, 20)["dlq"]]

    figure = publish(
        Figure(
            test="T14-cable",
            title="pulled network cable",
            promises=("C2",),
            seed=SEED,
            what="outages",
            tries=len(back),
            bad=len(left) + sum(took > BACK_IN_S for took in back),
            bar="lost 0, consuming again ≤ one heartbeat + 2 s after the cable is back",
            seconds=time.monotonic() - began,
            control="a job that was pushed meanwhile was not worked on before the cable was back",
            numbers={"back_max_s": round(max(back), 3)},
        )
    )
    assert figure.bad == 0, f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}: {back} {left}"


@contextmanager
def worker_at_the_end(cable: Cable, server: Launched, kind: str, folder: Path) -> Iterator[None]:
    url = f"tcp://{SERVER_SIDE}:{server.tcp}"
    arguments = (kind, url, kind, "0", "drain", str(LEASE_S))
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(
            [*cable.inside, sys.executable, "-m", "tests.proof.network.drained_worker", *arguments],
            cwd=SERVER,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def finished_in(server: Launched, queue: str) -> float:
    """Push a job; the seconds until it is done."""
    began = time.monotonic()
    [job_id] = push(server, queue, 1, 0)
    until(lambda: is_done(server, job_id), GIVES_UP_IN_S, f"{queue} works")
    return time.monotonic() - began


def is_done(server: Launched, job_id: str) -> bool:
    return bool(server.get(f"/jobs/{job_id}")[1]["job"]["state"] == "completed")
