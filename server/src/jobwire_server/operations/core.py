"""What every operation needs, in one hand: the store, the clock, ids, chance, the bus, the options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jobwire_server.model import ANSWER_BYTES
from jobwire_server.wire import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobwire_server.clock import Clock
    from jobwire_server.events import EventBus
    from jobwire_server.store.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefaults:
    """What a push means by leaving a field out; durations in ms."""

    max_attempts: int = limits.DEFAULT_MAX_ATTEMPTS
    backoff: str = limits.DEFAULT_BACKOFF
    backoff_delay_ms: int = limits.DEFAULT_BACKOFF_DELAY_MS
    backoff_max_ms: int = limits.DEFAULT_BACKOFF_MAX_MS
    jitter: float = limits.DEFAULT_JITTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may set about operations; durations in ms."""

    require_lease: bool = False
    job: JobDefaults = JobDefaults()
    lease_ms: int = limits.DEFAULT_LEASE_MS
    heartbeat_ms: int = limits.DEFAULT_HEARTBEAT_MS
    retention_ms: dict[str, int] = field(
        default_factory=lambda: {
            "completed": limits.DEFAULT_RETENTION_COMPLETED_MS,
            "dlq": limits.DEFAULT_RETENTION_DLQ_MS,
            "cancelled": limits.DEFAULT_RETENTION_CANCELLED_MS,
        }
    )
    tombstone_ms: int = limits.DEFAULT_TOMBSTONE_MS
    max_answer_bytes: int = ANSWER_BYTES  # of the jobs in one answer (JW-PULL-18, JW-LIMIT-7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    store: Store
    clock: Clock
    new_id: Callable[[], str]
    random: Callable[[], float]
    bus: EventBus
    options: Options


@dataclass(slots=True, eq=False)
class Caller:
    """
    Who asks: the door, the address, and, for a TCP connection of version 2, how to tell it something unasked.

    `notify` gets the members of a notice and must not block.
    """

    door: Literal["http", "tcp1", "tcp2"]
    peer: str
    client: str | None = None
    notify: Callable[[dict[str, Any]], None] | None = None
