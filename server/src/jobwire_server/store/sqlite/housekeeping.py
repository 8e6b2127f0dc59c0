"""What only time and operators ask for: grace, prune, sweep, the proof of life."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from jobwire_server.model import TERMINAL
from jobwire_server.store import images
from jobwire_server.store.sqlite.queries import SQL

if TYPE_CHECKING:
    from jobwire_server.store.sqlite.session import Session

GRACE_ROWS: Final = 500  # active jobs read at a time


def grace(session: Session, now: int, shift: int) -> int:
    """Give every active job time; see Store.grace."""
    session.flush()
    seqs = session.listed("active_seqs")
    changed = 0
    for start in range(0, len(seqs), GRACE_ROWS):
        part = json.dumps(seqs[start : start + GRACE_ROWS])
        for seq, job in session.pairs("jobs_by_seq", part):
            after = images.shifted(job, shift) if shift else images.graced(job, now)
            if after is not job:
                session.change(seq, job.revision, job.state, after)
                changed += 1
    return changed


def prune(session: Session, queue: str, state: str, before: int, limit: int) -> int:
    """Delete finished jobs; see Store.prune."""
    if state not in TERMINAL:
        raise ValueError(f"only finished jobs are pruned, not {state}")
    session.flush()
    found = session.listed("ended_seqs", queue, state, before, limit)
    session.delete(found)
    for _ in found:
        session.discount(queue, state)
    return len(found)


def sweep(session: Session, now: int, tombstone_ms: int, limit: int) -> int:
    """Forget tombstones, then windows of unique keys, then claims; see Store.sweep."""
    session.flush()
    stones = session.listed("old_tombstones", now - tombstone_ms, limit)
    session.delete(stones)
    done = len(stones)
    for name in ("sweep_keys", "sweep_claims"):
        session.connection.execute(SQL[name], (now, limit - done))
        done += session.connection.changes()
    return done


def beat(session: Session, now: int) -> None:
    """Write something, to prove that the store can."""
    session.connection.execute(SQL["beat"], (now,))


def probe_space(session: Session) -> None:
    """Raise apsw.FullError when the file cannot grow. Leaves nothing."""
    session.connection.execute("BEGIN IMMEDIATE")
    try:
        session.connection.execute(SQL["grow"])
    finally:
        if session.connection.in_transaction:
            session.connection.execute("ROLLBACK")
