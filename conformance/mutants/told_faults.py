"""Faults in lists, counts and what is told about flows and workers."""

from __future__ import annotations

from typing import Any

from jobwire_server.errors import job_not_found
from jobwire_server.operations import care, workers
from jobwire_server.store import cursors
from jobwire_server.wire import limits

from conformance.mutants.fault import around, fault, put

# --- lists --------------------------------------------------------------------------------------------------------------


@fault("JW-FIND-1")
def find_shows_the_oldest_first() -> None:
    """The jobs of a page stand in the order in which they were pushed."""

    async def turned(original: Any, self: Any, *args: Any) -> Any:
        page = await original(self, *args)
        page.jobs.reverse()
        return page

    around(care.Care, "_page", turned)


@fault("JW-FIND-2")
def pages_overlap() -> None:
    """The last job of a page is the first of the next."""

    def again(original: Any, place: Any) -> str:
        return str(original((*place[:-1], place[-1] + 1)))

    around(cursors, "write", again)


@fault("JW-FIND-4")
def foreign_cursor_is_the_start() -> None:
    """A cursor that the server did not make shows the first page."""

    def lax(original: Any, cursor: Any, wanted: Any) -> Any:
        try:
            return original(cursor, wanted)
        except ValueError:
            return None

    around(cursors, "read", lax)


@fault("JW-DLQ-5")
def remaining_is_what_was_done() -> None:
    """`remaining` of a bulk operation counts the dead letters that it took."""

    async def wrong(original: Any, self: Any, *args: Any) -> Any:
        answer = await original(self, *args)
        answer.remaining = answer.count
        return answer

    around(care.Care, "_dead_letters", wrong)


@fault("DLQ-004", "JW-DLQ-4")
def any_job_is_a_dead_letter() -> None:
    """A bulk retry takes cancelled jobs too."""

    def lax(queue: str, change: Any, now: int, job: Any) -> Any:
        if job.queue != queue or job.state == "removed":
            raise job_not_found(job.id)
        return change(job, now)

    put(care, "_dead_letter", lax)


@fault("JW-WORKER-1")
def flow_counts_its_page() -> None:
    """The summary of a flow leaves out its completed jobs."""

    async def short(original: Any, self: Any, request: Any) -> Any:
        answer = await original(self, request)
        answer.summary["total"] -= answer.summary["completed"]
        return answer

    around(care.Care, "flow", short)


@fault("WORKERTIME-001", "JW-WORKER-3")
def deaf_worker_is_not_told() -> None:
    """A worker that asks for nothing is taken for well."""
    put(workers.Workers, "_is_deaf", lambda self, seen, now: False)


@fault("JW-WORKER-4")
def lost_worker_is_alive() -> None:
    """A worker that is not heard of any more is shown as alive."""
    put(workers.Workers, "_state", lambda self, seen, now: "quiet" if seen.quiet else "alive")


@fault("HTTP-TOLD-limits", "JW-LIMIT-6")
def other_limits_are_announced() -> None:
    """The limit on batches that is announced is not the one that holds."""
    limits.LIMITS["batch_items"] += 1
