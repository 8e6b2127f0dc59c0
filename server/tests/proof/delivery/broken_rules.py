"""The server with one of its rules broken on purpose, for the controls: `python -m tests.proof.delivery.broken_rules RULE serve …`."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace
from tests.proof.launched import Entry, entry

from jobwire_server import app, maintenance
from jobwire_server.cli import main
from jobwire_server.engine import decide
from jobwire_server.engine.flows import resolve_child
from jobwire_server.ids import IdMaker
from jobwire_server.model import Change, Job, PushItem, QueueSettings
from jobwire_server.operations import pushing
from jobwire_server.store.sqlite.session import Session

LATE_MS = 2_500


def any_lease() -> None:
    """Whoever names an active job speaks for it (T10)."""
    checked = decide._speaks_again

    def unchecked(operation: str, job: Job, _: str | None) -> bool:
        return checked(operation, job, None)

    decide._speaks_again = unchecked


def slow_and_deaf() -> None:
    """Leases and timeouts end late, and a heartbeat changes nothing (T12)."""
    elapse = decide.elapse

    def late(job: Job, now: int, u: float) -> Change | None:
        return elapse(job, now - LATE_MS, u)

    def unheard(job: Job, lease: str | None, _: int | None, now: int) -> decide.Decision:
        decide._speaks_again("heartbeat", job, lease)
        return decide._stays(job, now)

    maintenance.decide.elapse = late
    decide.heartbeat = unheard


def no_uniqueness() -> None:
    """Every push is a new job (T15)."""
    made, new_id = pushing.push_item, IdMaker().new

    def push_item(*arguments: Any) -> PushItem:
        item = made(*arguments)
        return replace(item, job=replace(item.job, id=new_id(), unique_key=None))

    pushing.push_item = push_item


def impatient_children() -> None:
    """The first parent that completes releases its child (T16)."""

    def resolve(child: Job, parent: Job, now: int) -> Change | None:
        return resolve_child(replace(child, pending_parents=1), parent, now)

    app.resolve_child = resolve


def forgotten_children() -> None:
    """A parent that ends does nothing to those that wait for it (T16)."""
    app.resolve_child = lambda *_: None


def forgotten_settings() -> None:
    """The settings of a queue are answered and never written (T18)."""

    def set_queue(session: Session, name: str, fields: Mapping[str, Any]) -> QueueSettings:
        settings = replace(session.settings_of(name), **fields)
        session._settings[name] = settings
        return settings

    Session.set_queue = set_queue


def any_order() -> None:
    """A pushed job stands anywhere among those of its priority (T27)."""
    made, chance = pushing.push_item, random.Random(1)

    def push_item(*arguments: Any) -> PushItem:
        item = made(*arguments)
        return replace(item, job=replace(item.job, position=chance.getrandbits(40)))

    pushing.push_item = push_item


RULES: dict[str, Callable[[], None]] = {
    rule.__name__: rule
    for rule in (
        any_lease,
        slow_and_deaf,
        no_uniqueness,
        impatient_children,
        forgotten_children,
        forgotten_settings,
        any_order,
    )
}


def broken(rule: Callable[[], None]) -> Entry:
    """For launched(): the server under one of RULES."""
    return entry("tests.proof.delivery.broken_rules", rule.__name__)


if __name__ == "__main__":
    RULES[sys.argv.pop(1)]()
    main()
