"""
One write transaction after another, over the writer's connection.

Goals: few statements a transaction, whatever the number of jobs, and nothing in memory that a rollback would leave behind.
Plan: verbs note rows that are to be written (`add`, `change`, `hold_key` …), and `flush` writes them in a few statements, before the
      next statement that could see them and before the commit. Counts are noted as deltas and shown after the commit.
Warning: whoever reads jobs or keys in a transaction must flush first.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import closing, contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
from msgspec.structs import replace

from jobwire_server.errors import StoreFailed
from jobwire_server.model import TERMINAL, UNFINISHED, Job, JobState, QueueSettings
from jobwire_server.store.sqlite.heads import Heads
from jobwire_server.store.sqlite.queries import SIZES, SQL, WIDTHS, sized
from jobwire_server.store.sqlite.reading import Rows, texts
from jobwire_server.store.sqlite.rows import (
    change_values,
    insert_values,
    is_big,
    plain_values,
    rewrite_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from jobwire_server.store.base import ChildResolver
    from jobwire_server.store.sqlite.board import Board, Counts
    from jobwire_server.store.sqlite.reading import Pair

_T = TypeVar("_T")

_QUEUE_AND_STATE = attrgetter("queue", "state")


class Session(Rows):
    """The writer's side of a connection: what a transaction has noted so far, and how to write it."""

    def __init__(
        self,
        connection: apsw.Connection,
        board: Board,
        resolve_child: ChildResolver,
        *,
        max_depth: int,
        scan_rows: int,
    ) -> None:
        super().__init__(connection, scan_rows)
        self.board = board
        self.resolve_child = resolve_child
        self.max_depth = max_depth
        self.is_careful = False  # set by the writer; see inserting.py
        self.heads = Heads()
        self.has_links: bool = self.value("has_links") == 1  # ever, since the file was opened
        self._last_seq: int = self.value("last_seq")
        self._begin()
        self.wal_pages = 0  # set by each commit, cleared by a checkpoint
        connection.set_wal_hook(self._note_wal_pages)

    def _note_wal_pages(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def checkpoint(self) -> None:
        """Move what is in the WAL to the file, so that the WAL starts over. Outside of a transaction."""
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.wal_pages = 0

    # --- the transaction ---

    def _begin(self) -> None:
        self._seq = self._last_seq
        self._deltas: Counts = defaultdict(int)
        self._settings: dict[str, QueueSettings] = {}
        self._forget_notes()

    def _forget_notes(self) -> None:
        # Each list holds the values of its rows one after another.
        self._inserts: list[Any] = []
        self._plain_inserts: list[Any] = []
        self._payload_rows: list[Any] = []
        self._links: list[Any] = []
        self._new_keys: list[Any] = []
        self._changes: list[Any] = []
        self._changing: set[int] = set()
        self._removed: list[int] = []
        self._freed_keys: list[Sequence[Any]] = []

    def transact(self, work: Callable[[], _T]) -> _T:
        """Do all of the work durably, or none of it. Whatever is raised, nothing of it stays."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            answer = work()
            self.flush()
            self._settle_counts()
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._last_seq = self._seq
        self.heads.ready.trim()
        self.board.publish(self._settings, self._deltas)
        self._begin()
        return answer

    def _roll_back(self) -> None:
        self.heads.clear()
        self._begin()
        if self.connection.in_transaction:  # SQLite has rolled back by itself after some errors
            self.connection.execute("ROLLBACK")

    @contextmanager
    def tentative(self) -> Iterator[Callable[[], None]]:
        """Inside, the yielded function takes back everything since the start of the block."""
        self.flush()
        seq, deltas = self._seq, self._deltas.copy()
        self.connection.execute("SAVEPOINT tentative")

        def take_back() -> None:
            self._forget_notes()
            self.heads.clear()
            self.connection.execute("ROLLBACK TO tentative")
            self._seq, self._deltas = seq, deltas

        yield take_back
        self.flush()
        self.connection.execute("RELEASE tentative")

    # --- what a transaction knows ---

    def settings_of(self, queue: str) -> QueueSettings:
        return self._settings.get(queue) or self.board.queue(queue).settings

    def count(self, queue: str, state: str) -> int:
        return self.board.queue(queue).counts.get(state, 0) + self._deltas.get((queue, state), 0)

    def length(self, queue: str) -> int:
        """How many unfinished jobs the queue has."""
        return sum(self.count(queue, state) for state in UNFINISHED)

    def waiting(self, seqs: Sequence[int]) -> Generator[Pair, None, None]:
        """The waiting jobs at these seqs, in that order; those that are not in memory are read as far as the caller goes on."""
        known = self.heads.ready.known(seqs)
        unknown = [seq for seq in seqs if seq not in known]
        rows = (
            {row[-1]: row for row in self.rows("jobs_by_seq", json.dumps(unknown))}
            if unknown
            else {}
        )
        with closing(self.whole([rows[seq] for seq in unknown])) as read:
            for seq in seqs:
                yield (seq, known[seq]) if seq in known else next(read)

    # --- what a verb notes ---

    def add(self, jobs: Sequence[Job]) -> None:
        """New jobs, the last in the order of acceptance."""
        first = self._seq + 1
        self._seq += len(jobs)
        for seq, job in enumerate(jobs, first):
            if plain := plain_values(seq, job):
                self._plain_inserts += plain
            else:
                self._inserts += insert_values(seq, job)
            if job.state == JobState.WAITING:
                self.heads.ready.put(seq, job)
            if is_big(job):
                self._payload_rows += (seq, job.data.decode())
        for queue_and_state, number in Counter(map(_QUEUE_AND_STATE, jobs)).items():
            self._deltas[queue_and_state] += number

    def link(self, parent_id: str, child_id: str) -> None:
        self._links += (parent_id, child_id)
        self.has_links = True

    def hold_key(self, job: Job) -> None:
        """A new job takes a unique key that nobody holds."""
        self._new_keys += (job.queue, job.unique_key, job.id)

    def change(self, seq: int, expect: int, state: str, job: Job) -> None:
        """The job at this seq, revision and state becomes `job`."""
        if seq in self._changing:
            self.flush()
        self.heads.saw(seq, job)
        if state in TERMINAL and job.state in UNFINISHED:
            self._rewrite(seq, expect, job)
        else:
            self._changing.add(seq)
            self._changes += change_values(seq, expect, job)
        if state != job.state:
            self._deltas[job.queue, state] -= 1
            self._deltas[job.queue, job.state] += 1
        if job.state == "removed":
            self._removed.append(seq)

    def discount(self, queue: str, state: str) -> None:
        """One job of this state is deleted."""
        self._deltas[queue, state] -= 1

    def end_key(self, job: Job, now: int) -> None:
        """A finished job lets its unique key go, or holds it until its window is over."""
        if job.unique_until > now:
            self.flush()
            binds = (job.queue, job.unique_key, job.id, job.unique_until)
            self.connection.execute(SQL["keep_key"], binds)
        else:
            self.free_key(job)

    def free_key(self, job: Job) -> None:
        self._freed_keys.append((job.queue, job.unique_key, job.id))

    def set_queue(self, name: str, fields: Mapping[str, Any]) -> QueueSettings:
        settings = replace(self.settings_of(name), **fields)
        if settings == QueueSettings(name):
            self.connection.execute(SQL["drop_settings"], (name,))
        else:
            values = [getattr(settings, field) for field in QueueSettings.__struct_fields__]
            self.connection.execute(SQL["put_settings"], values)
        self._settings[name] = settings
        return settings

    # --- what is written at once ---

    def take_key(self, job: Job, now: int) -> str | None:
        """Hold the unique key again for a job that starts over; the id of the job that has it otherwise."""
        self.flush()
        binds = (job.queue, job.unique_key, job.id, now)
        if self.value("take_key", *binds) is not None:
            return None
        holder: str = self.value("key_holder", job.queue, job.unique_key, now)
        return holder

    def clear_windows(self, keys: Sequence[tuple[str, str]], now: int) -> None:
        """Forget the holders of these unique keys whose windows are over."""
        self.connection.execute(SQL["clear_windows"], (json.dumps(keys), now))

    def lease(
        self,
        leased: Sequence[tuple[int, Job]],
        queue: str,
        lease_ms: int,
        worker_id: str | None,
        now: int,
    ) -> None:
        """Waiting jobs of a queue become what images.leased() says, and what stands in `leased` beside their seqs."""
        seqs = [seq for seq, _ in leased]
        binds = (lease_ms, now + lease_ms, now, worker_id, json.dumps(seqs))
        self.connection.execute(SQL["lease_jobs"], binds)
        for seq, job in leased:
            self.heads.took(seq, job)
        self._expect_changes(len(seqs))
        self._deltas[queue, "waiting"] -= len(seqs)
        self._deltas[queue, "active"] += len(seqs)

    def _rewrite(self, seq: int, expect: int, job: Job) -> None:
        self.flush()
        self.connection.execute(SQL["rewrite_job"], rewrite_values(seq, expect, job))
        self._expect_changes(1)

    def delete(self, found: Sequence[tuple[int, str]]) -> None:
        """Delete the rows of these (seq, id), their payloads and their place in the graph. Their keys may outlive them."""
        if not found:
            return
        self.heads.clear()
        seqs = json.dumps([seq for seq, _ in found])
        self.connection.execute(SQL["delete_jobs"], (seqs,))
        self.connection.execute(SQL["drop_payloads"], (seqs,))
        self.connection.execute(SQL["drop_dependencies"], (texts([job_id for _, job_id in found]),))

    # --- writing ---

    def flush(self) -> None:
        """Write what was noted, in an order that keeps each unique key with one holder."""
        if self._changes:
            self._write("change_jobs", self._changes, verify=True)
        if self._removed:
            self._forget_contents()
        if self._freed_keys:
            self.connection.execute(SQL["free_keys"], (json.dumps(self._freed_keys),))
        for name, values in (
            ("insert_jobs", self._inserts),
            ("insert_plain_jobs", self._plain_inserts),
            ("insert_payloads", self._payload_rows),
            ("insert_dependencies", self._links),
            ("insert_keys", self._new_keys),
        ):
            if values:
                self._write(name, values)
        self._forget_notes()

    def _write(self, name: str, values: Sequence[Any], *, verify: bool = False) -> None:
        """Write rows whose values stand one after another."""
        start, width = 0, WIDTHS[name]
        for size in SIZES:
            while len(values) - start >= size * width:
                part = values[start : start + size * width]
                self.connection.execute(sized(name, size), part)
                if verify:
                    self._expect_changes(size)
                start += size * width

    def _expect_changes(self, rows: int) -> None:
        """Heads are read in the same transaction, so that only a damaged file can make a guard fail here."""
        if self.connection.changes() != rows:
            raise StoreFailed(
                "a job changed inside a transaction that had read it: the file is damaged"
            )

    def _forget_contents(self) -> None:
        seqs = json.dumps(self._removed)
        self.connection.execute(SQL["forget_contents"], (seqs,))
        self.connection.execute(SQL["drop_payloads"], (seqs,))

    def _settle_counts(self) -> None:
        """Write the counts, without tombstones and without queues that hold nothing."""
        deltas = {k: n for k, n in self._deltas.items() if n and k[1] != JobState.REMOVED}
        self._deltas = defaultdict(int, deltas)
        if deltas:
            self._write("change_counts", [v for key, n in deltas.items() for v in (*key, n)])
        for (queue, state), n in deltas.items():
            if n < 0 and self.count(queue, state) == 0:
                self.connection.execute(SQL["drop_zero_counts"], (queue, state))
