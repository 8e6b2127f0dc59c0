"""Races that every store must decide: real concurrent callers, and exactly one winner each time."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.store.jobs import LEASE, NOW, a_job, current, offer, pull, push

from jobwire_server.engine import decide
from jobwire_server.model import Change, Job, PushItem
from jobwire_server.store.base import Applied, ApplyOutcome, Inserted, KeyTaken, Stale, Store

ROUNDS = 20


def change(decision: object) -> Change:
    assert isinstance(decision, Change), decision
    return decision


async def race(store: Store, *changes: Change) -> list[ApplyOutcome]:
    """Apply each change from a caller of its own, all at once."""
    answers = await asyncio.gather(*(store.apply([each], NOW + LEASE) for each in changes))
    return [outcome for [outcome] in answers]


class RaceContract:
    async def test_claims_at_once_hand_out_each_job_once(self, store: Store) -> None:
        await push(store, *[a_job() for _ in range(200)])

        answers = await asyncio.gather(*(pull(store, count=1 + n % 5) for n in range(100)))

        handed_out = Counter(job.id for jobs in answers for job in jobs)
        assert len(handed_out) == 200
        assert set(handed_out.values()) == {1}
        assert store.queue("mail").counts == {"active": 200}

    async def test_claims_at_once_are_served_in_order(self, store: Store) -> None:
        jobs = await push(store, *[a_job() for _ in range(30)])

        answers = await asyncio.gather(*(pull(store, count=3) for _ in range(10)))

        assert [job.id for job in jobs] == [job.id for taken in answers for job in taken]

    async def test_one_request_id_from_many_callers_is_one_claim(self, store: Store) -> None:
        await push(store, *[a_job() for _ in range(50)])

        answers = await asyncio.gather(*(pull(store, count=2, request_id="r") for _ in range(20)))

        assert all(jobs == answers[0] for jobs in answers)
        assert store.queue("mail").counts == {"active": 2, "waiting": 48}

    async def test_ack_against_expiry_has_one_winner(self, store: Store) -> None:
        for _ in range(ROUNDS):
            await push(store, a_job(max_attempts=1))
            [job] = await pull(store)
            late = NOW + LEASE
            ack, expiry = decide.ack(job, None, b"1", late), decide.elapse(job, late, 0.0)

            outcomes = await race(store, change(ack), change(expiry), change(ack))

            assert [Applied, Stale, Stale] == sorted(
                (type(outcome) for outcome in outcomes), key=lambda kind: kind.__name__
            )
            [winner] = [outcome for outcome in outcomes if isinstance(outcome, Applied)]
            assert winner.job == await current(store, job)

    async def test_cancel_against_claim_has_one_winner(self, store: Store) -> None:
        for _ in range(ROUNDS):
            [job] = await push(store, a_job())

            [outcome], claimed = await asyncio.gather(
                store.apply([change(decide.cancel(job, NOW))], NOW), pull(store)
            )

            assert isinstance(outcome, Applied) != bool(claimed)
            assert ("active" if claimed else "cancelled") == (await current(store, job)).state
            if claimed:
                await store.apply([change(decide.ack(claimed[0], None, None, NOW))], NOW)

    async def test_parallel_pushes_of_a_unique_key_give_one_job(self, store: Store) -> None:
        items = [PushItem(a_job(unique_key="k")) for _ in range(32)]

        answers = await asyncio.gather(*(offer(store, item) for item in items))

        outcomes = [outcome for [outcome] in answers]
        [winner] = [outcome.job for outcome in outcomes if isinstance(outcome, Inserted)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, KeyTaken)]
        assert [KeyTaken(winner.id)] * 31 == losers
        assert store.queue("mail").counts == {"waiting": 1}

    async def test_parallel_replacements_leave_one_job(self, store: Store) -> None:
        items = [PushItem(a_job(unique_key="k"), "replace") for _ in range(32)]

        await asyncio.gather(*(offer(store, item) for item in items))

        assert store.queue("mail").counts == {"waiting": 1, "cancelled": 31}

    async def test_parallel_pushes_of_one_id_give_one_job(self, store: Store) -> None:
        job = a_job()

        answers = await asyncio.gather(*(offer(store, job) for _ in range(32)))

        assert sum(isinstance(outcome, Inserted) for [outcome] in answers) == 1
        assert store.queue("mail").counts == {"waiting": 1}

    async def test_a_child_pushed_while_its_parent_ends_is_never_stuck(self, store: Store) -> None:
        for _ in range(ROUNDS):
            await push(store, a_job())
            [parent] = await pull(store)
            child = a_job(depends_on=(parent.id,))

            await asyncio.gather(
                store.apply([change(decide.ack(parent, None, None, NOW))], NOW),
                offer(store, child),
            )

            [released] = await pull(store)
            assert (child.id, 0) == (released.id, released.pending_parents)
            await store.apply([change(decide.ack(released, None, None, NOW))], NOW)

    async def test_parents_that_end_at_once_release_their_child_once(self, store: Store) -> None:
        parents = await push(store, *[a_job() for _ in range(10)])
        [child] = await push(store, a_job(depends_on=tuple(job.id for job in parents)))
        running = await pull(store, count=10)

        outcomes = await race(store, *(change(decide.ack(job, None, None, NOW)) for job in running))

        released: list[Job] = [
            each
            for outcome in outcomes
            if isinstance(outcome, Applied)
            for each in outcome.children
            if each.state == "waiting"
        ]
        assert [child.id] == [job.id for job in released]
