"""
What the writer knows of active jobs without a look: where the row stands, and its revision.

Plan: only the writer changes rows, so what it wrote last is what is there. A worker settles what this store handed out a moment ago,
      and to look that up took a fifth of the transaction of an ack.
Rule 1: every verb that changes a row says so (`saw`), and whatever takes a change back clears everything.
Rule 2: nothing depends on it for safety: the guard on the revision stands in the UPDATE too.
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


class Heads:
    """Job id → head, for jobs that are active."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[str, Head] = OrderedDict()

    def saw(self, seq: int, job: Job) -> None:
        """The row at this seq is now `job`."""
        if job.state != JobState.ACTIVE:
            self._known.pop(job.id, None)
            return
        self._known[job.id] = (seq, job.revision, job.state)
        if len(self._known) > MOST:
            self._known.popitem(last=False)  # a dict would look through all that were deleted

    def known(self, ids: Iterable[str]) -> dict[str, Head]:
        """The heads of those of these jobs that are known."""
        known = self._known
        return {job_id: known[job_id] for job_id in ids if job_id in known}

    def clear(self) -> None:
        self._known.clear()
