"""Reads over one connection; the writer and the reader each have their own."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Final

import apsw
import msgspec

from jobwire_server.model import Job, JobFilter, Page, Standing
from jobwire_server.store import cursors
from jobwire_server.store.sizes import Room
from jobwire_server.store.sqlite.queries import SQL, walking
from jobwire_server.store.sqlite.rows import is_apart, read_job, read_rows, seqs_apart

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from jobwire_server.store.sqlite.rows import Row

Pair = tuple[int, Job]  # seq and job
Found = tuple[int, int, int]  # when it ended or 0, seq, about how many bytes it has

# Ids of one statement. SQLite builds no value over 10^9 bytes, and a job can have some 3 MiB of result, errors and logs.
ID_CHUNK: Final = 100
# Jobs of a page are read in parts of about this many bytes, so that a page takes little more memory than it may have bytes.
PART_BYTES: Final = 8 * 1024 * 1024
LAST: Final = (1 << 63) - 1
_OLDEST: Final = {"active": "oldest_active", "delayed": "oldest_parked", "blocked": "oldest_parked"}


class Rows:
    """Finds jobs. Not for two threads at once."""

    def __init__(self, connection: apsw.Connection, scan_rows: int) -> None:
        self.connection = connection
        self._scan_rows = scan_rows

    # --- the shapes of answers ---

    def value(self, name: str, *binds: Any) -> Any:
        """The first column of the first row; None without one."""
        return self.connection.execute(SQL[name], binds).get

    def listed(self, name: str, *binds: Any) -> list[Any]:
        """The answer of a statement that makes one JSON array."""
        answer: list[Any] = msgspec.json.decode(self.value(name, *binds))
        return answer

    def pairs(self, name: str, *binds: Any) -> list[Pair]:
        """The answer of a statement that makes one array of {row}s."""
        return list(self.whole(self.rows(name, *binds)))

    def rows(self, name: str, *binds: Any) -> list[Row]:
        """The same, as rows without the data that is kept beside them."""
        return read_rows(self.value(name, *binds))

    def whole(self, rows: Sequence[Row]) -> Generator[Pair, None, None]:
        """The jobs of rows, in their order. Data that is kept beside them is read one job at a time, as far as the caller goes on."""
        apart = seqs_apart(rows)
        if not apart:
            for row in rows:
                yield read_job(row, None)
            return
        with closing(self.connection.execute(SQL["payloads"], (json.dumps(apart),))) as payloads:
            for row in rows:
                yield read_job(row, next(payloads)[0] if is_apart(row) else None)

    # --- by id ---

    def get(self, ids: Sequence[str]) -> list[Job | None]:
        found = self.by_id(ids)
        return [found[job_id][1] if job_id in found else None for job_id in ids]

    def by_id(self, ids: Iterable[str]) -> dict[str, Pair]:
        wanted = list(dict.fromkeys(ids))
        chunks = [wanted[start : start + ID_CHUNK] for start in range(0, len(wanted), ID_CHUNK)]
        pairs = (pair for chunk in chunks for pair in self.pairs("jobs_by_id", texts(chunk)))
        return {pair[1].id: pair for pair in pairs}

    # --- by time ---

    def due(self, now: int, limit: int) -> list[Job]:
        pairs = self.pairs("due", now, limit)
        return [job for _, job in sorted(pairs, key=lambda pair: (pair[1].due_at or 0, pair[0]))]

    def next_due(self) -> int | None:
        instant: int | None = self.value("next_due")
        return instant

    def oldest(self, queue: str, state: str, limit: int) -> list[Standing]:
        if state == "waiting":
            entered = self._oldest_waiting(queue, limit)
        else:
            entered = self._oldest_of(queue, state, limit)
        return [Standing(job_id, at) for at, _, job_id in sorted(entered)[:limit]]

    def _oldest_of(self, queue: str, state: str, limit: int) -> list[Any]:
        binds = (queue, limit) if state == "active" else (queue, state, limit)
        return self.listed(_OLDEST.get(state, "oldest_ended"), *binds)

    def _oldest_waiting(self, queue: str, limit: int) -> list[Any]:
        """The index is ordered by priority first: take the oldest of each priority."""
        entered: list[Any] = []
        priority: int | None = self.value("next_priority", queue, None)
        while priority is not None:
            entered += self.listed("oldest_fifo", queue, priority, limit)
            entered += self.listed("oldest_lifo", queue, priority, limit)
            priority = self.value("next_priority", queue, priority)
        return entered

    # --- by filter ---

    def find(self, wanted: JobFilter, limit: int, cursor: str | None, max_bytes: int) -> Page:
        """Step 1: where the matches stand and how large they are. Step 2: as many of them as have room. Both see the same commit."""
        place = cursors.read(cursor, wanted)
        walk = _walk(wanted)
        binds = _binds(wanted, place, limit, self._scan_rows)
        with self.connection:
            text = self.connection.execute(walking("find", walk), binds).get
            found: list[Found] = sorted(msgspec.json.decode(text), reverse=True)
            jobs = self._fitting(found, Room(max_bytes))
            if len(jobs) < len(found) or len(found) == limit:
                last: Any = found[len(jobs) - 1]
            else:
                last = self.connection.execute(walking("find_end", walk), binds).fetchone()
        return Page(jobs, None if last is None else cursors.write(_place(wanted, last)))

    def _fitting(self, found: Sequence[Found], room: Room) -> list[Job]:
        jobs: list[Job] = []
        for seqs in _parts(found):
            pairs = dict(self.pairs("jobs_by_seq", json.dumps(seqs)))
            for seq in seqs:
                if not room.take(pairs[seq]):
                    return jobs
                jobs.append(pairs[seq])
        return jobs


def texts(items: Sequence[str]) -> Any:
    """Bind many texts at once; never none, which apsw refuses."""
    return apsw.carray(tuple(items))


def _parts(found: Sequence[Found]) -> Iterator[list[int]]:
    """The seqs, in order, in parts of about PART_BYTES."""
    ends = accumulate(size for _, _, size in found)
    parts = groupby(zip(found, ends, strict=True), key=lambda one: one[1] // PART_BYTES)
    return ([seq for (_, seq, _), _ in part] for _, part in parts)


def _place(wanted: JobFilter, found: Sequence[int]) -> cursors.Place:
    ended, seq = found[0], found[1]
    return (ended, seq) if cursors.by_end(wanted) else (seq,)


def _walk(wanted: JobFilter) -> str:
    """The narrowest walk that meets every job that matches."""
    for walk, value in (
        ("walk_custom_id", wanted.custom_id),
        ("walk_flow", wanted.flow_id),
        ("walk_group", wanted.group_id),
    ):
        if value is not None and not cursors.by_end(wanted):
            return walk
    if wanted.queue is None or len(wanted.states) != 1:
        return "walk_all"
    by_state = {"active": "walk_active", "delayed": "walk_parked", "blocked": "walk_parked"}
    return {**by_state, "dlq": "walk_dead"}.get(wanted.states[0], "walk_all")


def _binds(
    wanted: JobFilter, place: cursors.Place | None, limit: int, scan_rows: int
) -> dict[str, Any]:
    binds = {name: getattr(wanted, name) for name in JobFilter.__struct_fields__}
    return {
        **binds,
        "states": json.dumps(wanted.states) if wanted.states else None,
        "state": wanted.states[0] if len(wanted.states) == 1 else None,
        "before": LAST if place is None else place[-1],
        "ended": LAST if place is None else place[0],
        "limit": limit,
        "scan": scan_rows,
    }
