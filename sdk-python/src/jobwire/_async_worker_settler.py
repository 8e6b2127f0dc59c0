"""
The settler of an AsyncWorker: as `_worker_settler`, as a task of its event loop.

Everything but the awaits is in `_worker_settling` and `_worker_core`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from jobwire._errors import JobwireError
from jobwire._models import ItemResult
from jobwire._worker_core import Ack, Batch, Fail, GiveBack, Settlement, judge_error
from jobwire._worker_settling import (
    Ledger,
    ack_entries,
    fail_items,
    give_backs,
    items_of,
    repeat_reason,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire._async_client import AsyncClient
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
        self._client: AsyncClient | None = None
        self._filled = asyncio.Event()
        self._outbox: list[Settlement] = []

    def put(self, settlement: Settlement) -> None:
        """Have this sent as soon as the previous batch is answered."""
        self._outbox.append(settlement)
        self._filled.set()

    def doubt(self) -> None:
        """As Settler.doubt."""
        if self._client is not None:
            self._client._close_idle()

    async def run(self) -> None:
        """Send until cancelled. A bug ends it with its exception, and nothing is lost: its batch is taken up again."""
        async with self._connect() as self._client:
            while True:
                await self._filled.wait()
                taken, self._outbox = self._outbox, []
                self._filled.clear()
                try:
                    again, delay = await self._send_all(self._client, taken)
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
        batches = self._ledger.batches(taken, now, contact)
        for index, batch in enumerate(batches):
            try:
                results = await self._send(client, batch)
            except JobwireError as error:
                again += self._ledger.refused(batch, error)
                delay = max(delay, self._delay_after(error))
                if judge_error(error) == "again":
                    # The others would go by the same connection, to the same server.
                    return again + items_of(batches[index + 1 :]), delay
            else:
                again += self._ledger.answered(batch, results)
                delay = max(delay, self._delay_after(repeat_reason(results)))
        return again, delay

    def _delay_after(self, error: JobwireError | None) -> float:
        """How long to wait after a batch; *error* is why some of it has to be sent again."""
        if error is None or judge_error(error) != "again":
            self._link.answered(CHANNEL)  # a refusal is an answer
            return 0.0
        return self._link.failed(CHANNEL, error)

    async def _send(self, client: AsyncClient, batch: Batch) -> list[ItemResult]:
        if batch.kind is Ack:
            return await client.ack_batch(ack_entries(batch))
        if batch.kind is Fail and not self._ledger.sends_singly:
            return await client.fail_batch(fail_items(batch))
        if batch.kind is GiveBack:
            return [await self._send_one(client, item) for item in give_backs(batch)]
        # One item, or some of a server that has just been found to have no batches of failures.
        return [await self._send_one(client, item) for item in batch.items]

    async def _send_one(self, client: AsyncClient, item: Settlement) -> ItemResult:
        if isinstance(item, GiveBack):
            await client.release(item.job, delay=item.delay)
        elif isinstance(item, Fail):
            await client.fail(item.job, item.error, retry_in=item.retry_in, discard=item.discard)
        return ItemResult(id=item.job.id, ok=True)
