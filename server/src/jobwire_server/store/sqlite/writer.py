"""
The writer: group commit, and what happens when storage fails.

Goals: one COMMIT, and so one fsync, for everything that waits; a call that cannot be carried out harms no other.
Plan: a group runs in one transaction. If that fails, nothing of it was kept, and its calls run again one by one, each in a
      transaction of its own, so that only the culprit gets the error.
Warning: after a failed fsync nobody knows what is on the disk; there is no second try (guarantees C10).
"""

from __future__ import annotations

import logging
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import apsw

from jobwire_server.errors import StoreFull
from jobwire_server.store.sqlite import housekeeping
from jobwire_server.store.sqlite.changing import apply_all
from jobwire_server.store.sqlite.claiming import claim_all
from jobwire_server.store.sqlite.inserting import insert_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobwire_server.store.sqlite.health import Health
    from jobwire_server.store.sqlite.mover import Mover
    from jobwire_server.store.sqlite.session import Session
    from jobwire_server.store.sqlite.space import Ballast
    from jobwire_server.store.sqlite.worker import Answers, Call

_log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 1.0  # how often a full disk is looked at again

# A checkpoint comes when the WAL has this many pages: 16 MiB; a large one now and then is cheaper than a small one often. With a
# full disk the WAL must not grow into the space that the ballast gave back.
CHECKPOINT_PAGES: Final = 4_000
MOST_PAGES: Final = 4 * CHECKPOINT_PAGES
FULL_CHECKPOINT_PAGES: Final = 250

# Verbs whose calls share their statements, in the order in which they run: what was pushed can be pulled in the same transaction.
_SHARED: Final[tuple[tuple[str, Callable[..., list[Any]]], ...]] = (
    ("insert", insert_all),
    ("apply", apply_all),
    ("claim", claim_all),
)
_SINGLE: Final[dict[str, Callable[..., Any]]] = {
    "grace": housekeeping.grace,
    "prune": housekeeping.prune,
    "sweep": housekeeping.sweep,
    "check": housekeeping.beat,
    "set_queue": lambda session, name, fields: session.set_queue(name, fields),
}


class Writer:
    """Carries out groups of calls on the session; lives on the writer's thread."""

    def __init__(self, session: Session, mover: Mover, health: Health, ballast: Ballast) -> None:
        self._session = session
        self._mover = mover
        self._health = health
        self._ballast = ballast
        self._probed_at = 0.0

    def serve(self, calls: Sequence[Call]) -> Answers:
        """One answer a call, in order. Never raises."""
        answers = self._attempt(calls)
        if answers is None:
            answers = [self._alone(call) for call in calls]
        return answers

    def tidy(self) -> None:
        """When a group has been answered: a checkpoint, and a look at a full disk. Never raises."""
        if self._health.failed:
            return
        try:
            self._checkpoint()
            if self._health.is_full and monotonic() - self._probed_at >= PROBE_SECONDS:
                self._probe()
        except apsw.FullError:
            self._run_full()
        except Exception as error:  # noqa: BLE001 - whoever calls next gets it
            self._health.judge(error)

    def _checkpoint(self) -> None:
        """Step 1: the mover moves what there is. Step 2: the rest, which came meanwhile, is moved here."""
        if self._mover.take_moved() or self._must_move_all():
            self._session.checkpoint()
        elif self._session.wal_pages >= CHECKPOINT_PAGES and not self._mover.is_busy:
            self._mover.begin()

    def _must_move_all(self) -> bool:
        """A full disk has no room for a WAL; and one that outgrows the mover is brought to an end."""
        limit = FULL_CHECKPOINT_PAGES if self._health.is_full else MOST_PAGES
        return self._session.wal_pages >= limit and not self._mover.is_busy

    def idle_seconds(self) -> float | None:
        """How long to wait for a call before a look at the disk."""
        return PROBE_SECONDS if self._health.is_full and not self._health.failed else None

    # --- groups and single calls ---

    def _attempt(self, calls: Sequence[Call]) -> Answers | None:
        """The answers of a group; None when its calls must be tried one by one."""
        if self._health.failed or self._health.is_full:
            return None
        try:
            return self._commit(calls)
        except apsw.FullError:
            self._run_full()
        except Exception as error:  # noqa: BLE001 - each call gets its own error in _alone
            self._health.judge(error)
        return None

    def _alone(self, call: Call) -> Any:
        """The answer of one call, or the exception that it gets."""
        if self._health.failed:
            return self._health.failed
        if self._health.is_full and call.verb in ("insert", "check"):
            return StoreFull("the disk is full; nothing of this request was kept")
        try:
            return self._commit([call])[0]
        except apsw.FullError:
            self._run_full()
            return StoreFull("the disk is full; nothing of this request was kept")
        except Exception as error:  # noqa: BLE001 - handed to the caller
            return self._health.judge(error)

    def _commit(self, calls: Sequence[Call]) -> Answers:
        """Run the calls in one transaction; once more when a pushed id turned out to be known."""
        self._session.is_careful = False
        try:
            return self._session.transact(lambda: self._run(calls))
        except apsw.ConstraintError:
            self._session.is_careful = True
            return self._session.transact(lambda: self._run(calls))

    def _run(self, calls: Sequence[Call]) -> Answers:
        """
        Shared verbs go in their own order, but never past a single one: what was claimed or renewed by a clock that was set
        must not be moved by the grace that came before it (JW-TIME-2).
        """
        answers: Answers = [None] * len(calls)
        for is_single, places in groupby(range(len(calls)), lambda at: calls[at].verb in _SINGLE):
            if is_single:
                for place in places:
                    call = calls[place]
                    answers[place] = _SINGLE[call.verb](self._session, *call.arguments)
            else:
                self._run_shared(calls, list(places), answers)
        return answers

    def _run_shared(self, calls: Sequence[Call], among: Sequence[int], answers: Answers) -> None:
        for verb, run in _SHARED:
            places = [place for place in among if calls[place].verb == verb]
            if places:
                results = run(self._session, [calls[place].arguments for place in places])
                for place, result in zip(places, results, strict=True):
                    answers[place] = result

    # --- when storage fails ---

    def _run_full(self) -> None:
        """Give the ballast back, so that acks and reads go on; refuse pushes from now on."""
        if self._health.is_full:
            return
        _log.error("the disk is full: pushes are refused until there is space")
        self._health.is_full = True
        self._probed_at = monotonic()
        self._ballast.release()

    def _probe(self) -> None:
        """Push again when both the ballast and the file have room (guarantees C10: by itself, within 2 s)."""
        self._probed_at = monotonic()
        if not self._ballast.keep():
            return
        try:
            housekeeping.probe_space(self._session)
        except apsw.FullError:
            self._ballast.release()
            return
        self._health.is_full = False
        _log.warning("the disk has space again: pushes are accepted")
