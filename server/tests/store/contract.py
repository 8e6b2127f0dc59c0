"""
What every store must do: one test a sentence of store/base.py. A backend runs it by subclassing StoreContract with a
`store` fixture (see test_memory.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict, replace
from tests.store.jobs import LEASE, NOW, a_job, current, existing, ids, make, offer, pull, push

from jobwire_server.engine import decide
from jobwire_server.model import (
    Change,
    Job,
    JobError,
    JobFilter,
    JobState,
    LogLine,
    PushItem,
    QueueSettings,
    Standing,
)
from jobwire_server.store.base import (
    Applied,
    Existing,
    IdTaken,
    Inserted,
    KeyTaken,
    ParentEnded,
    ParentMissing,
    QueueIsFull,
    QueueIsPaused,
    Stale,
    Store,
    TooDeep,
)
from jobwire_server.store.sizes import answer_bytes

SCAN_ROWS = 10  # what stores under test examine a call of find()
MISSING = "00000000-0000-7000-8000-000000000000"
NO_SETTINGS = dict.fromkeys(field for field in QueueSettings.__struct_fields__ if field != "name")


def keyed(key: str = "k", on_conflict: Any = "reject", **fields: Any) -> PushItem:
    return PushItem(a_job(unique_key=key, **fields), on_conflict)


def child_of(*parents: Job, **fields: Any) -> Job:
    return a_job(depends_on=tuple(parent.id for parent in parents), **fields)


async def finished(store: Store, job: Job, now: int = NOW) -> Job:
    """Push, pull and ack one job, when nothing else waits."""
    await push(store, job)
    [running] = await pull(store, job.queue)
    return (await make(store, decide.ack(running, None, None, now), now)).job


async def buried(store: Store, job: Job, now: int = NOW) -> Job:
    """Push a job and send it to the dlq, when nothing else waits."""
    await push(store, job)
    [running] = await pull(store, job.queue)
    return (await make(store, decide.fail(running, None, "no", now, 0.0, discard=True), now)).job


def sized(size: int) -> bytes:
    """JSON of this many bytes."""
    return b'"' + b"x" * (size - 2) + b'"'


def whole_size(job: Job) -> int:
    """What a job takes in an answer once worker w has it."""
    return answer_bytes(replace(job, worker_id="w"))


async def pages_of(store: Store, wanted: JobFilter, max_bytes: int) -> list[list[Job]]:
    """All pages, each with at most so many bytes."""
    pages: list[list[Job]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        page = await store.find(wanted, limit=SCAN_ROWS, cursor=cursor, max_bytes=max_bytes)
        pages.append(page.jobs)
        cursor = page.next_cursor
    return pages


async def all_pages(store: Store, wanted: JobFilter, limit: int = 3) -> list[Job]:
    jobs: list[Job] = []
    cursor: str | None = None
    for _ in range(100):
        page = await store.find(wanted, limit=limit, cursor=cursor)
        assert len(page.jobs) <= limit
        jobs += page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return jobs
    raise AssertionError("find() does not come to an end")


class InsertContract:
    async def test_a_job_comes_back_exactly_as_it_was_pushed(self, store: Store) -> None:
        job = a_job(
            priority=-2_147_483_648,
            data=b'{ "n": 18446744073709551616, "f": 1.0, "t": "\\u0000\xc3\xa9\xf0\x9f\x8e\x89" }',
            backoff="linear",
            backoff_schedule_ms=(1, 3_155_760_000_000),
            jitter=0.1 + 0.2,
            ttl_ms=5,
            timeout_ms=7,
            unique_key="k\0\xe9",
            unique_for_ms=9,
            tags=("a", 'b"\\', "\0"),
            group_id="g",
            flow_id="f",
            custom_id="c",
            metadata=b"[1,  2]",
            lifo=True,
            remove_on_complete=True,
            remove_on_fail=True,
        )

        await push(store, job)

        assert job == await current(store, job)
        assert type((await current(store, job)).lifo) is bool

    async def test_a_big_payload_comes_back_as_it_was(self, store: Store) -> None:
        job = a_job(data=b'"' + b"x" * 1_000_000 + b'"')

        await push(store, job)

        assert job == await current(store, job)
        assert job.data == (await pull(store))[0].data

    async def test_one_outcome_an_item_in_order(self, store: Store) -> None:
        jobs = [a_job() for _ in range(5)]

        outcomes = await offer(store, *jobs)

        assert [Inserted(job) for job in jobs] == outcomes

    async def test_nothing_is_a_fine_batch(self, store: Store) -> None:
        assert await offer(store) == []

    async def test_a_repeated_push_answers_the_job_and_creates_nothing(self, store: Store) -> None:
        [job] = await push(store, a_job())
        await pull(store)

        [outcome] = await offer(store, job)

        assert existing(outcome) == await current(store, job)
        assert store.queue("mail").counts == {"active": 1}

    @pytest.mark.parametrize("field", ["queue", "name", "data"])
    async def test_the_same_id_for_something_else_is_taken(self, store: Store, field: str) -> None:
        [job] = await push(store, a_job())
        other = replace(job, **{field: b"1" if field == "data" else "other"})

        assert [IdTaken(job)] == await offer(store, other)

    async def test_a_repeat_with_other_options_is_still_the_same_job(self, store: Store) -> None:
        [job] = await push(store, a_job())

        assert [Existing(job)] == await offer(store, replace(job, priority=9, tags=("x",)))

    async def test_a_tombstone_counts_as_the_same_job(self, store: Store) -> None:
        gone = await finished(store, a_job(remove_on_complete=True))

        [outcome] = await offer(store, a_job(id=gone.id, queue="mail", data=b"2"))

        assert existing(outcome).state == "removed"

    async def test_a_repeat_within_a_call_is_a_repeat(self, store: Store) -> None:
        job = a_job()

        outcomes = await offer(store, job, job)

        assert [Inserted(job), Existing(job)] == outcomes
        assert store.queue("mail").counts == {"waiting": 1}

    async def test_a_refusal_refuses_the_whole_atomic_batch(self, store: Store) -> None:
        [known] = await push(store, a_job())
        fresh = a_job()

        outcomes = await offer(store, fresh, replace(known, name="other"), keyed().job)

        assert isinstance(outcomes[0], Inserted)
        assert isinstance(outcomes[1], IdTaken)
        assert await store.get([fresh.id]) == [None]
        assert store.queue("mail").counts == {"waiting": 1}
        assert len(await pull(store, count=10)) == 1

    async def test_a_refused_batch_leaves_no_unique_key_and_no_dependency(
        self, store: Store
    ) -> None:
        [parent] = await push(store, a_job())
        await offer(store, keyed(), child_of(parent), a_job(depends_on=(MISSING,)))

        await push(store, keyed())
        [running] = await pull(store)
        done = await make(store, decide.ack(running, None, None, NOW))

        assert done.children == ()

    async def test_existing_is_no_refusal(self, store: Store) -> None:
        [known] = await push(store, a_job())
        fresh = a_job()

        await offer(store, known, fresh)

        assert fresh == await current(store, fresh)

    async def test_without_atomic_each_item_stands_alone(self, store: Store) -> None:
        [known] = await push(store, a_job())
        first, last = a_job(), a_job()

        outcomes = await offer(store, first, replace(known, name="other"), last, atomic=False)

        assert [Inserted, IdTaken, Inserted] == [type(outcome) for outcome in outcomes]
        assert [first, last] == await store.get([first.id, last.id])

    @pytest.mark.parametrize(("mode", "is_refused"), [("push", 1), ("both", 1), ("pull", 0)])
    async def test_a_queue_paused_for_pushes_refuses(
        self, store: Store, mode: Any, is_refused: int
    ) -> None:
        await store.set_queue("mail", {"paused": mode})

        [outcome] = await offer(store, a_job())

        assert (outcome == QueueIsPaused(mode)) == bool(is_refused)

    async def test_a_full_queue_refuses_by_its_unfinished_jobs(self, store: Store) -> None:
        await store.set_queue("mail", {"max_length": 2})
        await finished(store, a_job())
        await push(store, a_job(), a_job(run_at=NOW + 1))

        assert [QueueIsFull(2)] == await offer(store, a_job())
        assert isinstance((await offer(store, a_job(queue="other")))[0], Inserted)

    async def test_a_batch_fills_a_queue_item_by_item(self, store: Store) -> None:
        await store.set_queue("mail", {"max_length": 2})

        outcomes = await offer(store, a_job(), a_job(), a_job(), atomic=False)

        assert [Inserted, Inserted, QueueIsFull] == [type(outcome) for outcome in outcomes]
        assert store.queue("mail").counts == {"waiting": 2}

    async def test_the_first_check_that_hits_wins(self, store: Store) -> None:
        [holder] = await push(store, keyed())
        orphan = keyed(depends_on=(MISSING,))
        free = a_job(depends_on=(MISSING,))
        await store.set_queue("mail", {"paused": "push", "max_length": 1})

        assert [Existing(holder)] == await offer(store, holder)
        assert [QueueIsPaused("push")] == await offer(store, orphan)
        await store.set_queue("mail", {"paused": None})
        assert [KeyTaken(holder.id)] == await offer(store, orphan)
        assert [QueueIsFull(1)] == await offer(store, free)
        await store.set_queue("mail", NO_SETTINGS)
        assert [ParentMissing(0, MISSING)] == await offer(store, free)


class UniqueKeyContract:
    async def test_a_key_is_held_while_its_job_is_unfinished(self, store: Store) -> None:
        [holder] = await push(store, keyed())

        assert [KeyTaken(holder.id)] == await offer(store, keyed())

        await pull(store)
        assert [KeyTaken(holder.id)] == await offer(store, keyed())

    async def test_a_key_belongs_to_its_queue(self, store: Store) -> None:
        await push(store, keyed(), keyed("other"), keyed(queue="sms"))

        assert store.queue("mail").counts == {"waiting": 2}

    async def test_two_of_a_key_in_one_batch(self, store: Store) -> None:
        first, second = keyed(), keyed()

        outcomes = await offer(store, first, second, atomic=False)

        assert [Inserted(first.job), KeyTaken(first.job.id)] == outcomes

    @pytest.mark.parametrize("how", ["ack", "dlq", "cancel", "delete"])
    async def test_a_finished_job_frees_its_key(self, store: Store, how: str) -> None:
        job = keyed().job
        if how == "ack":
            await finished(store, job)
        elif how == "dlq":
            await buried(store, job)
        else:
            [job] = await push(store, job)
            decision = decide.cancel(job, NOW) if how == "cancel" else decide.delete(job, NOW)
            await make(store, decision)

        await push(store, keyed())

    async def test_a_window_outlives_the_job(self, store: Store) -> None:
        done = await finished(store, keyed(unique_for_ms=1_000).job)

        assert [KeyTaken(done.id)] == await offer(store, keyed(), now=NOW + 999)
        await push(store, keyed(), now=NOW + 1_000)

    async def test_a_window_does_not_shorten_the_hold_of_an_unfinished_job(
        self, store: Store
    ) -> None:
        [job] = await push(store, keyed(unique_for_ms=1))

        assert [KeyTaken(job.id)] == await offer(store, keyed(), now=NOW + 1_000)

    async def test_ignore_answers_the_holder(self, store: Store) -> None:
        [holder] = await push(store, keyed())

        assert [Existing(holder)] == await offer(store, keyed(on_conflict="ignore"))
        assert store.queue("mail").counts == {"waiting": 1}

    @pytest.mark.parametrize("state", ["waiting", "delayed", "blocked"])
    async def test_replace_cancels_a_holder_that_waits(self, store: Store, state: str) -> None:
        [parent] = await push(store, a_job(queue="other"))
        fields = {"waiting": {}, "delayed": {"run_at": NOW + 5}, "blocked": {}}[state]
        parents = (parent.id,) if state == "blocked" else ()
        [holder] = await push(store, keyed(depends_on=parents, **fields))
        assert holder.state == state

        [outcome] = await offer(store, keyed(on_conflict="replace"), now=NOW + 1)

        assert isinstance(outcome, Inserted)
        assert outcome.replaced == await current(store, holder)
        assert outcome.replaced.state == "cancelled"
        assert outcome.replaced.reason == "replaced"
        assert outcome.replaced.finished_at == NOW + 1
        assert outcome.replaced.due_at is None
        assert outcome.replaced.revision == holder.revision + 1
        assert [KeyTaken(outcome.job.id)] == await offer(store, keyed())

    async def test_replace_leaves_an_active_holder_alone(self, store: Store) -> None:
        [holder] = await push(store, keyed())
        [running] = await pull(store)

        assert [KeyTaken(holder.id)] == await offer(store, keyed(on_conflict="replace"))
        assert running == await current(store, holder)

    async def test_replace_takes_the_dependents_of_the_holder_down(self, store: Store) -> None:
        [holder] = await push(store, keyed())
        [child] = await push(store, child_of(holder))

        [outcome] = await offer(store, keyed(on_conflict="replace"))

        assert isinstance(outcome, Inserted)
        assert (await current(store, child),) == outcome.children
        assert outcome.children[0].state == "cancelled"
        assert outcome.children[0].reason == "parent_failed"

    async def test_replace_takes_the_key_over_from_a_window(self, store: Store) -> None:
        await push(store, keyed(unique_for_ms=1_000))

        [outcome] = await offer(store, keyed(on_conflict="replace"))

        assert isinstance(outcome, Inserted)
        done = await finished_alone(store, outcome.job)
        await push(store, keyed())
        assert done.state == "completed"

    async def test_a_key_that_a_replacement_frees_is_free_for_the_next_of_the_batch(
        self, store: Store
    ) -> None:
        [holder] = await push(store, keyed("first"))
        child = child_of(holder, unique_key="second")
        await push(store, child)

        replacing, after = await offer(
            store, keyed("first", on_conflict="replace"), keyed("second")
        )

        assert [child.id] == [job.id for job in replacing.children]
        assert isinstance(after, Inserted)

    async def test_replace_fits_into_a_full_queue(self, store: Store) -> None:
        await store.set_queue("mail", {"max_length": 1})
        await push(store, keyed())

        [outcome] = await offer(store, keyed(on_conflict="replace"))

        assert isinstance(outcome, Inserted)
        assert store.queue("mail").counts == {"waiting": 1, "cancelled": 1}

    async def test_a_replacement_that_is_refused_replaces_nobody(self, store: Store) -> None:
        [holder] = await push(store, keyed())
        [child] = await push(store, child_of(holder))

        outcomes = [
            *await offer(store, keyed("k", "replace", depends_on=(MISSING,))),
            *await offer(store, keyed("k", "replace", depends_on=(holder.id,)), atomic=False),
        ]

        assert [ParentMissing(0, MISSING), ParentEnded(0, holder.id, "cancelled")] == outcomes
        assert [holder, child] == await store.get([holder.id, child.id])
        assert [KeyTaken(holder.id)] == await offer(store, keyed())

    async def test_a_job_of_the_same_batch_can_be_replaced(self, store: Store) -> None:
        first, second = keyed(), keyed(on_conflict="replace")

        outcomes = await offer(store, first, second)

        assert isinstance(outcomes[1], Inserted)
        assert outcomes[1].replaced == await current(store, first.job)
        assert outcomes[1].replaced.state == "cancelled"

    async def test_a_retried_job_takes_its_key_again(self, store: Store) -> None:
        dead = await buried(store, keyed().job)

        await make(store, decide.retry(dead, NOW))

        assert [KeyTaken(dead.id)] == await offer(store, keyed())

    async def test_a_retry_whose_key_is_taken_has_no_effect(self, store: Store) -> None:
        dead = await buried(store, keyed().job)
        [other] = await push(store, keyed())
        change = decide.retry(dead, NOW)
        assert isinstance(change, Change)

        assert [KeyTaken(other.id)] == await store.apply([change], NOW)
        assert dead == await current(store, dead)

    async def test_a_retry_within_its_own_window_is_fine(self, store: Store) -> None:
        dead = await buried(store, keyed(unique_for_ms=1_000).job)

        await make(store, decide.retry(dead, NOW))

        assert [KeyTaken(dead.id)] == await offer(store, keyed(), now=NOW + 5_000)


async def finished_alone(store: Store, job: Job) -> Job:
    [running] = await pull(store, job.queue)
    assert running.id == job.id
    return (await make(store, decide.ack(running, None, None, NOW))).job


class DependencyContract:
    async def test_a_child_waits_for_its_parents(self, store: Store) -> None:
        [first, second] = await push(store, a_job(), a_job())

        [child] = await push(store, child_of(first, second, first, ttl_ms=5))

        assert child == await current(store, child)
        assert (
            child.state,
            child.depth,
            child.pending_parents,
            child.due_at,
        ) == ("blocked", 1, 2, None)

    async def test_a_batch_can_bring_parent_and_child(self, store: Store) -> None:
        parent = a_job()

        jobs = await push(store, parent, child_of(parent))

        assert [job.state for job in jobs] == ["waiting", "blocked"]
        assert store.queue("mail").counts == {"waiting": 1, "blocked": 1}

    async def test_a_parent_must_come_before_its_children(self, store: Store) -> None:
        parent = a_job()
        child = child_of(parent)

        outcomes = await offer(store, child, parent, atomic=False)

        assert [ParentMissing(0, parent.id), Inserted(parent)] == outcomes

    async def test_a_completed_parent_is_not_waited_for(self, store: Store) -> None:
        done = await finished(store, a_job())
        gone = await finished(store, a_job(remove_on_complete=True))

        [child] = await push(store, child_of(done, gone))

        assert (child.state, child.pending_parents, child.depth) == ("waiting", 0, 1)

    async def test_a_parent_that_can_never_complete_is_named(self, store: Store) -> None:
        done = await finished(store, a_job())
        dead = await buried(store, a_job())
        [stopped] = await push(store, a_job())
        await make(store, decide.cancel(stopped, NOW))

        assert [ParentEnded(1, dead.id, "dlq")] == await offer(store, child_of(done, dead))
        assert [ParentEnded(0, stopped.id, "cancelled")] == await offer(store, child_of(stopped))

    async def test_a_deleted_parent_is_missing(self, store: Store) -> None:
        [job] = await push(store, a_job())
        await make(store, decide.delete(job, NOW))

        assert [ParentMissing(0, job.id)] == await offer(store, child_of(job))

    async def test_a_graph_has_a_depth(self, store: Store) -> None:
        [job] = await push(store, a_job())
        for depth in range(1, 101):
            [job] = await push(store, child_of(job))
            assert depth == job.depth

        assert [TooDeep(100)] == await offer(store, child_of(job))

    async def test_the_last_parent_releases_the_child_in_its_own_transaction(
        self, store: Store
    ) -> None:
        [first, second] = await push(store, a_job(), a_job())
        [child] = await push(store, child_of(first, second))
        running = await pull(store, count=2)

        one = await make(store, decide.ack(running[0], None, None, NOW))
        two = await make(store, decide.ack(running[1], None, None, NOW + 9), NOW + 9)

        assert [(c.state, c.pending_parents) for c in one.children] == [("blocked", 1)]
        assert [(c.state, c.pending_parents, c.run_at) for c in two.children] == [
            ("waiting", 0, NOW + 9)
        ]
        assert two.children[0] == await current(store, child)
        assert [child.id] == ids(await pull(store, now=NOW + 9))

    async def test_both_parents_in_one_call(self, store: Store) -> None:
        [first, second] = await push(store, a_job(), a_job())
        [child] = await push(store, child_of(first, second))
        changes = [decide.ack(job, None, None, NOW) for job in await pull(store, count=2)]

        await store.apply([change for change in changes if isinstance(change, Change)], NOW)

        assert (await current(store, child)).state == "waiting"

    async def test_a_delayed_child_is_released_into_its_delay(self, store: Store) -> None:
        [parent] = await push(store, a_job())
        [child] = await push(store, child_of(parent, run_at=NOW + 500))

        await make(store, decide.ack((await pull(store))[0], None, None, NOW))

        assert (
            (await current(store, child)).state,
            (await current(store, child)).due_at,
        ) == ("delayed", NOW + 500)

    async def test_a_dead_parent_takes_its_descendants_down(self, store: Store) -> None:
        [parent] = await push(store, a_job())
        [left, right] = await push(store, child_of(parent), child_of(parent))
        [leaf] = await push(store, child_of(left, right))
        [running] = await pull(store)

        done = await make(store, decide.fail(running, None, "no", NOW, 0.0, discard=True))

        assert [left.id, right.id, leaf.id] == [job.id for job in done.children]
        assert list(done.children) == await store.get([left.id, right.id, leaf.id])
        assert store.queue("mail").counts == {"dlq": 4}

    async def test_a_cancelled_parent_cancels_its_descendants(self, store: Store) -> None:
        [parent] = await push(store, a_job())
        [child] = await push(store, child_of(parent))
        [leaf] = await push(store, child_of(child))

        await make(store, decide.cancel(parent, NOW))

        states = [(job.state, job.reason) for job in await store.get([child.id, leaf.id]) if job]
        assert states == [("cancelled", "parent_failed")] * 2

    async def test_a_parent_is_counted_off_whatever_the_state_of_the_child(
        self, store: Store
    ) -> None:
        [parent] = await push(store, a_job())
        [child] = await push(store, child_of(parent))
        await make(store, decide.cancel(child, NOW))

        done = await make(store, decide.ack((await pull(store))[0], None, None, NOW))

        assert [(c.state, c.pending_parents) for c in done.children] == [("cancelled", 0)]

    async def test_a_removed_parent_still_releases(self, store: Store) -> None:
        [parent] = await push(store, a_job(remove_on_complete=True))
        [child] = await push(store, child_of(parent))

        await make(store, decide.ack((await pull(store))[0], None, None, NOW))

        assert (await current(store, child)).state == "waiting"

    async def test_the_key_of_a_child_that_is_taken_down_is_free(self, store: Store) -> None:
        [parent] = await push(store, a_job())
        await push(store, keyed(depends_on=(parent.id,)))

        await make(store, decide.cancel(parent, NOW))

        await push(store, keyed())


class ClaimContract:
    async def test_a_claim_starts_a_lease(self, store: Store) -> None:
        [job] = await push(store, a_job())

        [running] = await pull(store, worker_id="w", lease_ms=5_000, now=NOW + 3)

        expected = replace(
            job,
            state="active",
            revision=job.revision + 1,
            delivery=1,
            started_at=NOW + 3,
            updated_at=NOW + 3,
            lease_ms=5_000,
            lease_expires_at=NOW + 5_003,
            due_at=NOW + 5_003,
            worker_id="w",
        )
        assert expected == running
        assert expected == await current(store, job)
        assert store.queue("mail").counts == {"active": 1}

    async def test_many_claimed_at_once_are_claimed_alike(self, store: Store) -> None:
        jobs = await push(store, *[a_job(timeout_ms=n * LEASE // 10 or None) for n in range(20)])

        running = await pull(store, count=20, worker_id="w")

        assert running == await store.get(ids(jobs))
        assert [NOW + LEASE, *(NOW + n * LEASE // 10 for n in range(1, 10))] == [
            job.due_at for job in running[:10]
        ]
        assert {(1, "w", NOW + LEASE)} == {
            (job.delivery, job.worker_id, job.lease_expires_at) for job in running
        }
        assert store.queue("mail").counts == {"active": 20}

    async def test_the_lease_is_the_requests_then_the_queues_then_the_default(
        self, store: Store
    ) -> None:
        await push(store, a_job(), a_job(), a_job(queue="sms"))
        await store.set_queue("mail", {"lease_ms": 7_000})

        leases = [
            (await pull(store, lease_ms=1_000))[0].lease_ms,
            (await pull(store))[0].lease_ms,
            (await pull(store, "sms"))[0].lease_ms,
        ]

        assert leases == [1_000, 7_000, LEASE]

    async def test_a_timeout_before_the_end_of_the_lease_is_due_first(self, store: Store) -> None:
        await push(store, a_job(timeout_ms=100), a_job(timeout_ms=LEASE + 1))

        jobs = await pull(store, count=2)

        assert [job.due_at for job in jobs] == [NOW + 100, NOW + LEASE]

    async def test_what_the_last_lease_left_is_cleared(self, store: Store) -> None:
        await push(store, a_job())
        [first] = await pull(store)
        told = await make(store, decide.progress(first, None, 40, "so far", NOW))
        await make(store, decide.release(told.job, None, 0, NOW))

        [again] = await pull(store, worker_id="v")

        assert (
            again.delivery,
            again.progress,
            again.last_heartbeat,
            again.settled_by,
            again.worker_id,
        ) == (2, 40, None, None, "v")

    async def test_priority_then_position_then_acceptance(self, store: Store) -> None:
        jobs = await push(
            store,
            a_job(priority=1),
            a_job(priority=1),
            a_job(priority=5, run_at=NOW),
            a_job(priority=5, run_at=NOW - 10),
            a_job(priority=-1),
            a_job(priority=1, lifo=True, run_at=NOW - 5),
            a_job(priority=1, lifo=True),
        )

        pulled = await pull(store, count=7)

        assert [jobs[i].id for i in (3, 2, 6, 5, 0, 1, 4)] == ids(pulled)

    async def test_a_released_job_goes_back_to_where_it_stood(self, store: Store) -> None:
        [first, second] = await push(store, a_job(), a_job())
        [running] = await pull(store)

        await make(store, decide.release(running, None, 0, NOW + 50))

        assert [first.id, second.id] == ids(await pull(store, count=2, now=NOW + 50))

    async def test_queues_are_tried_in_order(self, store: Store) -> None:
        [slow, fast, other] = await push(
            store, a_job(queue="slow", priority=9), a_job(queue="fast"), a_job(queue="other")
        )

        assert [fast.id, slow.id] == ids(await pull(store, "fast", "slow", count=2))
        assert [other.id] == ids(await pull(store, "fast", "other", count=2))

    async def test_no_more_than_asked_for(self, store: Store) -> None:
        await push(store, *[a_job() for _ in range(5)])

        assert [len(await pull(store, count=3)) for _ in range(3)] == [3, 2, 0]
        assert await pull(store, count=0) == []
        assert await pull(store, "nobody-knows-it") == []

    @pytest.mark.parametrize(("mode", "found"), [("pull", 0), ("both", 0), ("push", 1)])
    async def test_queues_paused_for_pulls_are_skipped(
        self, store: Store, mode: Any, found: int
    ) -> None:
        await push(store, a_job())
        await store.set_queue("mail", {"paused": mode})

        assert found == len(await pull(store))

    async def test_a_job_past_its_ttl_is_skipped(self, store: Store) -> None:
        [brief, other] = await push(store, a_job(ttl_ms=10, priority=9), a_job())

        assert [other.id] == ids(await pull(store, count=2, now=NOW + 10))
        assert [brief.id] == ids(await pull(store, count=2, now=NOW + 9))

    async def test_only_jobs_with_a_wanted_name(self, store: Store) -> None:
        jobs = await push(
            store, a_job(name="a"), a_job(name="b", priority=3), a_job(name="c"), a_job(name="a")
        )

        assert [jobs[0].id, jobs[2].id] == ids(await pull(store, names=("c", "a"), count=2))
        assert await pull(store, names=("z",)) == []
        assert [jobs[1].id, jobs[3].id] == ids(await pull(store, count=9))

    @pytest.mark.parametrize("state", ["delayed", "blocked"])
    async def test_only_waiting_jobs(self, store: Store, state: str) -> None:
        [parent] = await push(store, a_job(queue="other"))
        job = child_of(parent) if state == "blocked" else a_job(run_at=NOW + 1)
        await push(store, job)

        assert await pull(store, now=NOW + 1) == []

    async def test_a_request_id_answers_the_same_jobs_again(self, store: Store) -> None:
        await push(store, a_job(), a_job(), a_job())
        first = await pull(store, count=2, request_id="r", worker_id="w")

        assert first == await pull(store, count=2, request_id="r", worker_id="w", now=NOW + 1)
        assert store.queue("mail").counts == {"active": 2, "waiting": 1}

    async def test_a_request_id_forgets_jobs_whose_lease_ended(self, store: Store) -> None:
        await push(store, a_job(), a_job(), a_job())
        first = await pull(store, count=2, request_id="r")
        await make(store, decide.ack(first[0], None, None, NOW))

        assert first[1:] == await pull(store, count=2, request_id="r")

        await make(store, decide.release(first[1], None, 5, NOW))
        fresh = await pull(store, count=2, request_id="r")
        assert len(fresh) == 1
        assert fresh[0].id not in ids(first)

    async def test_another_delivery_of_the_job_is_not_the_same_lease(self, store: Store) -> None:
        await push(store, a_job())
        [first] = await pull(store, request_id="r")
        await make(store, decide.release(first, None, 0, NOW))
        [second] = await pull(store, worker_id="somebody else")

        assert await pull(store, request_id="r") == []
        assert second == await current(store, second)

    async def test_a_request_id_that_found_nothing_may_find_something(self, store: Store) -> None:
        assert await pull(store, request_id="r") == []
        await push(store, a_job())

        assert len(await pull(store, request_id="r")) == 1

    @pytest.mark.parametrize("size", [10, 5_000])
    @pytest.mark.parametrize("names", [(), ("send",)])
    async def test_a_claim_stops_before_its_bytes_are_over(
        self, store: Store, size: int, names: tuple[str, ...]
    ) -> None:
        """JW-PULL-18: in the order of delivery, all of them once, no lease on what was not handed out."""
        jobs = await push(store, *[a_job(data=sized(size)) for _ in range(300)])
        room = {"max_bytes": 20 * whole_size(jobs[0]), "names": names, "worker_id": "w"}

        claims = [await pull(store, count=1_000, **room) for _ in range(16)]

        assert [len(claim) for claim in claims] == [20] * 15 + [0]
        assert ids(jobs) == ids([job for claim in claims for job in claim])
        assert store.queue("mail").counts == {"active": 300}

    async def test_what_had_no_room_is_left_as_it_was(self, store: Store) -> None:
        jobs = await push(store, *[a_job(data=sized(3_000)) for _ in range(10)])
        [other] = await push(store, a_job(queue="sms", data=b"1"))

        claimed = await pull(store, "mail", "sms", count=50, max_bytes=whole_size(jobs[0]) * 4 + 9)

        assert ids(jobs[:4]) == ids(claimed)
        assert [*jobs[4:], other] == await store.get(ids([*jobs[4:], other]))
        assert store.queue("mail").counts == {"active": 4, "waiting": 6}

    async def test_a_small_job_does_not_go_ahead_of_a_big_one(self, store: Store) -> None:
        first, big, last = await push(store, a_job(), a_job(data=sized(50_000)), a_job(priority=-1))

        claims = [await pull(store, count=9, max_bytes=10_000) for _ in range(3)]

        assert [ids(claim) for claim in claims] == [[first.id], [big.id], [last.id]]

    async def test_claims_that_arrive_together_have_room_each(self, store: Store) -> None:
        jobs = await push(store, *[a_job(data=sized(9_000)) for _ in range(12)])
        room = whole_size(jobs[0]) * 3 + 9

        claims = await asyncio.gather(*[pull(store, count=5, max_bytes=room) for _ in range(5)])

        assert [len(claim) for claim in claims] == [3, 3, 3, 3, 0]
        assert ids(jobs) == ids([job for claim in claims for job in claim])

    async def test_a_request_id_answers_what_had_room(self, store: Store) -> None:
        jobs = await push(store, *[a_job(data=sized(5_000)) for _ in range(5)])
        asked = {"count": 5, "max_bytes": whole_size(jobs[0]) * 2 + 9, "request_id": "r"}

        first = await pull(store, **asked)

        assert len(first) == 2
        assert first == await pull(store, **asked)
        assert store.queue("mail").counts == {"active": 2, "waiting": 3}


class ApplyContract:
    async def test_a_change_makes_its_after_image(self, store: Store) -> None:
        await push(store, a_job())
        [running] = await pull(store)
        after = replace(
            running,
            revision=running.revision + 1,
            state=JobState.DELAYED,
            run_at=NOW + 7,
            position=NOW + 7,
            due_at=NOW + 7,
            updated_at=NOW + 2,
            attempt=1,
            last_error="no\0 \N{BUG}",
            errors=(JobError(1, NOW, "error", "no\0", "w"), JobError(2, NOW, "timeout", "late")),
            progress=3,
            logs=(LogLine(NOW, "line"),),
            result=b"[ 1.0 ]",
            settled_by="fail",
            lease_expires_at=None,
            pending_parents=2,
            reason="failed",
            cancel_requested_at=NOW,
            completed_at=NOW + 1,
            finished_at=NOW + 2,
        )

        [outcome] = await store.apply([Change(after, running.revision)], NOW)

        assert outcome == Applied(after)
        assert after == await current(store, running)
        assert store.queue("mail").counts == {"delayed": 1}

    async def test_a_stale_change_does_nothing_and_shows_the_job(self, store: Store) -> None:
        [job] = await push(store, a_job())
        [running] = await pull(store)
        cancel = decide.cancel(job, NOW)
        assert isinstance(cancel, Change)

        assert [Stale(running)] == await store.apply([cancel], NOW)
        assert running == await current(store, job)

    async def test_a_change_of_an_unknown_job_is_stale(self, store: Store) -> None:
        assert [Stale(None)] == await store.apply([Change(a_job(revision=1), 0)], NOW)

    async def test_a_stale_change_does_not_hold_up_the_rest(self, store: Store) -> None:
        jobs = await push(store, a_job(), a_job(), a_job())
        changes = [decide.cancel(job, NOW) for job in jobs]
        await make(store, changes[1])

        outcomes = await store.apply([c for c in changes if isinstance(c, Change)], NOW)

        assert [Applied, Stale, Applied] == [type(outcome) for outcome in outcomes]
        assert store.queue("mail").counts == {"cancelled": 3}

    async def test_two_changes_of_one_job_follow_each_other(self, store: Store) -> None:
        await push(store, a_job())
        [running] = await pull(store)
        first = decide.progress(running, None, 1, None, NOW)
        assert isinstance(first, Change)
        second = decide.progress(first.job, None, 2, None, NOW)
        assert isinstance(second, Change)

        outcomes = await store.apply([first, second, first], NOW)

        assert [Applied(first.job), Applied(second.job), Stale(second.job)] == outcomes
        assert (await current(store, running)).progress == 2

    async def test_no_changes_are_fine(self, store: Store) -> None:
        assert await store.apply([], NOW) == []

    async def test_a_removed_job_keeps_nothing_of_the_user(self, store: Store) -> None:
        big = a_job(remove_on_complete=True, metadata=b"{}", data=b'"' + b"x" * 5_000 + b'"')
        await push(store, big)
        [running] = await pull(store)
        await make(store, decide.progress(running, None, 1, "line", NOW))
        [running] = await store.get([big.id])  # type: ignore[list-item]

        done = await make(store, decide.ack(running, None, b"1", NOW))

        stone = await current(store, big)
        assert done.job == stone
        assert (stone.state, stone.delivery, stone.settled_by) == ("removed", 1, "ack")
        assert (
            stone.data,
            stone.result,
            stone.metadata,
            stone.errors,
            stone.logs,
        ) == (b"", None, None, (), ())
        assert store.queue("mail").counts == {}

    async def test_a_retry_may_change_what_the_push_set(self, store: Store) -> None:
        dead = await buried(store, a_job(ttl_ms=60_000))

        again = await make(store, decide.retry(dead, NOW + 5))

        assert (again.job.ttl_ms, again.job.attempt, again.job.run_at) == (None, 0, NOW + 5)
        assert again.job == await current(store, dead)
        assert [dead.id] == ids(await pull(store, now=NOW + 90_000))


class ReadContract:
    async def test_get_answers_in_order_and_says_what_is_missing(self, store: Store) -> None:
        [first, second] = await push(store, a_job(), a_job())

        found = await store.get([second.id, MISSING, first.id, second.id])

        assert [second, None, first, second] == found
        assert await store.get([]) == []

    async def test_get_many(self, store: Store) -> None:
        jobs = await push(store, *[a_job() for _ in range(250)])

        assert jobs == await store.get(ids(jobs))

    async def test_find_is_newest_first(self, store: Store) -> None:
        jobs = await push(store, *[a_job() for _ in range(7)])

        assert ids(jobs)[::-1] == ids(await all_pages(store, JobFilter()))

    async def test_a_page_has_a_cursor_until_the_end(self, store: Store) -> None:
        jobs = await push(store, a_job(), a_job(), a_job())

        page = await store.find(JobFilter(), limit=2, cursor=None)
        rest = await store.find(JobFilter(), limit=5, cursor=page.next_cursor)

        assert ids(jobs)[:0:-1] == ids(page.jobs)
        assert (ids(jobs)[:1], None) == (ids(rest.jobs), rest.next_cursor)

    async def test_a_new_job_does_not_disturb_the_pages(self, store: Store) -> None:
        jobs = await push(store, a_job(), a_job())
        page = await store.find(JobFilter(), limit=1, cursor=None)
        await push(store, a_job())

        rest = await store.find(JobFilter(), limit=5, cursor=page.next_cursor)

        assert [jobs[0].id] == ids(rest.jobs)

    @pytest.mark.parametrize(
        "wanted",
        [
            JobFilter(queue="sms"),
            JobFilter(states=("delayed", "cancelled")),
            JobFilter(queue="sms", states=("delayed",)),
            JobFilter(name="other"),
            JobFilter(tag="blue"),
            JobFilter(group_id="g"),
            JobFilter(flow_id="f"),
            JobFilter(custom_id="c"),
            JobFilter(custom_id="c", states=("delayed",), queue="sms"),
            JobFilter(created_after=NOW + 5),
            JobFilter(created_before=NOW),
            JobFilter(queue="sms", name="other", tag="blue", flow_id="f"),
        ],
    )
    async def test_a_filter_finds_what_matches(self, store: Store, wanted: JobFilter) -> None:
        fields: dict[str, Any] = {
            "queue": "sms",
            "name": "other",
            "tags": ("red", "blue"),
            "group_id": "g",
            "flow_id": "f",
            "custom_id": "c",
        }
        early, late = NOW - 1, NOW + 5
        [match] = await push(
            store,
            a_job(
                **fields,
                run_at=NOW + 9,
                created_at=late if wanted.created_after else early,
            ),
        )
        await push(store, a_job(), a_job(tags=("blues",)), a_job())

        assert [match] == await all_pages(store, wanted)

    async def test_an_empty_filter_value_is_a_value(self, store: Store) -> None:
        await push(store, a_job(group_id="g"), a_job())

        assert await all_pages(store, JobFilter(group_id="")) == []

    @pytest.mark.parametrize("state", ["waiting", "delayed", "blocked", "active", "dlq"])
    async def test_each_state_of_a_queue_is_found(self, store: Store, state: str) -> None:
        await buried(store, a_job())
        [parent] = await push(store, a_job(priority=1))
        await pull(store)
        await push(store, a_job(), a_job(run_at=NOW + 1), child_of(parent), a_job(queue="sms"))

        jobs = await all_pages(store, JobFilter(queue="mail", states=(state,)))

        assert [state] == [job.state for job in jobs]

    async def test_dead_letters_of_a_queue_are_listed_by_their_end(self, store: Store) -> None:
        jobs = await push(store, *[a_job() for _ in range(4)])
        running = {job.id: job for job in await pull(store, count=4)}
        for place, end in ((2, 1), (0, 2), (3, 3), (1, 3)):
            dead = decide.fail(running[jobs[place].id], None, "", NOW + end, 0.0, discard=True)
            await make(store, dead)

        found = await all_pages(store, JobFilter(queue="mail", states=("dlq",)), limit=1)

        assert [jobs[place].id for place in (3, 1, 0, 2)] == ids(found)

    async def test_a_call_examines_a_bounded_number_of_rows(self, store: Store) -> None:
        [rare] = await push(store, a_job(name="rare"))
        await push(store, *[a_job() for _ in range(3 * SCAN_ROWS)])

        page = await store.find(JobFilter(name="rare"), limit=5, cursor=None)

        assert page.jobs == []
        assert page.next_cursor is not None
        assert [rare] == await all_pages(store, JobFilter(name="rare"))

    @pytest.mark.parametrize("size", [10, 5_000])
    @pytest.mark.parametrize("wanted", [JobFilter(), JobFilter(queue="mail", states=("waiting",))])
    async def test_a_page_ends_before_its_bytes_are_over(
        self, store: Store, size: int, wanted: JobFilter
    ) -> None:
        """JW-LIMIT-7: the next page begins with the job that had no room."""
        jobs = await push(store, *[a_job(data=sized(size)) for _ in range(25)])
        room = 4 * answer_bytes(jobs[0])

        pages = await pages_of(store, wanted, room)

        assert max(map(len, pages)) == 4
        assert ids(jobs[::-1]) == [job.id for page in pages for job in page]

    async def test_a_page_counts_results_too(self, store: Store) -> None:
        done = []
        for _ in range(5):
            await push(store, a_job())
            [running] = await pull(store)
            ack = decide.ack(running, None, sized(20_000), NOW)
            done.append((await make(store, ack)).job)

        pages = await pages_of(store, JobFilter(), 2 * answer_bytes(done[0]) + 9)

        assert [[done[i] for i in page] for page in ((4, 3), (2, 1), (0,))] == pages

    async def test_a_page_of_dead_letters_ends_before_its_bytes_are_over(
        self, store: Store
    ) -> None:
        dead = [await buried(store, a_job(data=sized(5_000)), NOW + at) for at in (1, 2, 2, 3, 4)]
        wanted = JobFilter(queue="mail", states=("dlq",))

        pages = await pages_of(store, wanted, 2 * answer_bytes(dead[0]) + 9)

        assert [[dead[i] for i in page] for page in ((4, 3), (2, 1), (0,))] == pages

    async def test_a_job_larger_than_a_page_has_one_of_its_own(self, store: Store) -> None:
        jobs = await push(store, a_job(), a_job(data=sized(50_000)), a_job())

        pages = await pages_of(store, JobFilter(), 9)

        assert [[job] for job in reversed(jobs)] == [page for page in pages if page]

    async def test_find_never_shows_tombstones(self, store: Store) -> None:
        await finished(store, a_job(remove_on_complete=True, flow_id="f"))

        assert await all_pages(store, JobFilter()) == []
        assert await all_pages(store, JobFilter(flow_id="f")) == []

    @pytest.mark.parametrize("cursor", ["", "x", "s", "s1.2", "7", "s-", "s1;"])
    async def test_an_unknown_cursor_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor"):
            await store.find(JobFilter(), limit=1, cursor=cursor)

    async def test_the_oldest_waiting_jobs(self, store: Store) -> None:
        jobs = await push(
            store,
            a_job(),
            a_job(run_at=NOW - 3, priority=-1),
            a_job(run_at=NOW - 1, priority=7),
            a_job(run_at=NOW - 2, lifo=True),
            a_job(run_at=NOW - 4, lifo=True),
            a_job(run_at=NOW - 9, queue="sms"),
        )

        found = [Standing(jobs[i].id, jobs[i].run_at) for i in (4, 1, 3)]
        assert found == await store.oldest("mail", "waiting", 3)

    async def test_the_oldest_finished_jobs(self, store: Store) -> None:
        done = [await finished(store, a_job(), NOW + at) for at in (5, 3, 4)]

        found = [Standing(done[i].id, NOW + at) for i, at in ((1, 3), (2, 4))]
        assert found == await store.oldest("mail", "completed", 2)

    @pytest.mark.parametrize("state", ["delayed", "blocked", "active"])
    async def test_the_oldest_of_other_states(self, store: Store, state: str) -> None:
        [parent] = await push(store, a_job(priority=1))
        await pull(store)
        await push(store, a_job(run_at=NOW + 1), child_of(parent))

        [standing] = await store.oldest("mail", state, 5)

        [job] = await store.get([standing.id])
        assert job is not None
        assert (state, standing.entered_at) == (job.state, job.run_at)


class TimeContract:
    async def test_due_jobs_come_earliest_first(self, store: Store) -> None:
        jobs = await push(
            store, a_job(run_at=NOW + 30), a_job(ttl_ms=10), a_job(run_at=NOW + 20), a_job()
        )

        assert [jobs[1], jobs[2]] == await store.due(NOW + 29, 10)
        assert [jobs[1]] == await store.due(NOW + 30, 1)
        assert await store.due(NOW + 9, 10) == []

    async def test_the_next_due_instant(self, store: Store) -> None:
        assert await store.next_due() is None
        await push(store, a_job(run_at=NOW + 30), a_job())
        assert await store.next_due() == NOW + 30

        await pull(store, lease_ms=10)

        assert await store.next_due() == NOW + 10

    async def test_a_finished_job_is_not_due(self, store: Store) -> None:
        await finished(store, a_job(ttl_ms=5))

        assert await store.next_due() is None
        assert await store.due(NOW + 99_999, 5) == []

    async def test_grace_gives_each_active_job_its_lease_again(self, store: Store) -> None:
        await push(store, a_job(), a_job(timeout_ms=100))
        jobs = await pull(store, count=2, lease_ms=1_000)

        assert await store.grace(NOW + 5_000) == 2

        for job in jobs:
            after = await current(store, job)
            assert (after.lease_expires_at, after.due_at) == (NOW + 6_000, NOW + 6_000)
            assert (job.revision + 1, NOW) == (after.revision, after.started_at)

    async def test_grace_shortens_nothing(self, store: Store) -> None:
        await push(store, a_job())
        [job] = await pull(store, lease_ms=1_000)

        assert await store.grace(NOW - 5_000) == 0
        assert job == await current(store, job)

    async def test_grace_touches_only_active_jobs(self, store: Store) -> None:
        jobs = await push(store, a_job(), a_job(run_at=NOW + 1))

        assert await store.grace(NOW + 5_000) == 0
        assert jobs == await store.get(ids(jobs))

    async def test_a_shift_moves_active_jobs_with_the_clock(self, store: Store) -> None:
        await push(store, a_job(timeout_ms=100))
        [job] = await pull(store)

        assert await store.grace(NOW, shift=-3_600_000) == 1

        after = await current(store, job)
        assert after.started_at == NOW - 3_600_000
        assert after.lease_expires_at == NOW + LEASE - 3_600_000
        assert after.due_at == NOW + 100 - 3_600_000
        assert after.revision == job.revision + 1

    async def test_grace_reaches_every_active_job(self, store: Store) -> None:
        await push(store, *[a_job() for _ in range(1_100)])
        await pull(store, count=1_000)
        await pull(store, count=100)

        assert await store.grace(NOW + 1) == 1_100

    async def test_prune_deletes_what_finished_before(self, store: Store) -> None:
        done = [await finished(store, a_job(), NOW + at) for at in (1, 2, 3, 4)]
        dead = await buried(store, a_job(), NOW)
        [waiting] = await push(store, a_job())

        assert await store.prune("mail", "completed", NOW + 4, 2) == 2
        assert [None, None, *done[2:], dead] == await store.get(ids([*done, dead]))
        assert await store.prune("mail", "completed", NOW + 4, 2) == 1
        assert await store.prune("mail", "completed", NOW + 4, 2) == 0
        assert store.queue("mail").counts == {"completed": 1, "dlq": 1, "waiting": 1}
        assert waiting == await current(store, waiting)

    async def test_prune_refuses_unfinished_states(self, store: Store) -> None:
        with pytest.raises(ValueError, match="waiting"):
            await store.prune("mail", "waiting", NOW, 1)

    async def test_a_pruned_id_can_be_used_again(self, store: Store) -> None:
        done = await finished(store, a_job(data=b'"' + b"x" * 9_000 + b'"'))
        await store.prune("mail", "completed", NOW + 1, 9)

        [again] = await push(store, a_job(id=done.id))

        assert again == await current(store, done)

    async def test_sweep_forgets_tombstones_when_their_time_is_over(self, store: Store) -> None:
        stone = await finished(store, a_job(remove_on_complete=True))

        assert await store.sweep(NOW + 59_999, 60_000, 100) == 0
        assert await store.sweep(NOW + 60_000, 60_000, 100) == 1
        assert await store.get([stone.id]) == [None]

    async def test_sweep_forgets_windows_and_claims(self, store: Store) -> None:
        await push(store, keyed(unique_for_ms=1_000))
        [job] = await pull(store, request_id="r", lease_ms=2_000)
        await make(store, decide.ack(job, None, None, NOW))

        assert await store.sweep(NOW + 999, 60_000, 100) == 0
        assert await store.sweep(NOW + 1_000, 60_000, 100) == 1
        assert await store.sweep(NOW + 301_999, 60_000, 100) == 0
        assert await store.sweep(NOW + 302_000, 60_000, 100) == 1

    async def test_sweep_stops_at_its_limit(self, store: Store) -> None:
        for _ in range(3):
            await finished(store, a_job(remove_on_complete=True))
        await finished(store, keyed(unique_for_ms=1).job)

        assert [await store.sweep(NOW + 99_999, 1, 2) for _ in range(3)] == [2, 2, 0]


class QueueContract:
    async def test_an_unknown_queue_has_defaults(self, store: Store) -> None:
        info = store.queue("nobody")

        assert (QueueSettings("nobody"), {}) == (info.settings, info.counts)
        assert dict(store.queues()) == {}
        assert store.backlog("nobody") == 0

    async def test_counts_follow_every_transition(self, store: Store) -> None:
        [parent] = await push(store, a_job())
        await push(store, child_of(parent), a_job(run_at=NOW + 5))
        assert store.queue("mail").counts == {"waiting": 1, "blocked": 1, "delayed": 1}

        [running] = await pull(store)
        assert store.queue("mail").counts == {"active": 1, "blocked": 1, "delayed": 1}

        await make(store, decide.ack(running, None, None, NOW))
        assert store.queue("mail").counts == {"completed": 1, "waiting": 1, "delayed": 1}

    async def test_a_queue_is_listed_while_it_holds_a_job_or_has_settings(
        self, store: Store
    ) -> None:
        await finished(store, a_job())
        await store.set_queue("sms", {"lease_ms": 5_000})
        assert {"mail", "sms"} == set(store.queues())

        await store.prune("mail", "completed", NOW + 1, 9)
        await store.set_queue("sms", NO_SETTINGS)

        assert set() == set(store.queues())

    async def test_named_settings_are_set_and_the_others_stay(self, store: Store) -> None:
        full = QueueSettings("mail", "both", 1_000, 5, 1, 2, 3)
        fields = {name: value for name, value in asdict(full).items() if name != "name"}
        assert full == await store.set_queue("mail", fields)
        assert full == store.queue("mail").settings

        after = await store.set_queue("mail", {"lease_ms": 9_000, "max_length": None})

        assert replace(full, lease_ms=9_000, max_length=None) == after
        assert after == store.queues()["mail"].settings

    async def test_two_calls_that_set_different_fields_both_last(self, store: Store) -> None:
        await asyncio.gather(
            store.set_queue("mail", {"paused": "pull"}), store.set_queue("mail", {"max_length": 7})
        )

        assert QueueSettings("mail", "pull", max_length=7) == store.queue("mail").settings

    async def test_the_backlog_is_what_could_be_pulled(self, store: Store) -> None:
        await push(store, a_job(), a_job(), a_job(run_at=NOW + 5))
        assert store.backlog("mail") == 2

        await store.set_queue("mail", {"paused": "pull"})
        assert store.backlog("mail") == 0

        await store.set_queue("mail", {"paused": "push"})
        assert store.backlog("mail") == 2

    async def test_many_queues_can_come_and_go(self, store: Store) -> None:
        jobs = await push(store, *[a_job(queue=f"q{n}") for n in range(40)])
        listing = store.queues()
        for job in jobs[:20]:
            await make(store, decide.delete(job, NOW))

        assert len(store.queues()) == 20
        assert all(info.counts for info in store.queues().values())
        assert msgspec.to_builtins(dict(listing))


class LifecycleContract:
    async def test_a_store_proves_that_it_can_write(self, store: Store) -> None:
        await store.check()

        assert not store.is_full
        assert store.durability in ("fsync", "os-crash-loss", "memory")

    async def test_close_twice(self, store: Store) -> None:
        await store.close()
        await store.close()


class StoreContract(
    InsertContract,
    UniqueKeyContract,
    DependencyContract,
    ClaimContract,
    ApplyContract,
    ReadContract,
    TimeContract,
    QueueContract,
    LifecycleContract,
):
    """All of it."""
