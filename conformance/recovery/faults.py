"""The faults: each is made to all routes or to the server at once, and says when it was over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from conformance.recovery.peer import Peer
    from conformance.recovery.plan import Plan
    from conformance.recovery.server import Server

    # Arguments: the server, the peers, the plan, the number of the round. What comes back is the instant, of the monotonic
    # clock, from which on everything is well again.
    Fault = Callable[[Server, Sequence[Peer], Plan, int], Awaitable[float]]


async def restart(server: Server, peers: Sequence[Peer], _plan: Plan, _round: int) -> float:
    """kill -9, and a start on the same file at once."""
    return await _away(server, peers, 0)


async def outage(server: Server, peers: Sequence[Peer], plan: Plan, _round: int) -> float:
    """kill -9, and a start much later."""
    return await _away(server, peers, plan.outage_s)


async def _away(server: Server, peers: Sequence[Peer], seconds: float) -> float:
    await server.kill()
    for peer in peers:
        peer.route.close()
    await asyncio.sleep(seconds)  # the outage
    await server.start()
    for peer in peers:
        await peer.route.open(server.address(peer.door))
    return time.monotonic()


async def cut(_server: Server, peers: Sequence[Peer], _plan: Plan, number: int) -> float:
    """Every connection ends, by RST and by FIN in turn."""
    for peer in peers:
        peer.route.cut("fin" if number % 2 else "rst")
    return time.monotonic()


async def half_open(_server: Server, peers: Sequence[Peer], _plan: Plan, _round: int) -> float:
    """Every connection dies, and nobody is told; new ones are well."""
    for peer in peers:
        peer.route.half_open()
    return time.monotonic()


async def hole(_server: Server, peers: Sequence[Peer], plan: Plan, number: int) -> float:
    """For a while nothing crosses; connections that there were then stay dead."""
    for peer in peers:
        peer.route.hole(there_is=True)
    await asyncio.sleep(plan.bad_s * (1 + number % 3) / 2)  # the hole
    for peer in peers:
        peer.route.hole(there_is=False)
    return time.monotonic()


async def lost_replies(_server: Server, peers: Sequence[Peer], plan: Plan, _round: int) -> float:
    """For a while a third of the answers is lost with its connection, whatever was asked."""
    for peer in peers:
        peer.route.lose_replies(1 / 3)
    await asyncio.sleep(plan.bad_s)  # the losses
    for peer in peers:
        peer.route.lose_replies(0)
    return time.monotonic()


FAULTS: Final[Mapping[str, Fault]] = {
    "restart": restart,
    "cut": cut,
    "half-open": half_open,
    "hole": hole,
    "lost replies": lost_replies,
    "outage": outage,
}
