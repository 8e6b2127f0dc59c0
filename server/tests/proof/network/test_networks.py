"""T14: half-open and slow networks cost an SDK worker a moment and the server nothing (JW-SDK-8, JW-TCP-10, JW-HTTP-12).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.network.bad_networks import (
    BACK_IN_S,
    HOLE,
    MEANWHILE,
    SETTINGS,
    WEATHERS,
    Freed,
    NaivePuller,
    Outcome,
    half_open,
    push,
    try_weather,
)
from tests.proof.network.pinger import pinged
from tests.proof.network.proxy import Proxy
from tests.proof.network.sdk_load import EACH
from tests.proof.report import Figure, p99, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

ROUNDS = max(1, round(SCALE))
HALF_OPEN = 10  # connections of each sort
LAG_MS = 250  # that a loaded machine may show by itself
LAG_RATIO = 5


@pytest.mark.timeout(120 + round(60 * SCALE))
def test_a_bad_network_costs_a_moment(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "kept", settings=SETTINGS) as server, ThreadPoolExecutor() as aside:
        with pinged(server.tcp) as quiet:
            time.sleep(1)  # of nothing else
        opened = aside.submit(half_open, tmp_path / "freed", HALF_OPEN)
        never = aside.submit(half_open, tmp_path / "never", 2, idle_s=0)
        naive = aside.submit(naive_is_back, tmp_path / "naive")
        with pinged(server.tcp) as busy:
            outcomes = [one for turn in range(ROUNDS) for one in weathered(server, turn)]
        freed, kept, is_back = opened.result(), never.result(), naive.result()
    back = [outcome.back_s for outcome in outcomes]
    late = [outcome for outcome in outcomes if outcome.back_s > BACK_IN_S]

    figure = publish(
        Figure(
            test="T14",
            title="half-open and slow networks",
            promises=("C2", "C9"),
            seed=SEED,
            what="outages",
            tries=len(outcomes),
            bad=len(late) + sum(outcome.unfinished for outcome in outcomes) + freed.left,
            bar="lost 0, consuming again ≤ one heartbeat + 2 s after the heal, dead connections freed in time",
            seconds=time.monotonic() - began,
            control=f"without an idle timeout {kept.left} of {kept.opened} dead connections stay; "
            f"a client that waits for ever is {'back' if is_back else 'never back'}",
            numbers={
                "back_p50_s": round(statistics.median(back), 3),
                "back_max_s": round(max(back), 3),
                "lost": sum(outcome.unfinished for outcome in outcomes),
                "handled_again": sum(outcome.again for outcome in outcomes),
                "half_open": freed.opened,
                "freed_in_s": round(freed.took_s, 2),
                "ping_p99_ms": round(p99(busy), 1),
                "quiet_ping_p99_ms": round(p99(quiet), 1),
            },
        )
    )
    assert figure.bad == 0, told(outcomes, freed)
    assert all(outcome.touched for outcome in outcomes), told(outcomes, freed)
    assert p99(busy) <= max(LAG_MS, LAG_RATIO * p99(quiet))
    assert kept.left > 0
    assert not is_back


def weathered(server: Launched, turn: int) -> list[Outcome]:
    """Every worker in every weather, all at a time; every other one has work waiting when the network is well again."""
    cases = list(product(enumerate(EACH), enumerate(WEATHERS)))
    with ThreadPoolExecutor(len(cases)) as pool:
        tries = [
            pool.submit(
                try_weather,
                server,
                *pair,
                weather,
                MEANWHILE[(at + n + turn) % 2],
                f"{SEED}-{turn}",
            )
            for (at, pair), (n, weather) in cases
        ]
        return [one.result() for one in tries]


def naive_is_back(folder: Path) -> bool:
    """The control: whether a client without deadlines consumes again after a hole."""
    with (
        launched(folder, settings=SETTINGS) as server,
        Proxy(server.tcp) as proxy,
        NaivePuller(proxy.port, "q"),
    ):
        proxy.set(up=HOLE, down=HOLE)
        time.sleep(1)  # the hole
        proxy.set()
        push(server, "q", 1, 0)
        time.sleep(BACK_IN_S)
        done = server.counts("q")["completed"] == 1
        proxy.close_all()
    return done


def told(outcomes: list[Outcome], freed: Freed) -> str:
    again = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}"
    lines = sorted((f"{one.back_s:.2f} {one}" for one in outcomes), reverse=True)
    return "\n".join([again, str(freed), *lines[:12]])
