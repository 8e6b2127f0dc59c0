"""push and push_batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from jobwire_server.engine.flows import insertion_order
from jobwire_server.engine.timing import earlier
from jobwire_server.errors import JobwireError, invalid
from jobwire_server.events import Event
from jobwire_server.model import Job, JobState, PushItem
from jobwire_server.operations.settling import happened, key_taken
from jobwire_server.store import base as store
from jobwire_server.wire import answers, limits
from jobwire_server.wire.spelling import ms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobwire_server.operations.core import Core
    from jobwire_server.operations.waiters import Waiters


async def push(
    core: Core, waiters: Waiters, requests: Sequence[Any]
) -> list[answers.Pushed | JobwireError]:
    """Independent pushes, in one transaction, one outcome each (JW-PUSH-1)."""
    now = core.clock.now()
    items = [push_item(core, request.queue, request, now) for request in requests]
    outcomes = await _insert(core, waiters, items, atomic=False, now=now)
    return [_answer(item, outcome, "") for item, outcome in zip(items, outcomes, strict=True)]


async def push_batch(core: Core, waiters: Waiters, request: Any) -> answers.PushedBatch:
    """Many pushes in one transaction: all of them, or with atomic false each for itself (JW-PUSH-7)."""
    now = core.clock.now()
    if request.atomic is False:
        return await _push_each(core, waiters, request, now)
    items = [push_item(core, request.queue, item, now) for item in request.jobs]
    order = insertion_order([item.job for item in items])
    if len(order) < len(items):
        raise _circular(f"{request.pointer}/{min(set(range(len(items))).difference(order))}")
    found = await _insert(core, waiters, [items[index] for index in order], atomic=True, now=now)
    if all(type(outcome) is store.Inserted and not outcome.replaced for outcome in found):
        outcomes: list[str | None] = ["created"] * len(items)
        return answers.PushedBatch(ids=[item.job.id for item in items], outcomes=outcomes)
    pushed: dict[int, answers.Pushed] = {}
    for index, outcome in sorted(zip(order, found, strict=True)):
        result = _answer(items[index], outcome, f"{request.pointer}/{index}")
        if isinstance(result, JobwireError):
            raise result
        pushed[index] = result
    return answers.PushedBatch(
        ids=[result.id for result in pushed.values()],
        outcomes=[result.outcome for result in pushed.values()],
    )


async def _push_each(core: Core, waiters: Waiters, request: Any, now: int) -> answers.PushedBatch:
    """Each job for itself: those that wire/ or a circle has refused are told so in their places, and the others pushed."""
    results: list[answers.Item | answers.Unpushed | None] = [
        job if type(job) is answers.Unpushed else None for job in request.jobs
    ]
    items = {
        index: push_item(core, request.queue, job, now)
        for index, job in enumerate(request.jobs)
        if results[index] is None
    }
    places = list(items)
    order = [places[at] for at in insertion_order([item.job for item in items.values()])]
    found = await _insert(core, waiters, [items[index] for index in order], atomic=False, now=now)
    for index, outcome in zip(order, found, strict=True):
        answer = _answer(items[index], outcome, f"/jobs/{index}")
        results[index] = _item(request.jobs[index].id, answer)
    for index in items.keys() - set(order):
        results[index] = _item(request.jobs[index].id, _circular(f"/jobs/{index}"))
    return _batch([result for result in results if result is not None])


def _circular(at: str) -> JobwireError:
    return invalid(f"{at}/depends_on", "Circular dependency detected")


def push_item(core: Core, queue: str, item: Any, now: int) -> PushItem:
    """The job that a push asks for, as it would stand in the store."""
    return PushItem(_job(core, queue, item, now), item.on_conflict or "reject")


def _job(core: Core, queue: str, item: Any, now: int) -> Job:
    """
    The arguments are in the order of Job's fields, without their names, and what follows from others (due_at, position) is worked out first: with
    names, and a second job that replaced the first, it took twice as long.
    """
    default = core.options.job
    state, ready = JobState.WAITING, now
    due_at = expires_at = None if item.ttl_ms is None else now + item.ttl_ms
    run_at = now + (item.delay_ms or 0) if item.run_at is None else ms_of(item.run_at)
    if run_at > now:
        state, ready = JobState.DELAYED, run_at
        due_at = earlier(ready, expires_at)
    lifo = bool(item.lifo)
    return Job(
        item.id or core.new_id(),
        queue,
        item.name,
        bytes(item.data),
        now,  # created_at
        limits.DEFAULT_PRIORITY if item.priority is None else item.priority,
        default.max_attempts if item.max_attempts is None else item.max_attempts,
        item.backoff or default.backoff,
        default.backoff_delay_ms if item.backoff_delay_ms is None else item.backoff_delay_ms,
        tuple(item.backoff_schedule_ms or ()),
        default.backoff_max_ms if item.backoff_max_ms is None else item.backoff_max_ms,
        default.jitter if item.jitter is None else item.jitter,
        item.ttl_ms,
        item.timeout_ms,
        item.unique_key,
        item.unique_for_ms,
        tuple(item.tags or ()),
        item.group_id,
        item.flow_id,
        item.custom_id,
        None if item.metadata is None else bytes(item.metadata),
        tuple(item.depends_on or ()),
        lifo,
        bool(item.remove_on_complete),
        bool(item.remove_on_fail),
        0,  # depth and pending_parents are for the store to say
        0,
        state,
        0,  # revision
        ready,
        -ready if lifo else ready,  # position
        due_at,
        now,  # updated_at
    )


async def _insert(
    core: Core, waiters: Waiters, items: Sequence[PushItem], *, atomic: bool, now: int
) -> list[store.InsertOutcome]:
    if waiters:
        for queue, count in Counter(
            i.job.queue for i in items if i.job.state == JobState.WAITING
        ).items():
            waiters.expect(queue, count)
    outcomes = await core.store.insert(items, atomic=atomic, now=now)
    if not atomic or not _any_refused(outcomes):
        core.bus.publish(_events([o for o in outcomes if type(o) is store.Inserted]))
    return outcomes


def _any_refused(outcomes: Sequence[store.InsertOutcome]) -> bool:
    return any(issubclass(kind, store.Refusal) for kind in set(map(type, outcomes)))


def _events(inserted: Sequence[store.Inserted]) -> list[Event]:
    events: list[Event] = []
    for outcome in inserted:
        if outcome.replaced is not None:
            events += happened("cancel", outcome.replaced, outcome.children)
        events.append(Event("job.pushed", outcome.job))
    return events


def _answer(item: PushItem, outcome: store.InsertOutcome, at: str) -> answers.Pushed | JobwireError:
    match outcome:
        case store.Inserted(job=job, replaced=replaced):
            return answers.Pushed(id=job.id, outcome="created" if replaced is None else "replaced")
        case store.Existing(job=job):
            return answers.Pushed(id=job.id, outcome="existing")
        case store.IdTaken(job=job):
            return JobwireError(
                "ID_CONFLICT",
                f"Job '{job.id}' exists with another queue, name or data; make a new id for a new job",
                {"id": job.id, "pointer": f"{at}/id"},
            )
        case store.KeyTaken(existing_id=existing_id):
            return key_taken(existing_id, pointer=f"{at}/unique_key")
    return _refusal(item.job, outcome, at)


def _refusal(job: Job, outcome: store.Refusal, at: str) -> JobwireError:
    match outcome:
        case store.QueueIsFull(limit=limit):
            return JobwireError(
                "QUEUE_FULL",
                f"Queue '{job.queue}' holds its limit of {limit} unfinished jobs; wait, add workers or raise max_length",
                {"queue": job.queue, "limit": limit, "pointer": at},
                retry_after_ms=1_000,
            )
        case store.QueueIsPaused():
            return JobwireError(
                "QUEUE_PAUSED",
                f"Queue '{job.queue}' is paused",
                {"queue": job.queue, "pointer": at},
            )
        case store.ParentMissing(index=index, parent_id=parent):
            return invalid(
                f"{at}/depends_on/{index}", f"Dependency parent job '{parent}' not found"
            )
        case store.ParentEnded(index=index, parent_id=parent, state=state):
            said = f"Dependency parent job '{parent}' is in terminal state '{state.capitalize()}'"
            return invalid(f"{at}/depends_on/{index}", said)
        case store.TooDeep(limit=limit):
            said = f"Dependency chain exceeds maximum depth of {limit}"
            return invalid(f"{at}/depends_on", said, limit=limit)
    raise AssertionError(f"unknown outcome {outcome!r}")


def _batch(results: list[answers.Item | answers.Unpushed]) -> answers.PushedBatch:
    done = [result if isinstance(result, answers.Item) else None for result in results]
    return answers.PushedBatch(
        ids=[None if result is None else result.id for result in done],
        outcomes=[None if result is None else str(result.outcome) for result in done],
        results=results,
    )


def _item(
    named: str | None, result: answers.Pushed | JobwireError
) -> answers.Item | answers.Unpushed:
    if isinstance(result, JobwireError):
        return answers.Unpushed(id=named, error=result)
    return answers.Item(id=result.id, outcome=result.outcome)
