"""
What happened, told to whoever listens: waiting pulls, connections that hold a lease, metrics.

Events are published after the store has made them durable, a batch at a time, on the event loop. A listener must not block and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from jobwire_server.model import Job


class Event(msgspec.Struct, frozen=True, gc=False):
    """`name` is job.<past participle>; `job` is the job after it."""

    name: str
    job: Job


Listener = Callable[[Sequence[Event]], None]


class EventBus:
    """Calls every listener with every batch of events, in the order of subscription."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, events: Sequence[Event]) -> None:
        if events:
            for listener in self._listeners:
                listener(events)
