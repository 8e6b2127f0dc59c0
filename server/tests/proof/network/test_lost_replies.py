"""T13: whatever is said again after a lost reply has its effect once, through every kind of client (guarantees C5; JW-PUSH-3, JW-PULL-11, JW-LEASE-11).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.network.hands import DOORS, KINDS, RawHand, hand_of
from tests.proof.network.lost_replies import CUTS_A_ROUND, Tally, Trial
from tests.proof.network.proxy import Proxy
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

ROUNDS = max(1, round(2 * SCALE))


@pytest.mark.timeout(60 + round(60 * SCALE))
def test_a_lost_reply_costs_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    tally = Tally()
    with launched(tmp_path) as server, ThreadPoolExecutor(len(KINDS)) as pool:
        for part in pool.map(lambda pair: trial(server, *pair), product(KINDS, DOORS)):
            tally.add(part)
        forgetful = control(server)

    figure = publish(
        Figure(
            test="T13",
            title="lost replies",
            promises=("C5",),
            seed=SEED,
            what="cuts",
            tries=tally.cuts,
            bad=tally.bad,
            bar="duplicates of push 0, of an ack's effect 0, pulled-but-lost returned 100 %",
            seconds=time.monotonic() - began,
            control=f"repeats under new ids: {forgetful.duplicates} jobs duplicated, {forgetful.orphaned} pulled jobs lost",
            numbers={
                "carried_out_unheard": tally.carried_out,
                "duplicates": tally.duplicates,
                "double_effects": tally.doubled,
                "pulled_lost": tally.orphaned + tally.changed,
            },
        )
    )
    told = "\n".join([f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}", *tally.told])
    assert figure.bad == 0, told
    assert figure.tries == ROUNDS * CUTS_A_ROUND * len(KINDS) * len(DOORS) >= 300 * min(1, SCALE)
    assert tally.carried_out >= figure.tries / 4, "too few cuts came behind the work"
    assert forgetful.duplicates > 0, "new ids must show as duplicates"
    assert forgetful.orphaned > 0, "new request_ids must show as lost pulls"


def trial(server: Launched, kind: str, door: str) -> Tally:
    with Proxy(server.port(door), f"{SEED}-{kind}-{door}") as proxy:
        hand = hand_of(kind, door, proxy.port)
        try:
            return Trial(server, proxy, hand, f"{kind}-{door}", SEED).run(ROUNDS)
        finally:
            hand.close()


def control(server: Launched) -> Tally:
    """The same trial by a client that takes new ids for a repeat."""
    with Proxy(server.tcp, SEED) as proxy:
        hand = RawHand("tcp", proxy.port, forgetful=True)
        try:
            return Trial(server, proxy, hand, "forgetful", SEED).run(1)
        finally:
            hand.close()
