"""
The settler of a threaded worker: one thread with one connection that tells the server how jobs ended, many at a time.

While a batch is on its way, what ends meanwhile gathers, and leaves as the next batch. A single outcome leaves at once.
"""

from __future__ import annotations

import threading
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

    from jobwire._client import Client
    from jobwire._runtime import Runtime
    from jobwire._worker_link import SharedLink

CHANNEL: Final = "settle"


class Settler:
    """Sends settlements until the server has answered each of them, or its lease is over."""

    def __init__(
        self, connect: Callable[[], Client], ledger: Ledger, runtime: Runtime, link: SharedLink
    ) -> None:
        self._connect = connect
        self._ledger = ledger
        self._runtime = runtime
        self._link = link
        self._changed = threading.Condition()
        self._outbox: list[Settlement] = []
        self._stopped = threading.Event()
        self._client: Client | None = None

    def put(self, settlement: Settlement) -> None:
        """Have this sent as soon as the previous batch is answered."""
        with self._changed:
            self._outbox.append(settlement)
            self._changed.notify()

    def doubt(self) -> None:
        """
        A connection of this worker was found dead. One of its silence is found out by itself, but takes its time for that:
        what is sent next takes a new one.
        """
        client = self._client
        if client is not None:
            client._close_idle()

    def stop(self) -> None:
        """End `run` soon, sent or not. Idempotent."""
        with self._changed:
            self._stopped.set()
            self._changed.notify()
        client = self._client
        if client is not None:
            client.close()

    def run(self) -> None:
        """Send until `stop`. A bug ends it with its exception, and nothing is lost: its batch is taken up again."""
        with self._connect() as self._client:
            while taken := self._take():
                try:
                    again, delay = self._send_all(self._client, taken)
                except BaseException:
                    self._put_back(taken)
                    raise
                self._put_back(again)
                self._pause(delay)

    def _take(self) -> list[Settlement]:
        with self._changed:
            self._changed.wait_for(lambda: self._outbox or self._stopped.is_set())
            if self._stopped.is_set():
                return []
            taken, self._outbox = self._outbox, []
            return taken

    def _put_back(self, settlements: list[Settlement]) -> None:
        with self._changed:
            self._outbox[:0] = settlements

    def _send_all(self, client: Client, taken: list[Settlement]) -> tuple[list[Settlement], float]:
        """What must be sent again, and how long to wait before that."""
        again: list[Settlement] = []
        delay = 0.0
        now, contact = self._runtime.monotonic(), self._link.last_contact
        batches = self._ledger.batches(taken, now, contact)
        for index, batch in enumerate(batches):
            try:
                results = self._send(client, batch)
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
        return 0.0 if self._stopped.is_set() else self._link.failed(CHANNEL, error)

    def _send(self, client: Client, batch: Batch) -> list[ItemResult]:
        if batch.kind is Ack:
            return client.ack_batch(ack_entries(batch))
        if batch.kind is Fail and not self._ledger.sends_singly:
            return client.fail_batch(fail_items(batch))
        if batch.kind is GiveBack:
            return [self._send_one(client, item) for item in give_backs(batch)]
        # One item, or some of a server that has just been found to have no batches of failures.
        return [self._send_one(client, item) for item in batch.items]

    def _send_one(self, client: Client, item: Settlement) -> ItemResult:
        if isinstance(item, GiveBack):
            client.release(item.job, delay=item.delay)
        elif isinstance(item, Fail):
            client.fail(item.job, item.error, retry_in=item.retry_in, discard=item.discard)
        return ItemResult(id=item.job.id, ok=True)

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._runtime.pause(seconds, self._stopped)
