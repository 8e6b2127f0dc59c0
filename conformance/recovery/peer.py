"""One SDK on one door: its client pushes, its worker works, and what became of both is written down."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from conformance.recovery.hands import HANG, WORK
from conformance.recovery.plan import LEASE_MS
from conformance.recovery.route import Route
from conformance.runner.driver import Refused

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from conformance.recovery.hands import Hands
    from conformance.recovery.server import Server
    from conformance.runner.driver import Driver

_PACE_S: Final = 0.2  # between two pushes of the load
_TIMEOUT_MS: Final = 3_000  # of the producer, for a try; the worker has what is the default
_LOOK_S: Final = 0.05  # between two looks whether a job is done
_CONCURRENCY: Final = 4


class Peer:
    """
    `begin`, faults with `probe` and `cancel` after them, `rest`, `lost`, `end`.

    Its producer and its worker have a client each, on the same route.

    Attributes:
        back: Fault → seconds from its end to the next job that was done; infinite when there was none.
        cancels: Seconds from asking for a cancel to the handler that is told; infinite when it was not.
        acked: Jobs whose push was answered.
        refused: Pushes that raised an error, by its class and code.
    """

    def __init__(
        self, sdk: str, door: str, driver: Driver, hands: Hands, patience_s: float
    ) -> None:
        self.sdk, self.door = sdk, door
        self.driver, self._hands = driver, hands
        self.client, self._worker = f"producer-{door}", f"worker-{door}"
        self.queue = f"{sdk}-{door}"
        self.route = Route(self.queue)
        self._patience_s = patience_s
        self._load: asyncio.Task[None] | None = None
        self._pushes: list[asyncio.Task[None]] = []
        self.back: defaultdict[str, list[float]] = defaultdict(list)
        self.cancels: list[float] = []
        self.acked: list[str] = []
        self.refused: defaultdict[str, int] = defaultdict(int)

    async def begin(self, server: Server) -> Self:
        await self.route.open(server.address(self.door))
        url = f"{self.door}://127.0.0.1:{self.route.port}"
        consumer = f"consumer-{self.door}"
        await self.driver.ask("new", obj=consumer, kind="client", args={"url": url})
        producer = {"url": url, "timeout_ms": _TIMEOUT_MS}
        await self.driver.ask("new", obj=self.client, kind="client", args=producer)
        worker: dict[str, Any] = {"client": consumer, "queues": [self.queue]}
        worker |= {"concurrency": _CONCURRENCY, "lease_ms": LEASE_MS, "handlers": [WORK, HANG]}
        await self.driver.ask("new", obj=self._worker, kind="worker", args=worker)
        await self.driver.ask("call", obj=self._worker, method="start", args={})
        self._load = asyncio.create_task(self._push_on())
        return self

    async def rest(self) -> None:
        """Push no more, and wait until every push has come to its end."""
        assert self._load is not None
        self._load.cancel()
        await asyncio.gather(*self._pushes)

    async def end(self) -> None:
        """Whatever state it is in; the driver is ended by whoever has started it."""
        if self._load is not None:
            self._load.cancel()
        await self.route.end()

    # --- load -------------------------------------------------------------------------------------------------------

    async def _push_on(self) -> None:
        """One push after another, also while those before it wait for a server."""
        while True:
            self._pushes = [each for each in self._pushes if not _is_over(each)]
            self._pushes.append(asyncio.create_task(self._push_one()))
            await asyncio.sleep(_PACE_S)

    async def _push_one(self) -> None:
        job_id = str(uuid4())
        args = {"queue": self.queue, "name": WORK, "data": job_id, "id": job_id}
        try:
            await self._call(self.client, "push", args)
        except Refused as refused:
            self.refused[f"{refused.error['class']} {refused.error['code'] or ''}".strip()] += 1
        else:
            self.acked.append(job_id)

    async def _call(self, obj: str, method: str, args: dict[str, Any]) -> Any:
        """One call, for as long as the SDK takes."""
        _, future = await self.driver.begin("call", obj=obj, method=method, args=args)
        return await future

    # --- what is measured -------------------------------------------------------------------------------------------

    async def probe(self, server: Server, since: float) -> float:
        """Push a job past the SDK; the seconds from *since* until it is done, infinite when it is not."""
        return await self._within(self._done(server)) - since

    async def _done(self, server: Server) -> float:
        job_id = await server.push(self.queue, WORK)
        while True:
            if await server.state(job_id) == "completed":
                return time.monotonic()
            await asyncio.sleep(_LOOK_S)

    async def cancel(self, server: Server) -> float:
        """Cancel a job whose handler hangs; the seconds until the handler is told, infinite when it is not."""
        job_id = await server.push(self.queue, HANG)
        return await self._within(self._cancelled(server, job_id))

    async def _cancelled(self, server: Server, job_id: str) -> float:
        token = await self._hands.hangs(job_id)
        asked = time.monotonic()
        await server.cancel(job_id)
        reason, told = await self._hands.stopped(token)
        return told - asked if reason == "cancel" else math.inf

    async def _within(self, measured: Coroutine[Any, Any, float]) -> float:
        """What it comes to; infinite when it does not within the patience."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await measured
        except (TimeoutError, AssertionError):
            return math.inf

    # --- at the end -------------------------------------------------------------------------------------------------

    async def lost(self, server: Server) -> list[str]:
        """The jobs whose push was answered and that were never done, once the queue has had its time."""
        await self._within(self._idle(server))
        return [each for each in self.acked if await server.state(each) != "completed"]

    async def _idle(self, server: Server) -> float:
        while True:
            if not await server.unfinished(self.queue):
                return time.monotonic()
            await asyncio.sleep(_LOOK_S)

    @property
    def again(self) -> int:
        """Jobs of the load that were handled more than once."""
        return sum(self._hands.entered[each] > 1 for each in self.acked)


def _is_over(push: asyncio.Task[None]) -> bool:
    """Raises what no push may raise."""
    if push.done():
        push.result()
    return push.done()
