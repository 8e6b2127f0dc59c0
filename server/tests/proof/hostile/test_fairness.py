"""
T49: one client with very many connections, a long queue and payloads of 1 MiB; what a small and steady client notices of it.

Two records. T49: what holds is that open connections, a long queue, and one connection that asks as fast as it can (large payloads apart) cost
the others nothing much. T49-saturated: when hundreds of connections, or a few with 1 MiB each, ask as fast as they can, there is no share for
each client: all wait in one line, in front of one event loop and one writer. There only the end of the wait is promised.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.acceptance.processes import until
from tests.proof.hostile.attacked import allow_many_sockets, weakened
from tests.proof.hostile.bystander import FLOOR_MS, Bystander, Pace, bystander
from tests.proof.hostile.crowd import crowd
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300), pytest.mark.alone]

CONNECTIONS = max(60, round(200 * SCALE))
JOBS = round(25_000 * SCALE)
WORST_MS = 10_000.0  # what a call may take while others saturate the server
QUIET_S, WATCH_S = 1.0, 1.5
SATURATED_S = WATCH_S if SCALE >= 1 else 0.5
SHARED = (("counts of a long queue", 0), ("counts of a long queue", 1), ("small pushes", 1))
SATURATED = (
    ("counts of a long queue", CONNECTIONS),
    ("small pushes", CONNECTIONS),
    ("large pushes", 8),
)


@dataclass(frozen=True, slots=True)
class Noticed:
    """What the small client measured before and during one kind of greed, in ms."""

    kind: str
    before: Pace
    during: Pace
    calls: int  # of the greedy one

    @property
    def is_fair(self) -> bool:
        return self.during.is_as_good_as(self.before)

    @property
    def told(self) -> str:
        return f"{self.before.p99:.0f}→{self.during.p99:.0f}"


def _notice(server: Launched, good: Bystander, kind: str, greedy: int, jobs: int = 0) -> Noticed:
    return _noticed(server, good, kind, greedy, jobs, good.pace(*good.watch(QUIET_S)), WATCH_S)


def _noticed(
    server: Launched,
    good: Bystander,
    kind: str,
    greedy: int,
    jobs: int,
    before: Pace,
    seconds: float,
) -> Noticed:
    with crowd(server, kind, connections=CONNECTIONS, greedy=greedy, jobs=jobs) as client:
        during = good.pace(*good.watch(seconds))
        calls = client.end()
    name = f"{kind} by {greedy}" + (f", while {jobs} jobs come" if jobs else "")
    return Noticed(name, before, during, calls)


def _numbers(noticed: list[Noticed]) -> dict[str, int | float | str]:
    return {f"p99_ms[{one.kind}]": one.told for one in noticed}


def test_what_the_others_notice_of_one_greedy_client(tmp_path: Path) -> None:
    began = time.monotonic()
    allow_many_sockets()
    with launched(tmp_path) as server, bystander(server) as good:
        until(lambda: len(good.between(0, time.monotonic())) > 5, 20, "the bystander is at work")
        shared = [_notice(server, good, "counts of a long queue", 1, JOBS)]
        shared += [_notice(server, good, kind, greedy) for kind, greedy in SHARED]
        saturated_from = time.monotonic()
        quiet = good.pace(*good.watch(QUIET_S))
        saturated = [
            _noticed(server, good, kind, greedy, 0, quiet, SATURATED_S)
            for kind, greedy in SATURATED
        ]
        good.watch(QUIET_S)
        all_saturated = good.between(saturated_from, time.monotonic())
        length = server.counts("crowd")["waiting"]
    unfair = [one for one in shared if not one.is_fair]
    stuck = [took for took in all_saturated if took > WORST_MS]
    publish(
        Figure(
            test="T49",
            title="a small client beside one with many connections, a long queue and one connection that never rests",
            promises=(),
            seed=SEED,
            what="small calls",
            tries=sum(one.during.calls for one in shared),
            bad=sum(one.during.calls for one in unfair),
            bar=f"p99 ≤ 2× or ≤ {FLOOR_MS:.0f} ms",
            seconds=saturated_from - began,
            control="a server that blocks on the greedy client's calls was found",
            numbers={"connections": CONNECTIONS, "queue": length, **_numbers(shared)},
        )
    )
    publish(
        Figure(
            test="T49-saturated",
            title="the same with hundreds of calls in flight, or payloads of 1 MiB: p99 ≤ 2× does not hold, the wait ends",
            promises=(),
            seed=SEED,
            what="small calls",
            tries=len(all_saturated),
            bad=len(stuck),
            bar=f"no call fails or takes over {WORST_MS / 1000:.0f} s",
            seconds=time.monotonic() - saturated_from,
            control="a call that failed counts as one without end",
            numbers={
                "connections": CONNECTIONS,
                "fair": sum(one.is_fair for one in saturated),
                **_numbers(saturated),
            },
        )
    )
    assert unfair == [], [one.kind + " " + one.told for one in unfair]
    assert stuck == []
    assert length >= JOBS
    assert all(one.calls > 0 for one in [*shared[2:], *saturated])


def test_a_server_that_blocks_is_caught(tmp_path: Path) -> None:
    """The control."""
    with launched(tmp_path, entry=weakened("unfair")) as server, bystander(server) as good:
        until(lambda: len(good.between(0, time.monotonic())) > 5, 20, "the bystander is at work")
        noticed = _notice(server, good, "counts of a long queue", 1)

    assert not noticed.is_fair, noticed.told
