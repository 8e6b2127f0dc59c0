"""
How many bytes a job takes in an answer: the measure of every `max_bytes`.

Rule 1: never less than what wire/job_view.py makes of the job, so that an answer whose jobs had room is within its limit.
Rule 2: little more than that, so that a limit of 64 MiB is nearly full when it is called full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from jobwire_server.model import Job

# Names, numbers, instants and the lease of a job, each as long as it can be, and the comma behind the job.
_FRAME: Final = 1_280
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


class Room:
    """What is left of the bytes of one answer. The first job always has room, however large it is."""

    __slots__ = ("_is_empty", "_left", "is_full")

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._is_empty = True
        self.is_full = False  # a job was turned away; none after it may go ahead of it

    def take(self, job: Job) -> bool:
        """Whether the job has room, which it then takes."""
        size = answer_bytes(job)
        if size > self._left and not self._is_empty:
            self.is_full = True
            return False
        self._left -= size
        self._is_empty = False
        return True
