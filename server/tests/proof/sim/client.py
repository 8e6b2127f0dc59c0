"""One client: one connection at a time, calls that are recorded, and repeats of what was not answered."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from tests.proof.crash.traffic import SAYS_NOTHING, jobs_of
from tests.proof.history import Delivery
from tests.proof.sim.network import BrokenLinkError, Link
from tests.proof.sim.recording import Ledger
from tests.proof.sim.world import World

PATIENCE_S = 4.0
AGAIN_S = 0.02

Answer = dict[str, Any]


class Client:
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.chance = Random(f"{world.seed}-{name}")
        self.ledger = Ledger(world.history, name)
        self._link: Link | None = None
        self._connecting = asyncio.Lock()

    @property
    def now_s(self) -> float:
        return self.world.loop.time()

    def a_while(self, least: float, most: float) -> Any:
        return asyncio.sleep(self.chance.uniform(least, most))

    async def call(
        self,
        op: str,
        *,
        delivery: Delivery = None,
        impatient: Impatience | None = None,
        **fields: Any,
    ) -> Answer | None:
        """The answer, or None when it is not known whether the call had its effect."""
        link = await self._connected()
        key = self.ledger.invoke(op, fields, delivery=delivery)
        try:
            answer = await self._answer(link, op, fields, impatient)
        except (BrokenLinkError, TimeoutError):
            link.cut()
            return None
        return self._settled(op, key, answer, link)

    async def _answer(
        self, link: Link, op: str, fields: dict[str, Any], impatient: Impatience | None
    ) -> Answer:
        future = link.send(op, **fields)
        rid = link.rid
        if impatient is None:
            async with asyncio.timeout(PATIENCE_S):
                return await future
        done, _ = await asyncio.wait({future}, timeout=impatient.after_s)
        if not done:
            if impatient.hangs_up:
                raise BrokenLinkError
            async with asyncio.timeout(PATIENCE_S):
                await link.send("abort", target=rid)
        async with asyncio.timeout(PATIENCE_S):
            return {**await future, "aborted": not done}

    def _settled(self, op: str, key: str, answer: Answer, link: Link) -> Answer | None:
        code = "" if answer["ok"] else answer["error"]["code"]
        if code == "INTERNAL_ERROR":
            self.world.loop.problems.append(f"{op}: {answer}")
        if code in SAYS_NOTHING:
            link.cut()
            return None
        told = answer
        if op == "pull" and not code:
            told = {"jobs": list(jobs_of(answer)), "aborted": answer.get("aborted", False)}
        self.ledger.end(key, "fail" if code else "ok", told)
        return answer

    async def insist(self, op: str, *, delivery: Delivery = None, **fields: Any) -> Answer:
        """Call again with the same fields until it is answered."""
        while True:
            answer = await self.call(op, delivery=delivery, **fields)
            if answer is not None:
                return answer

    def hang_up(self) -> None:
        if self._link is not None:
            self._link.cut()

    async def _connected(self) -> Link:
        async with self._connecting:
            while self._link is None or not self._link.is_open:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        self._link = await self.world.connect()
                except (BrokenLinkError, TimeoutError):
                    await asyncio.sleep(AGAIN_S)
            return self._link


class Impatience:
    """A caller that does not wait to the end: it hangs up, or takes its request back."""

    def __init__(self, after_s: float, *, hangs_up: bool) -> None:
        self.after_s = after_s
        self.hangs_up = hangs_up
