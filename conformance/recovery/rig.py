"""All that a run needs at once: one server, a driver of each SDK, a peer for each of its doors."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING

from conformance.recovery.crossing import Caller
from conformance.recovery.faults import FAULTS
from conformance.recovery.figures import Figures
from conformance.recovery.hands import Hands
from conformance.recovery.peer import Peer
from conformance.recovery.server import Server
from conformance.recovery.stalls import Stalls
from conformance.runner.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from conformance.recovery.plan import Plan


async def run(
    folder: Path,
    commands: Mapping[str, Sequence[str]],
    doors: Sequence[str],
    plan: Plan,
    say: Callable[[str], None] = lambda _: None,
) -> list[Figures]:
    """
    The figures of each SDK.

    commands: SDK → the command of its driver.
    say: Gets a line when something begins.
    """
    async with contextlib.AsyncExitStack() as stack:
        server = Server(folder)
        stack.push_async_callback(server.stop)
        await server.start()
        peers: list[Peer] = []
        for sdk, command in commands.items():
            driver = await Driver.start(command, virtual=False, seed=1)
            stack.push_async_callback(driver.stop)
            hands = await stack.enter_async_context(Hands(driver))
            peers += [Peer(sdk, door, driver, hands, plan.patience_s) for door in doors]
        for peer in peers:
            stack.push_async_callback(peer.end)
            await peer.begin(server)
        rig = _Rig(server, peers, plan, say)
        await rig.suffer()
        return await rig.figures()


class _Rig:
    def __init__(
        self, server: Server, peers: Sequence[Peer], plan: Plan, say: Callable[[str], None]
    ) -> None:
        self._server, self._peers, self._plan, self._say = server, peers, plan, say
        self.disturbed = 0  # tries whose times are not counted

    async def suffer(self) -> None:
        """Every fault as often as planned, in turn, and after each a job that is done and one that is cancelled."""
        # All are there before the first fault comes.
        await asyncio.gather(*(peer.probe(self._server, 0) for peer in self._peers))
        for number in range(max(self._plan.rounds, self._plan.outages)):
            for fault in self._plan.faults:
                times = self._plan.outages if fault == "outage" else self._plan.rounds
                if number < times:
                    self._say(f"{fault} {number + 1} of {times}")
                    await self._one(fault, number)

    async def _one(self, fault: str, number: int) -> None:
        """Until nothing else had the machine meanwhile, or once too often."""
        for left in range(self._plan.again, -1, -1):
            stall_s = await self._tried(fault, number, is_last=left == 0)
            if stall_s <= self._plan.stall_s:
                return
            self._say(f"a bare client had to wait for {stall_s:.2f} s; tries left: {left}")

    async def _tried(self, fault: str, number: int, *, is_last: bool) -> float:
        """The longest time that a bare client needed. Of a disturbed try only what never came is noted, unless it is the last."""
        over = await FAULTS[fault](self._server, self._peers, self._plan, number)
        async with Stalls(self._server) as stalls:
            back = await asyncio.gather(*(peer.probe(self._server, over) for peer in self._peers))
            told = await asyncio.gather(*(peer.cancel(self._server) for peer in self._peers))
        counts = is_last or stalls.worst_s <= self._plan.stall_s
        self.disturbed += not counts
        for peer, back_s, told_s in zip(self._peers, back, told, strict=True):
            if counts or math.isinf(back_s):
                peer.back[fault].append(back_s)
            if counts or math.isinf(told_s):
                peer.cancels.append(told_s)
        return stalls.worst_s

    async def figures(self) -> list[Figures]:
        """Load no more; then look what was lost, and call a thousand times at once."""
        found: dict[str, Figures] = {}
        for peer in self._peers:
            await peer.rest()
        for peer in self._peers:
            fresh = Figures(peer.sdk, self._plan.faults, self.disturbed, slack=self._plan.slack)
            sdk = found.setdefault(peer.sdk, fresh)
            self._say(f"lost jobs and crossed answers of {peer.queue}")
            lost = await peer.lost(self._server)
            doors = sum(each.sdk == peer.sdk for each in self._peers)
            crossing = await Caller(peer, self._plan, self._plan.calls // doors).run()
            sdk.add(peer, lost, crossing)
        return list(found.values())
