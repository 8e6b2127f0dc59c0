"""The same calls give the same answers from memory and from SQLite."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.jobs import NOW, a_job

from jobwire_server.engine import decide
from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import JobwireError
from jobwire_server.model import ANSWER_BYTES, Change, ClaimRequest, Job, JobFilter, PushItem
from jobwire_server.store.base import Store
from jobwire_server.store.memory import MemoryStore
from jobwire_server.store.sqlite import SqliteStore

pytestmark = pytest.mark.slow

# Few names, so that calls meet each other.
IDS = [f"00000000-0000-7000-8000-{n:012x}" for n in range(8)]
QUEUES = ["mail", "mail", "mail", "sms"]
NAMES = ["send", "send", "send", "sort"]
STATES = ["waiting", "delayed", "blocked", "active", "completed", "dlq", "cancelled"]

Step = Callable[[Store, int], Awaitable[Any]]

small = st.integers(0, 3)
# Room for all jobs of a plan, for one alone, for three small ones, or for a big one and a small one.
rooms = st.sampled_from([ANSWER_BYTES, ANSWER_BYTES, 1, 4_500, 6_500])
maybe_ms = st.none() | st.none() | st.sampled_from([1, 5, 20])
jobs = st.builds(
    dict,
    id=st.sampled_from([*IDS[:3], *IDS]),
    queue=st.sampled_from(QUEUES),
    name=st.sampled_from(NAMES),
    data=st.sampled_from([b"1", b"1", b"1", b'"' + b"x" * 3_000 + b'"']),
    priority=st.integers(-1, 1),
    max_attempts=st.integers(1, 2),
    ttl_ms=maybe_ms,
    timeout_ms=maybe_ms,
    unique_key=st.none() | st.none() | st.sampled_from(["k", "l"]),
    unique_for_ms=maybe_ms,
    tags=st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
    flow_id=st.none() | st.just("f"),
    depends_on=st.just(())
    | st.just(())
    | st.lists(st.sampled_from(IDS[:3]), max_size=2).map(tuple),
    lifo=st.booleans(),
    remove_on_complete=st.booleans(),
    remove_on_fail=st.booleans(),
    delay=st.sampled_from([0, 0, 3, 10]),
)
pushes = st.tuples(jobs, st.sampled_from(["reject", "ignore", "replace"]))


def pushing(items: list[tuple[dict[str, Any], Any]], atomic: bool) -> Step:
    async def step(store: Store, now: int) -> Any:
        made = []
        for fields, on_conflict in items:
            rest = {key: value for key, value in fields.items() if key != "delay"}
            run_at = now + fields["delay"]
            state = "delayed" if fields["delay"] else "waiting"
            due = [at for at in (run_at if fields["delay"] else None, rest["ttl_ms"]) if at]
            job = a_job(**rest, created_at=now, updated_at=now)
            place = -run_at if job.lifo else run_at
            due_at = min((at if at >= NOW else now + at for at in due), default=None)
            fresh = {"run_at": run_at, "state": state, "position": place, "due_at": due_at}
            made.append(PushItem(_with(job, **fresh), on_conflict))
        return await store.insert(made, atomic=atomic, now=now)

    return step


def _with(job: Job, **fields: Any) -> Job:
    values = {name: getattr(job, name) for name in Job.__struct_fields__}
    return Job(**{**values, **fields})


def claiming(
    queues: list[str], count: int, names: tuple[str, ...], request_id: Any, max_bytes: int
) -> Step:
    request = ClaimRequest(
        tuple(queues), count, 10, names=names, request_id=request_id, max_bytes=max_bytes
    )
    return lambda store, now: store.claim(request, now)


DECISIONS: dict[str, Callable[[Job, int], Any]] = {
    "ack": lambda job, now: decide.ack(job, None, b'{"ok": 1}', now),
    "fail": lambda job, now: decide.fail(job, None, "no", now, 0.5),
    "release": lambda job, now: decide.release(job, None, 4, now),
    "heartbeat": lambda job, now: decide.heartbeat(job, None, None, now),
    "progress": lambda job, now: decide.progress(job, None, 9, "line", now),
    "cancel": decide.cancel,
    "retry": decide.retry,
    "promote": decide.promote,
    "delete": decide.delete,
    "elapse": lambda job, now: decide.elapse(job, now, 0.5),
}


def deciding(operation: str, ids: list[str]) -> Step:
    """What an operation does: look, ask the engine, apply. The same change twice in one call is stale the second time."""

    async def step(store: Store, now: int) -> Any:
        changes = []
        for job in await store.get(ids):
            try:
                change = None if job is None else DECISIONS[operation](job, now)
            except JobwireError:
                continue
            if isinstance(change, Change):
                changes.append(change)
        return await store.apply(changes, now)

    return step


def finding(wanted: JobFilter, limit: int, max_bytes: int) -> Step:
    async def step(store: Store, now: int) -> Any:
        found: list[Job] = []
        cursor: str | None = None
        while True:
            page = await store.find(wanted, limit=limit, cursor=cursor, max_bytes=max_bytes)
            found += page.jobs
            if (cursor := page.next_cursor) is None:
                return found

    return step


async def _listing(store: Store) -> Any:
    return {name: (info.settings, info.counts) for name, info in store.queues().items()}


def setting(queue: str, fields: dict[str, Any]) -> Step:
    return lambda store, now: store.set_queue(queue, fields)


claims = st.builds(
    claiming,
    st.lists(st.sampled_from(QUEUES), min_size=1, max_size=2),
    st.integers(1, 5),
    st.sampled_from([(), (), (), ("send",), ("sort", "send")]),
    st.none() | st.none() | st.sampled_from(["r", "s"]),
    rooms,
)
decisions = st.builds(
    deciding,
    st.sampled_from(sorted(DECISIONS)),
    st.permutations(IDS) | st.lists(st.sampled_from(IDS), min_size=1, max_size=4),
)
endings = st.builds(deciding, st.sampled_from(["ack", "ack", "fail", "retry"]), st.just(IDS))
loads = st.builds(pushing, st.lists(pushes, min_size=4, max_size=8), st.just(False))

steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(pushing, st.lists(pushes, max_size=4), st.booleans()),
    *[loads, claims, decisions, endings] * 3,
    st.builds(
        finding,
        st.builds(
            JobFilter,
            queue=st.none() | st.sampled_from(QUEUES),
            states=st.lists(st.sampled_from(STATES), max_size=2, unique=True).map(tuple),
            name=st.none() | st.sampled_from(NAMES),
            tag=st.none() | st.just("a"),
            flow_id=st.none() | st.just("f"),
        ),
        st.integers(1, 4),
        rooms,
    ),
    st.builds(
        lambda queue, state: lambda store, now: store.oldest(queue, state, 3),
        st.sampled_from(QUEUES),
        st.sampled_from(STATES),
    ),
    st.builds(lambda limit: lambda store, now: store.due(now, limit), small),
    st.builds(lambda shift: lambda store, now: store.grace(now, shift), st.sampled_from([0, -7])),
    st.builds(
        lambda queue, state: lambda store, now: store.prune(queue, state, now - 2, 2),
        st.sampled_from(QUEUES),
        st.sampled_from(["completed", "dlq", "cancelled"]),
    ),
    st.just(lambda store, now: store.sweep(now, 10, 1_000)),
    st.builds(
        setting,
        st.sampled_from(QUEUES),
        st.fixed_dictionaries(
            {},
            optional={
                "paused": st.sampled_from([None, None, None, "push", "pull", "both"]),
                "max_length": st.sampled_from([None, 2]),
                "lease_ms": st.sampled_from([None, 5]),
            },
        ),
    ),
)


async def compare(plan: list[tuple[int, Step]], directory: Path) -> None:
    stores: list[Store] = [
        MemoryStore(resolve_child, max_depth=3, scan_rows=4),
        SqliteStore(
            directory / "jobs.db",
            resolve_child,
            synchronous="OFF",
            max_depth=3,
            scan_rows=4,
            ballast_bytes=4_096,
        ),
    ]
    for store in stores:
        await store.open(NOW)
    try:
        now = NOW
        for wait, step in plan:
            now += wait
            expected, actual = [await step(store, now) for store in stores]
            assert expected == actual
            everything = [await store.get(IDS) for store in stores]
            assert everything[0] == everything[1]
            listings = [await _listing(store) for store in stores]
            assert listings[0] == listings[1]
            assert await stores[0].next_due() == await stores[1].next_due()
    finally:
        for store in stores:
            await store.close()


waits = st.sampled_from([0, 0, 0, 1, 6, 30])
plans = st.builds(
    lambda first, rest: [(0, first), *rest],
    loads,
    st.lists(st.tuples(waits, steps), min_size=10, max_size=40),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(plan=plans)
def test_memory_and_sqlite_agree(plan: list[tuple[int, Step]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(compare(plan, Path(directory)))
