"""
The settler of an AsyncWorker: as `_worker_settler`, as a task of its event loop.

Everything but the awaits is in `_worker_settling` and `_worker_core`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobwire._errors import JobwireError
from jobwire._worker_core import Ack, Batch, Fail, Settlement, judge_error
from jobwire._worker_settling import (
    Ledger,
    ack_entries,
    fail_items,
    give_backs,
    item_result,
    repeat_reason,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobwire._async_client import AsyncClient
    from jobwire._models import ItemResult
    from jobwire._runtime import AsyncRuntime
    from jobwire._worker_link import SharedLink

CHANNEL: Final = "settle"


class AsyncSettler:
    """Sends settlements until the server has answered each of them, or its lease is over."""

    def __init__(
        self,
        connect: Callable[[], AsyncClient],
        ledger: Ledger,
        runtime: AsyncRuntime,
        link: SharedLink,
    ) -> None:
        self._connect = connect
        self._ledger = ledger
        self._runtime = runtime
        self._link = link
        self._filled = asyncio.Event()
        self._outbox: list[Settlement] = []
        self.heard_at = 0.0  # when the connection was made, or last brought an answer

    def put(self, settlement: Settlement) -> None:
        """Have this sent as soon as the previous batch is answered."""
        self._outbox.append(settlement)
        self._filled.set()

    async def run(self) -> None:
        """Send until cancelled. A bug ends it with its exception, and nothing is lost: its batch is taken up again."""
        async with self._connect() as client:
            self.heard_at = self._runtime.monotonic()
            while True:
                await self._filled.wait()
                taken, self._outbox = self._outbox, []
                self._filled.clear()
                try:
                    again, delay = await self._send_all(client, taken)
                except BaseException:
                    self._put_back(taken)
                    raise
                self._put_back(again)
                if delay:
                    await self._runtime.sleep(delay)

    def _put_back(self, settlements: list[Settlement]) -> None:
        if settlements:
            self._outbox[:0] = settlements
            self._filled.set()

    async def _send_all(
        self, client: AsyncClient, taken: list[Settlement]
    ) -> tuple[list[Settlement], float]:
        """What must be sent again, and how long to wait before that."""
        again: list[Settlement] = []
        delay = 0.0
        now, contact = self._runtime.monotonic(), self._link.last_contact
        for batch in self._ledger.batches(taken, now, contact):
            try:
                results = await self._send(client, batch)
            except JobwireError as error:
                again += self._ledger.refused(batch, error)
                delay = max(delay, self._delay_after(error))
            else:
                again += self._ledger.answered(batch, results)
                delay = max(delay, self._delay_after(repeat_reason(results)))
        return again, delay

    def _delay_after(self, error: JobwireError | None) -> float:
        """How long to wait after a batch; *error* is why some of it has to be sent again."""
        if error is None or judge_error(error) != "again":
            self._link.answered(CHANNEL)  # a refusal is an answer
            self.heard_at = self._runtime.monotonic()
            return 0.0
        return self._link.failed(CHANNEL, error)

    async def _send(self, client: AsyncClient, batch: Batch) -> list[ItemResult]:
        if batch.kind is Ack:
            return await client.ack_batch(ack_entries(batch))
        if batch.kind is Fail:
            return await self._fail(client, batch)
        return [
            await self._alone(item, client.release(item.job, delay=item.delay))
            for item in give_backs(batch)
        ]

    async def _fail(self, client: AsyncClient, batch: Batch) -> list[ItemResult]:
        items = fail_items(batch)
        if not self._ledger.sends_singly:
            return await client.fail_batch(items)
        return [
            await self._alone(
                sent,
                client.fail(sent.job, item.error, retry_in=item.retry_in, discard=item.discard),
            )
            for sent, item in zip(batch.items, items, strict=True)
        ]

    async def _alone(self, item: Settlement, call: Awaitable[object]) -> ItemResult:
        """Send one item; errors that concern it alone become its result, so that the others go on."""
        try:
            await call
        except JobwireError as error:
            return item_result(item.job, error)
        return item_result(item.job)
