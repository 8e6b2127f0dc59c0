"""
How many bytes a job takes in an answer: the measure of every `max_bytes`.

Rule 1: never less than what wire/job_view.py makes of the job, so that an answer whose jobs had room is within its limit.
Rule 2: little more than that, so that a limit of 64 MiB is nearly full when it is called full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from jobwire_server.wire import limits

if TYPE_CHECKING:
    from jobwire_server.model import Job

# Names, numbers, instants and the lease of a job, each as long as it can be, and the comma behind the job.
_FRAME: Final = 1_280
# The same with a name, a queue, a reason, four ids, a key and a backoff schedule; a character takes at most six bytes.
_TEXTS: Final = (
    _FRAME
    + 6 * (limits.NAME_BYTES + limits.QUEUE_BYTES + 5 * limits.KEY_BYTES)
    + 20 * limits.BACKOFF_SCHEDULE
    + 256
)
# An instant of an error or a log line is a number here and text there.
_ENTRY: Final = 32

_encode = msgspec.json.encode


def answer_bytes(job: Job) -> int:
    """The most that this job takes in an answer, in bytes."""
    varying = (
        job.name,
        job.queue,
        job.custom_id,
        job.unique_key,
        job.group_id,
        job.flow_id,
        job.worker_id,
        job.reason,
        job.last_error,
        job.tags,
        job.depends_on,
        job.backoff_schedule_ms,
        job.errors,
        job.logs,
    )
    size = _FRAME + len(job.data) + len(_encode(varying))
    size += _ENTRY * (len(job.errors) + len(job.logs))
    return size + len(job.metadata or b"") + len(job.result or b"")


def most_bytes(job: Job) -> int:
    """A bound for answer_bytes that costs a tenth: each text that every job has as long as it may be."""
    if job.tags or job.depends_on or job.errors or job.logs or job.last_error:
        return answer_bytes(job)
    size = _TEXTS + len(job.data)
    if job.metadata is not None:
        size += len(job.metadata)
    return size if job.result is None else size + len(job.result)


class Room:
    """
    What is left of the bytes of one answer. The first job always has room, however large it is.

    Jobs are measured by their bound as long as all of them have room by that, and exactly from then on.
    """

    __slots__ = ("_left", "_loose", "_max_bytes", "_taken", "is_full")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes  # by bound or, once `_loose` is None, exactly
        self._loose: list[Job] | None = []  # what was measured by its bound
        self._taken = 0
        self.is_full = False  # a job was turned away; none after it may go ahead of it

    def take(self, job: Job) -> bool:
        """Whether the job has room, which it then takes."""
        size = self._measure(job)
        if size > self._left and self._taken:
            self.is_full = True
            return False
        self._left -= size
        self._taken += 1
        return True

    def _measure(self, job: Job) -> int:
        if self._loose is None:
            return answer_bytes(job)
        size = most_bytes(job)
        if size <= self._left:
            self._loose.append(job)
            return size
        self._left = self._max_bytes - sum(map(answer_bytes, self._loose))
        self._loose = None
        return answer_bytes(job)
