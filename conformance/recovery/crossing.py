"""
Concurrent calls of one client while its connections are cut and its callers give up: each answer has to be that of its own call.

Pushes and reads of jobs whose data is their own id tell it; the calls that wait make answers come in another order than that of the
questions, and those that are given up leave answers behind that nobody wants any more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from conformance.runner.driver import Refused

if TYPE_CHECKING:
    from conformance.recovery.peer import Peer
    from conformance.recovery.plan import Plan

_CUT_EVERY: Final = 150  # calls
_GIVE_UP_MS: Final = 20
_SHOWN: Final = 5
_LIMIT_S: Final = 120.0  # for one call, which is far more than its retries may take


@dataclass(slots=True)
class Crossing:
    """
    What became of the calls: answered with their own answer, with that of another, or not at all.

    `failed` and `given_up` are errors that ask to be repeated, of calls with all their repeats and of those with a short time and none.
    Any other error is one that no such call can have, and so the answer to another.
    """

    right: int = 0
    crossed: int = 0
    given_up: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)  # what the first that were crossed got

    @property
    def calls(self) -> int:
        return self.right + self.crossed + self.given_up + self.failed


class Caller:
    """`run` makes so many calls, so many of them at once, and cuts the connections now and then."""

    def __init__(self, peer: Peer, plan: Plan, calls: int) -> None:
        self._peer = peer
        self._left = calls
        self._begun = 0
        self._queue = f"{peer.queue}-crossing"
        self._in_flight = plan.in_flight
        self._jobs = [str(uuid4())]
        self.found = Crossing()

    async def run(self) -> Crossing:
        await self._call("push", self._pushed(self._jobs[0]), {})
        await asyncio.gather(*(self._go_on() for _ in range(self._in_flight)))
        return self.found

    async def _go_on(self) -> None:
        while self._left:
            self._left -= 1
            self._begun += 1
            if self._begun % _CUT_EVERY == 0:
                self._peer.route.cut("rst" if self._begun % 2 else "fin")
            await self._one(self._begun)

    async def _one(self, number: int) -> None:
        """Every fourth call waits, the others push or read; every fourth has so little time that it is given up."""
        gives_up = number % 8 in (3, 6)
        opts = {"timeout_ms": _GIVE_UP_MS, "retries": 0} if gives_up else {}
        try:
            wrong = await self._kind(number)(opts)
        except Refused as refused:
            if refused.error["retryable"]:
                self.found.given_up += gives_up
                self.found.failed += not gives_up
                return
            wrong = str(refused)
        if wrong is None:
            self.found.right += 1
        else:
            self.found.crossed += 1
            self.found.wrong = [*self.found.wrong, str(wrong)[:300]][:_SHOWN]

    def _kind(self, number: int) -> Any:
        if number % 4 == 0:
            return self._wait
        return self._push if number % 2 else self._read

    async def _push(self, opts: dict[str, Any]) -> Any:
        """What came in place of the answer; None when it was the answer. So do the next two."""
        job_id = str(uuid4())
        answer = await self._call("push", self._pushed(job_id), opts)
        self._jobs.append(job_id)
        return None if _member(answer, "id") == job_id else answer

    async def _read(self, opts: dict[str, Any]) -> Any:
        job_id = self._jobs[self._begun * 7919 % len(self._jobs)]
        answer = await self._call("get_job", {"job": job_id}, opts)
        return None if _member(answer, "id") == job_id == _member(answer, "data") else answer

    async def _wait(self, opts: dict[str, Any]) -> Any:
        """A pull that waits in vain, so that what is asked after it is answered before it."""
        args = {"queues": [f"{self._queue}-empty"], "wait_ms": 20}
        answer = await self._call("pull", args, opts)
        return None if answer == [] else answer

    def _pushed(self, job_id: str) -> dict[str, Any]:
        return {"queue": self._queue, "name": "n", "data": job_id, "id": job_id}

    async def _call(self, method: str, args: dict[str, Any], opts: dict[str, Any]) -> Any:
        more = {"opts": opts} if opts else {}
        _, future = await self._peer.driver.begin(
            "call", obj=self._peer.client, method=method, args=args, **more
        )
        async with asyncio.timeout(_LIMIT_S):
            return await future


def _member(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None
