"""How much a run tries, and the bars that its figures are held to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEASE_MS: Final = 3_000
HEARTBEAT_S: Final = LEASE_MS / 1_000 / 3  # what every SDK makes of such a lease
BACK_S: Final = 2.0
CANCEL_S: Final = 1.0
# Whoever finds out by a heartbeat that its connection is dead is given the time of one.
BARS: Final = {
    "restart": BACK_S,
    "outage": BACK_S,
    "cut": BACK_S,
    "lost replies": BACK_S,
    "half-open": HEARTBEAT_S + BACK_S,
    "hole": HEARTBEAT_S + BACK_S,
    "cancel": CANCEL_S,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Attributes:
        faults: Of faults.FAULTS.
        rounds: Of each fault but the outage.
        outages, outage_s: How often the server is away, and for how long.
        bad_s: How long replies are lost, and a hole lasts.
        calls: Concurrent ones of each SDK, shared out to its doors.
        in_flight: Of them at once on each door.
        patience_s: A worker that does nothing for so long is deaf.
        stall_s: A try in which a bare client needed longer than this for a push, a pull and an ack tells of the machine and not of
            SDKs: its times are not counted, and it is made again.
        again: How often at most; what the last try of a round took is counted as it is.
        slack: How many times its bar a figure may be; on a machine that does other things it is no measure.
    """

    rounds: int
    outages: int
    outage_s: float
    bad_s: float
    calls: int
    in_flight: int
    patience_s: float
    stall_s: float
    again: int
    slack: float
    faults: tuple[str, ...] = ("restart", "cut", "half-open", "hole", "lost replies", "outage")


FULL: Final = Plan(
    rounds=50,
    outages=2,
    outage_s=30.0,
    bad_s=1.5,
    calls=20_000,
    in_flight=200,
    patience_s=15.0,
    stall_s=1.0,
    again=2,
    slack=1.0,
)
# What `make test` runs: it counts what is lost, deaf and crossed, and gives times room for a slow machine.
SMALL: Final = Plan(
    rounds=1,
    outages=1,
    outage_s=2.5,
    bad_s=0.5,
    calls=400,
    in_flight=40,
    patience_s=30.0,
    stall_s=math.inf,
    again=0,
    slack=3.0,
)
