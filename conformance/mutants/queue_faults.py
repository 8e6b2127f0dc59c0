"""Faults in who gets which job, in what is told about queues, flows and workers, and in what outlives a restart."""

from __future__ import annotations

import asyncio
from typing import Any

from jobwire_server.operations import pulling, queues, waiters
from jobwire_server.store import images
from jobwire_server.store.sqlite import claiming, queries, store
from jobwire_server.store.sqlite.session import Session
from msgspec.structs import replace

from conformance.mutants.fault import around, everywhere, fault, put

# --- pull ---------------------------------------------------------------------------------------------------------------


@fault("WAIT-009", "JW-PULL-10", "JW-PULL-1")
def two_pulls_get_one_job() -> None:
    """Pulls that arrive together are given the same job under the same lease."""
    running: dict[tuple[str, ...], asyncio.Future[Any]] = {}

    async def shared(original: Any, self: Any, request: Any, now: int) -> Any:
        claim = running.get(request.queues)
        if claim is None:
            claim = running[request.queues] = asyncio.ensure_future(original(self, request, now))
            claim.add_done_callback(lambda _: running.pop(request.queues))
        return list(await asyncio.shield(claim))

    around(store.SqliteStore, "claim", shared)


@fault("JW-PULL-3")
def priority_is_reversed() -> None:
    """The job of the lowest priority goes first."""
    for name in ("claim", "claim_named"):
        text = queries.SQL[name]
        queries.SQL[name] = text.replace("priority DESC", "priority ASC").replace(
            "-priority", "priority"
        )
        if queries.SQL[name] == text:
            raise LookupError(f"the statement {name} does not order by priority")


@fault("JW-PULL-3")
def newest_goes_first() -> None:
    """Among equals the job that was accepted last goes first."""
    text = queries.SQL["claim"]
    queries.SQL["claim"] = text.replace("position, seq)", "position, seq DESC)").replace(
        "position, seq LIMIT", "position, seq DESC LIMIT"
    )
    if queries.SQL["claim"] == text:
        raise LookupError("the statement claim does not order by seq")


def _claimed(**changed: Any) -> None:
    """Have every claim made with other members of its request; a callable is asked with the request."""

    async def other(original: Any, self: Any, request: Any, now: int) -> Any:
        fields = {name: change(request) for name, change in changed.items()}
        return await original(self, replace(request, **fields), now)

    around(store.SqliteStore, "claim", other)


@fault("JW-PULL-2")
def last_queue_goes_first() -> None:
    """A pull tries its queues from the last to the first."""
    _claimed(queues=lambda request: request.queues[::-1])


@fault("JW-PULL-6")
def names_are_ignored() -> None:
    """A pull with names takes any job."""
    _claimed(names=lambda request: ())


@fault("PULL-002", "JW-PULL-1")
def pull_takes_one_too_many() -> None:
    """A pull takes one job more than `count`."""
    _claimed(count=lambda request: request.count + 1 if request.count > 1 else 1)


@fault("JW-PULL-11")
def repeated_pull_takes_more() -> None:
    """A pull that is repeated with its request_id is a new one."""
    put(claiming._Claiming, "_claimed_before", lambda self, request: [])


@fault("JW-PULL-17")
def worker_is_not_noted() -> None:
    """worker_id of a pull is forgotten."""
    _claimed(worker_id=lambda request: None)


@fault("WAIT-003", "JW-PULL-9")
def waiting_pull_sleeps_on() -> None:
    """A push does not wake the pull that waits for it."""
    put(waiters.Waiters, "on_events", lambda self, events: None)


@fault("JW-PULL-13")
def single_job_is_a_list() -> None:
    """The answer of a pull with a count of 1 has `jobs`."""

    async def listed(original: Any, self: Any, request: Any, caller: Any) -> Any:
        answer = await original(self, request, caller)
        answer.single = False
        return answer

    around(pulling.Pulling, "pull", listed)


@fault("JW-PULL-16")
def draining_server_hands_out_jobs() -> None:
    """A server that stops goes on to serve pulls."""
    put(pulling.Pulling, "drain", lambda self: None)


# --- queues -------------------------------------------------------------------------------------------------------------


@fault("JW-QUEUE-2", "JW-PULL-7")
def paused_queue_delivers() -> None:
    """A pause for pulls has no effect."""
    everywhere((images, store), "PAUSED_FOR_PULL", frozenset())


@fault("JW-QUEUE-3")
def paused_queue_takes_pushes() -> None:
    """A pause for pushes has no effect."""
    put(images, "PAUSED_FOR_PUSH", frozenset())


@fault("JW-PUSH-13")
def queue_holds_one_too_many() -> None:
    """A queue takes one job more than its max_length."""
    around(Session, "length", lambda original, self, queue: original(self, queue) - 1)


@fault("JW-QUEUE-7")
def update_resets_the_rest() -> None:
    """An update of a queue sets what it does not name back to the default."""

    async def whole(original: Any, self: Any, name: str, fields: Any) -> Any:
        if "paused" not in fields:
            fields = {**dict.fromkeys(queues._SETTINGS), **fields}
        return await original(self, name, fields)

    around(queues.Queues, "_set", whole)


@fault("JW-QUEUE-8")
def delayed_jobs_count_as_waiting() -> None:
    """The counts of a queue have its delayed jobs among the waiting ones."""

    def mixed(original: Any, info: Any) -> Any:
        counts = original(info)
        return {**counts, "waiting": counts["waiting"] + counts["delayed"], "delayed": 0}

    around(queues, "_counts", mixed)


@fault("JW-QUEUE-10")
def empty_queue_is_hidden() -> None:
    """A queue that has settings and no job is not listed."""

    def hidden(original: Any, self: Any) -> Any:
        return {name: info for name, info in original(self).items() if any(info.counts.values())}

    around(store.SqliteStore, "queues", hidden)
