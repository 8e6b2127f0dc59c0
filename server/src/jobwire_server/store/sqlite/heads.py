"""
What the writer knows of jobs without a look: of active ones where the row stands and its revision, of waiting ones the whole job.

Plan: only the writer changes rows, so what it wrote last is what is there. A worker settles what this store handed out a moment ago,
      and to look that up took a fifth of the transaction of an ack. What was pushed a moment ago is pulled next, and to make a job of its
      row again took a third of that of a pull.
Rule 1: every verb that changes a row says so (`saw`, `took`), and whatever takes a change back clears everything.
Rule 2: nothing depends on it for safety: which jobs are next is read from the file, and guards stand in the UPDATE too.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from jobwire_server.model import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobwire_server.model import Job

Head = tuple[int, int, str]  # seq, revision, state

MOST: Final = 50_000  # some 10 MiB; the oldest go first

# Waiting jobs are kept in up to twice so many bytes, and what one transaction adds.
GENERATION_BYTES: Final = 6 * 1024 * 1024
_PER_JOB: Final = 1_200  # a rough size of a waiting Job without what weighs


class Heads:
    """Job id → head, for jobs that are active; seq → job, for jobs that wait."""

    __slots__ = ("_known", "ready")

    def __init__(self) -> None:
        self._known: OrderedDict[str, Head] = OrderedDict()
        self.ready = Ready()

    def saw(self, seq: int, job: Job) -> None:
        """The row at this seq is now `job`."""
        if job.state == JobState.ACTIVE:
            self.took(seq, job)
            return
        self._known.pop(job.id, None)
        if job.state == JobState.WAITING:
            self.ready.put(seq, job)
        else:
            self.ready.drop(seq)

    def took(self, seq: int, job: Job) -> None:
        """The same, of a job that is active."""
        self.ready.drop(seq)
        self._known[job.id] = (seq, job.revision, job.state)
        if len(self._known) > MOST:
            self._known.popitem(last=False)  # a dict would look through all that were deleted

    def known(self, ids: Iterable[str]) -> dict[str, Head]:
        """The heads of those of these jobs that are known."""
        known = self._known
        return {job_id: known[job_id] for job_id in ids if job_id in known}

    def clear(self) -> None:
        self._known.clear()
        self.ready.clear()


class Ready:
    """
    Seq → job, for jobs that wait, in two generations: when the young one is full it becomes the old one, and what was old is forgotten.

    To let jobs go one by one, as new ones came, took as long as to keep them.
    """

    __slots__ = ("_added", "_old", "_young")

    def __init__(self) -> None:
        self._young: dict[int, Job] = {}
        self._old: dict[int, Job] = {}
        self._added = (
            0  # bytes of what has come to the young generation, also of what has left it since
        )

    def put(self, seq: int, job: Job) -> None:
        self._young[seq] = job
        self._added += _weight(job)

    def trim(self) -> None:
        """Between transactions: end the generation that is full."""
        if self._added > GENERATION_BYTES:
            self._old, self._young, self._added = self._young, {}, 0

    def drop(self, seq: int) -> None:
        self._young.pop(seq, None)
        self._old.pop(seq, None)

    def known(self, seqs: Iterable[int]) -> dict[int, Job]:
        """Those of these jobs that are known."""
        young, old = self._young, self._old
        found = ((seq, young.get(seq) or old.get(seq)) for seq in seqs)
        return {seq: job for seq, job in found if job is not None}

    def clear(self) -> None:
        self._young, self._old, self._added = {}, {}, 0


def _weight(job: Job) -> int:
    """About how many bytes a job keeps; what makes many of them are its data and metadata, and the errors of one that failed."""
    weight = _PER_JOB + len(job.data)
    if job.metadata is not None:
        weight += len(job.metadata)
    if job.errors:
        weight += sum(len(error.message) for error in job.errors)
    if job.logs:
        weight += sum(len(line.message) for line in job.logs)
    return weight
