"""
What stands between the doors of the fake server and its queue: the lock, waiting requests, faults, and the record of calls.

Everything that changes happens under one condition, and each change wakes all who wait.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobwire.testing._fake_json import plain
from jobwire.testing._fake_operations import Answer, Caller, FakeOperations, is_empty_handed

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from jobwire.testing._fake_job import Refused
    from jobwire.testing._fake_queue import FakeQueue

WAITING: Final = frozenset({"pull", "heartbeat_batch"})


class Call(NamedTuple):
    """One request that reached the fake: the operation, its fields as sent, and the door."""

    operation: str
    fields: dict[str, Any]
    door: str


@dataclass(slots=True)
class Waiter:
    """A request that may be held; `ended` answers it as though its wait had run out."""

    is_alive: Callable[[], bool] = lambda: True  # whether its connection can still take an answer
    ended: bool = False
    request_id: str | None = None  # of a pull

    def is_over(self) -> bool:
        return self.ended or not self.is_alive()


@dataclass(slots=True)
class Faults:
    """What goes wrong next. Each entry is used once."""

    dropped_answers: dict[str, int] = field(default_factory=dict)
    swallowed: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, deque[Refused]] = field(default_factory=dict)


class Dropped(Exception):  # noqa: N818 - a fault, not an error
    """The request was carried out, and its answer must not be sent: the door closes the connection."""


class Swallowed(Exception):  # noqa: N818 - a fault, not an error
    """The request is neither carried out nor answered, as behind a network that lost its way; the connection stays."""


class FakeService:
    """The queue under one lock. `deliver` sends a notice to a TCP session; it is called with the lock held."""

    def __init__(self, queue: FakeQueue, token: str | None = None) -> None:
        self.queue = queue
        self.operations = FakeOperations(queue)
        self.token = token
        self.changed = threading.Condition()
        self.calls: list[Call] = []
        self.faults = Faults()
        self.waiters: list[Waiter] = []
        self.deliver: Callable[[Any, dict[str, Any]], None] = lambda session, notice: None

    def handle(
        self,
        operation: str,
        fields: dict[str, Any],
        caller: Caller,
        waiter: Waiter | None = None,
    ) -> Answer:
        """
        Carry out one request, holding it while it may wait.

        Raises Refused for an error answer, and Dropped or Swallowed when a fault says so.
        """
        with self.changed:
            self.calls.append(Call(operation, plain(fields), caller.door))
            self.changed.notify_all()
            self._fail_by_fault(operation)
            answer = self.operations.run(operation, fields, caller)
            if operation == "pull":
                self._send_away(fields.get("request_id"))
            if operation in WAITING and is_empty_handed(operation, answer):
                answer = self._wait(operation, fields, caller, answer, waiter or Waiter())
            self._publish()
            self._drop_by_fault(operation)
            return answer

    def change(self, action: Callable[[FakeQueue], Any]) -> Any:
        """Do something to the queue from outside (the clock, a test), and wake all who wait."""
        with self.changed:
            result = action(self.queue)
            self._publish()
            return result

    def end_waits(self) -> None:
        """Answer every held request as though its wait had run out."""
        with self.changed:
            for waiter in self.waiters:
                waiter.ended = True
            self.changed.notify_all()

    def drain(self) -> None:
        """Take no more work, and end every held request."""
        with self.changed:
            self.operations.draining = True
            self.end_waits()

    def wait_until(self, claim: Callable[[], bool], timeout: float) -> bool:
        """Wait until *claim* holds; it is asked again after each request and each change."""
        with self.changed:
            return self.changed.wait_for(claim, timeout)

    def _send_away(self, request_id: str | None) -> None:
        """Whoever asks again has left the pull that waits: what that took now, nobody would have (JW-PULL-11)."""
        if request_id is None:
            return
        for waiter in self.waiters:
            waiter.ended = waiter.ended or waiter.request_id == request_id
        self.changed.notify_all()

    def _wait(
        self,
        operation: str,
        fields: dict[str, Any],
        caller: Caller,
        answer: Answer,
        waiter: Waiter,
    ) -> Answer:
        """Hold the request until there is something to say, or its wait is over on the real or the virtual clock."""
        wait_ms = fields.get("wait_ms") or 0
        virtual_end, real_end = self.queue.now + wait_ms, time.monotonic() + wait_ms / 1000
        waiter.request_id = fields.get("request_id")
        self.waiters.append(waiter)
        try:
            while is_empty_handed(operation, answer):
                left = real_end - time.monotonic()
                if left <= 0 or self.queue.now >= virtual_end or waiter.ended:
                    break
                self.changed.wait(left)
                if waiter.is_over():
                    break  # nothing is claimed for a connection that is gone
                answer = self._again(operation, fields, caller, answer)
        finally:
            self.waiters.remove(waiter)
        return answer

    def _again(
        self, operation: str, fields: dict[str, Any], caller: Caller, answer: Answer
    ) -> Answer:
        if operation == "pull":
            return self.operations.run(operation, fields, caller)
        # Not the whole operation: a held heartbeat renews its leases once, when it comes.
        return self.operations.add_news(answer, fields["worker"]["id"])

    def _publish(self) -> None:
        notices, self.queue.notices = self.queue.notices, []
        for session, notice in notices:
            self.deliver(session, notice)
        self.changed.notify_all()

    def _fail_by_fault(self, operation: str) -> None:
        if self._used(self.faults.swallowed, operation):
            raise Swallowed(operation)
        refusals = self.faults.refusals.get(operation)
        if refusals:
            raise refusals.popleft()

    def _drop_by_fault(self, operation: str) -> None:
        if self._used(self.faults.dropped_answers, operation):
            raise Dropped(operation)

    def _used(self, planned: dict[str, int], operation: str) -> bool:
        left = planned.get(operation, 0)
        planned[operation] = max(left - 1, 0)
        return left > 0
