"""
The settler of a threaded worker: one thread with one connection that tells the server how jobs ended, many at a time.

While a batch is on its way, what ends meanwhile gathers, and leaves as the next batch. A single outcome leaves at once.
"""

from __future__ import annotations

import threading
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
    from collections.abc import Callable

    from jobwire._client import Client
    from jobwire._models import ItemResult
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
        self._client: Client | None = None  # None once it was left
        self._heard_at = 0.0  # when the connection was made, or last brought an answer

    def put(self, settlement: Settlement) -> None:
        """Have this sent as soon as the previous batch is answered."""
        with self._changed:
            self._outbox.append(settlement)
            self._changed.notify()

    def stop(self) -> None:
        """End `run` soon, sent or not. Idempotent."""
        with self._changed:
            self._stopped.set()
            self._changed.notify()
        client = self._client
        if client is not None:
            client.close()

    def leave_if_silent_since(self, instant: float) -> None:
        """
        Have outcomes sent over a new connection, also those on their way, unless the old one brought an answer since then.

        A repeat is safe, for it has the same lease.
        """
        with self._changed:
            client = self._client
            if client is None or self._heard_at >= instant:
                return
            self._client = None
            self._changed.notify()
        client.close()

    def run(self) -> None:
        """Send until `stop`. A bug ends it with its exception, and nothing is lost: its batch is taken up again."""
        while not self._stopped.is_set():
            with self._connect() as client:
                with self._changed:
                    self._client, self._heard_at = client, self._runtime.monotonic()
                self._send_over(client)

    def _send_over(self, client: Client) -> None:
        """Send until `stop`, or until the connection is left."""
        while taken := self._take(client):
            try:
                again, delay = self._send_all(client, taken)
            except BaseException:
                self._put_back(taken)
                raise
            self._put_back(again)
            self._pause(delay)

    def _take(self, client: Client) -> list[Settlement]:
        def must_end() -> bool:
            return self._stopped.is_set() or self._client is not client

        with self._changed:
            self._changed.wait_for(lambda: self._outbox or must_end())
            if must_end():
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
        for batch in self._ledger.batches(taken, now, contact):
            try:
                results = self._send(client, batch)
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
            self._heard_at = self._runtime.monotonic()
            return 0.0
        closed_by_us = self._stopped.is_set() or error.code == "CLIENT_CLOSED"
        return 0.0 if closed_by_us else self._link.failed(CHANNEL, error)

    def _send(self, client: Client, batch: Batch) -> list[ItemResult]:
        if batch.kind is Ack:
            return client.ack_batch(ack_entries(batch))
        if batch.kind is Fail:
            return self._fail(client, batch)
        return [self._alone(item, client.release, delay=item.delay) for item in give_backs(batch)]

    def _fail(self, client: Client, batch: Batch) -> list[ItemResult]:
        items = fail_items(batch)
        if not self._ledger.sends_singly:
            return client.fail_batch(items)
        return [
            self._alone(
                sent, client.fail, error=item.error, retry_in=item.retry_in, discard=item.discard
            )
            for sent, item in zip(batch.items, items, strict=True)
        ]

    def _alone(
        self, item: Settlement, call: Callable[..., object], **arguments: object
    ) -> ItemResult:
        """Send one item; errors that concern it alone become its result, so that the others go on."""
        try:
            call(item.job, **arguments)
        except JobwireError as error:
            return item_result(item.job, error)
        return item_result(item.job)

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._runtime.pause(seconds, self._stopped)
