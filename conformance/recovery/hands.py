"""Handlers of the workers in one driver: each ends its job at once, but those of jobs that are to hang."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from conformance.runner.driver import Driver

WORK: Final = "work"
HANG: Final = "hang"


class Hands:
    """
    Takes every message of a handler, from `__aenter__` to `__aexit__`.

    Attributes:
        entered: How often a handler was entered, by job.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._task: asyncio.Task[None] | None = None
        self._hanging: dict[str, asyncio.Future[str]] = {}  # job → the token of its handler
        self.entered: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        (ended,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _work(self) -> None:
        while True:
            try:
                said = await self._driver.next(lambda message: message["t"] == "job", "a job")
            except AssertionError:
                continue  # there was no job for a while
            await self._handle(said["job"], said["token"])

    async def _handle(self, job: dict[str, Any], token: str) -> None:
        self.entered[job["id"]] += 1
        if job["name"] == WORK:
            await self._driver.tell("job.resolve", token=token, **{"as": "ok"}, value=None)
            return
        await self._driver.tell("job.resolve", token=token, **{"as": HANG}, value=None)
        hanging = self._token_of(job["id"])
        if not hanging.done():
            hanging.set_result(token)

    def _token_of(self, job_id: str) -> asyncio.Future[str]:
        return self._hanging.setdefault(job_id, asyncio.get_running_loop().create_future())

    async def hangs(self, job_id: str) -> str:
        """Wait until the handler of the job hangs; its token."""
        return await self._token_of(job_id)

    async def stopped(self, token: str) -> tuple[str | None, float]:
        """Why the handler was told to stop, and when; it then gives up."""
        event = await self._driver.next(
            lambda message: (message["t"], message.get("token")) == ("event", token),
            f"the end of {token}",
        )
        at = time.monotonic()
        if event["event"] == "done":  # where the language does not end it, it ends itself
            await self._driver.tell("job.resolve", token=token, **{"as": "check"}, value=None)
        return event["reason"], at
