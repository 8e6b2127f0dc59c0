"""T36: clients that send slowly, on both doors, are cut within their deadline, and the others notice nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.acceptance.processes import until
from tests.proof.hostile.attacked import allow_many_sockets, weakened
from tests.proof.hostile.bystander import FLOOR_MS, bystander
from tests.proof.hostile.slow_clients import attack, kinds, survivors
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

TOKEN = "t36-good-token"
DEADLINE_S = 2.0
SETTINGS = f"""
[auth]
tokens = ["{TOKEN}"]
[server]
read_timeout_ms = {DEADLINE_S * 1000:.0f}
unauthenticated_timeout_ms = {DEADLINE_S * 1000:.0f}
idle_timeout_ms = {DEADLINE_S * 1000:.0f}
"""
EACH = max(20, round(100 * SCALE))
QUIET_S = 2.0 if SCALE >= 1 else 1.0
# What a deadline may be late by: the door looks once a second, reads on for 2 s so that the refusal arrives, and this machine is shared.
SLACK_S = 5.0
EARLY_S = 1.2  # the TCP door counts from its last look at the clock, at most a second ago
LIMIT_S = DEADLINE_S + SLACK_S
DRIP_S = 0.4
OTHERS = 16  # sockets that the server has of its own, and the bystander's


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_slow_clients_are_cut_and_the_others_go_on(tmp_path: Path) -> None:
    began = time.monotonic()
    allow_many_sockets()
    with launched(tmp_path, settings=SETTINGS) as server, bystander(server, token=TOKEN) as good:
        ports = {"http": server.http, "tcp": server.tcp}
        until(lambda: len(good.between(0, time.monotonic())) > 5, 20, "the bystander is at work")
        before = good.pace(*good.watch(QUIET_S))
        from_ = time.monotonic()
        fates = asyncio.run(
            attack(ports, kinds(TOKEN), EACH, drip_s=DRIP_S, patience_s=LIMIT_S + 3)
        )
        during = good.pace(from_, time.monotonic())
        until(lambda: server.sockets < OTHERS, 10, "the server let go of every socket")
        after = good.pace(*good.watch(QUIET_S))
    late = survivors(fates, LIMIT_S)
    alone = max(before, after, key=lambda pace: pace.p99)
    publish(
        Figure(
            test="T36",
            title="ten kinds of slowloris on both doors",
            promises=("C9",),
            seed=SEED,
            what="slow sockets",
            tries=len(fates),
            bad=len(late) + (not during.is_as_good_as(alone)),
            bar=f"each cut ≤ {LIMIT_S:.0f} s (deadline {DEADLINE_S:.0f} s); others' p99 ≤ 2× or ≤ {FLOOR_MS:.0f} ms",
            seconds=time.monotonic() - began,
            control="without deadlines no slow socket was cut",
            numbers={
                "kinds": len(kinds("")),
                "cut_max_s": round(max(fate.cut_after or 0 for fate in fates), 2),
                "p99_before_ms": before.p99,
                "p99_during_ms": during.p99,
                "p99_after_ms": after.p99,
                "p50_alone_ms": alone.p50,
                "good_calls": during.calls,
            },
        )
    )
    assert late == [], f"PROOF_SEED={SEED} PROOF_SCALE={SCALE}: {late[:10]}"
    assert len(fates) == EACH * len(kinds(""))
    assert during.is_as_good_as(alone), (during, alone)
    early = [fate for fate in fates if (fate.cut_after or 0) < DEADLINE_S - EARLY_S]
    assert early == [], "cut long before the deadline: refused for another reason"


@pytest.mark.timeout(60)
def test_a_server_without_deadlines_is_caught(tmp_path: Path) -> None:
    """The control: the same slow clients are suffered for as long as they like."""
    patience = DEADLINE_S + 3
    with launched(tmp_path, settings=SETTINGS, entry=weakened("no_deadlines")) as server:
        ports = {"http": server.http, "tcp": server.tcp}
        fates = asyncio.run(attack(ports, kinds(TOKEN), 3, drip_s=DRIP_S, patience_s=patience))

    assert len(survivors(fates, patience)) == len(fates)
