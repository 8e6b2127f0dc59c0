"""T18: settings of queues that are changed and answered, kill -9, and what the next process makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

from tests.proof.delivery.doors import Answer, Door, code_of, ok, open_doors
from tests.proof.launched import Launched

UNFINISHED: Final = ("waiting", "delayed", "blocked", "active")
DEFAULT_LEASE_MS: Final = 30_000
QUEUES: Final = tuple(f"settings-{number}" for number in range(12))
# What may be set (wire.yaml, QueueSettings), and values of it: some that soon tell in what the queue does.
BOUNDS: Final = {
    "lease_ms": (1_000, 43_200_000),
    "max_length": (1, 4),
    "retention_completed_ms": (0, 3_155_760_000_000),
    "retention_dlq_ms": (0, 3_155_760_000_000),
    "retention_cancelled_ms": (0, 3_155_760_000_000),
}
PAUSES: Final = ("push", "pull", "both")


@dataclass(slots=True)
class Queue:
    """What a queue was told, in the last word that was answered."""

    name: str
    paused: str | None = None
    settings: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(BOUNDS))


@dataclass(slots=True)
class Kept:
    changes: int = 0  # answered
    kills: int = 0
    looks: int = 0  # at queues, and at what they do with a push and a pull
    lost: list[str] = field(default_factory=list)  # what was not as it had been told


def run(server: Launched, chance: Random, kills: int, changes: int) -> Kept:
    """`changes` before each kill, which follows the last answer at once."""
    queues = {name: Queue(name) for name in QUEUES}
    kept = Kept()
    for _ in range(kills):
        with open_doors(server, 2) as doors:
            for _ in range(changes):
                change(chance.choice(doors), queues[chance.choice(QUEUES)], chance)
            server.kill()
        server.start()
        kept.changes += changes
        kept.kills += 1
        with open_doors(server, 2) as doors:
            for queue in queues.values():
                kept.lost += [text for look in LOOKS for text in look(chance.choice(doors), queue)]
                kept.looks += len(LOOKS)
    return kept


# ── Changes ──


def change(door: Door, queue: Queue, chance: Random) -> None:
    chance.choice((pause, resume, update, update, update))(door, queue, chance)


def pause(door: Door, queue: Queue, chance: Random) -> None:
    mode = chance.choice(PAUSES)
    ok(door.call("queue_pause", queue=queue.name, mode=mode))
    queue.paused = mode


def resume(door: Door, queue: Queue, _: Random) -> None:
    ok(door.call("queue_resume", queue=queue.name))
    queue.paused = None


def update(door: Door, queue: Queue, chance: Random) -> None:
    """Some settings, now and then back to the default."""
    names = chance.sample(sorted(BOUNDS), chance.randint(1, len(BOUNDS)))
    said = {name: _value(name, chance) for name in names}
    ok(door.call("queue_update", queue=queue.name, **said))
    queue.settings.update(said)


def _value(name: str, chance: Random) -> int | None:
    """A bound, something between, or the default."""
    low, high = BOUNDS[name]
    return chance.choice((None, low, high, chance.randint(low, high), chance.randint(low, high)))


# ── What is left of them ──


def differences(door: Door, queue: Queue) -> Iterator[str]:
    shown = ok(door.call("queue", queue=queue.name))["queue"]
    if (shown["paused"], shown["settings"]) != (queue.paused, queue.settings):
        yield f"{queue.name} is {shown['paused']} {shown['settings']}, not {queue.paused} {queue.settings}"


def wrong_push(door: Door, queue: Queue) -> Iterator[str]:
    """A push into a queue that is paused for it, or full, is refused; any other is not."""
    counts = ok(door.call("queue", queue=queue.name))["queue"]["counts"]
    unfinished = sum(counts[state] for state in UNFINISHED)
    limit = queue.settings["max_length"]
    is_full = limit is not None and unfinished >= limit
    refused = "QUEUE_FULL" if is_full else "ok"
    expected = "QUEUE_PAUSED" if queue.paused in ("push", "both") else refused
    seen = code_of(door.call("push", queue=queue.name, name="proof"))
    if seen != expected:
        yield f"{queue.name}, {queue.paused}, {unfinished} of {limit}: {seen}, not {expected}"


def wrong_pull(door: Door, queue: Queue) -> Iterator[str]:
    """A queue that is paused for pulls gives nothing; another gives leases of its length."""
    job: Answer | None = door.call("pull", queue=queue.name)["job"]
    if job is None:
        return
    if queue.paused in ("pull", "both"):
        yield f"{queue.name} is paused for pulls and gave a job"
    expected = queue.settings["lease_ms"] or DEFAULT_LEASE_MS
    length = ms_of(job["lease_expires_at"]) - ms_of(job["started_at"])
    if length != expected:
        yield f"{queue.name} gave a lease of {length} ms, not {expected}"
    ok(door.call("ack", id=job["id"], lease=job["lease"]))


def ms_of(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


Effect = Callable[[Door, Queue], Iterator[str]]
LOOKS: Final[tuple[Effect, ...]] = (differences, wrong_push, wrong_pull)
