"""
Any sequence of operations, on every store, against the plain model of model.py: the same answers and the same jobs after each step.

JOBWIRE_MODEL_EXAMPLES and JOBWIRE_MODEL_STEPS make it as long as one likes; a failure prints the shortest sequence that shows it.
"""

from __future__ import annotations

import asyncio
import copy
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from tests.operations.model import UNFINISHED, Model, Options
from tests.stores import new_store
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.ids import IdMaker
from jobwire_server.model import Job

pytestmark = pytest.mark.slow

QUEUES = ("a", "b")
REMEMBERED_MS = 60_000
new_id = IdMaker().new

options = st.builds(
    Options,
    priority=st.integers(-1, 1),
    delay=st.sampled_from([0, 0, 0, 100, 40_000]),
    max_attempts=st.integers(1, 3),
    backoff=st.sampled_from([0, 100]),
    ttl=st.sampled_from([None, None, None, 100, 35_000]),
    timeout=st.sampled_from([None, None, 500, 45_000]),
    key=st.sampled_from([None, None, "k", "l"]),
    on_conflict=st.sampled_from(["reject", "ignore", "replace"]),
    lifo=st.booleans(),
    remove_on_complete=st.booleans(),
    remove_on_fail=st.booleans(),
)
queues = st.sampled_from(QUEUES)


def as_fields(said: Options) -> dict[str, Any]:
    """The options as a push sends them."""
    return {
        "priority": said.priority,
        "delay_ms": said.delay,
        "max_attempts": said.max_attempts,
        "backoff": "fixed",
        "backoff_delay_ms": said.backoff,
        "ttl_ms": said.ttl,
        "timeout_ms": said.timeout,
        "lifo": said.lifo,
        "remove_on_complete": said.remove_on_complete,
        "remove_on_fail": said.remove_on_fail,
        "depends_on": list(said.parents),
        **({} if said.key is None else {"unique_key": said.key, "on_conflict": said.on_conflict}),
    }


def verdict(answer: dict[str, Any]) -> str:
    """The answer in the words of the model."""
    if not answer["ok"]:
        return str(answer["error"]["code"])
    return str(answer.get("outcome") or ("already" if answer.get("already") else "ok"))


class Jobs(RuleBasedStateMachine):
    """The domain; a subclass for each kind of store."""

    kind: ClassVar[str]
    ids: Bundle[str] = Bundle("ids")
    leases: Bundle[tuple[str, str]] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="jobwire-model-")
        self.clock = ManualClock()
        self.model = Model(self.clock.now())
        self.gone_at: dict[str, int] = {}
        self.deliveries: dict[str, int] = {}
        self.retried: set[str] = set()
        self.acked: set[str] = set()
        self.store = new_store(self.kind, Path(self.folder.name))

    @initialize()
    def start(self) -> None:
        self.do(self.store.open(self.clock.now()))
        self.world = World(self.store, self.clock)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    def ask(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.do(self.world.ask(cmd, **fields))
        return answer

    def is_remembered(self, job_id: str) -> bool:
        """False when the server may have forgotten a removed job."""
        return self.clock.now() - self.gone_at.get(job_id, self.clock.now()) < REMEMBERED_MS

    # --- pushing ---

    @rule(target=ids, queue=queues, said=options)
    def push(self, queue: str, said: Options) -> Any:
        return self.pushed(queue, said)

    @rule(
        target=ids,
        queue=queues,
        said=options,
        parents=st.lists(ids, min_size=1, max_size=3, unique=True),
    )
    def push_child(self, queue: str, said: Options, parents: list[str]) -> Any:
        known = [
            p
            for p in parents
            if self.model.jobs[p].state != "removed" or not self.model.jobs[p].acked
        ]
        said.parents = tuple(known)
        return self.pushed(queue, said)

    def pushed(self, queue: str, said: Options) -> Any:
        job_id = new_id()
        answer = self.ask("push", queue=queue, name="n", id=job_id, **as_fields(said))
        assert verdict(answer) == self.model.push(job_id, queue, said)
        return job_id if job_id in self.model.jobs else multiple()

    @rule(job_id=ids)
    def push_again(self, job_id: str) -> None:
        if self.is_remembered(job_id):
            answer = self.ask("push", queue=self.model.jobs[job_id].queue, name="n", id=job_id)
            assert (verdict(answer), answer["id"]) == ("existing", job_id)

    @rule(target=ids, queue=queues, said=st.lists(options, max_size=3), circle=st.booleans())
    def push_batch(self, queue: str, said: list[Options], circle: bool) -> Any:
        """A chain, youngest first: each job depends on the one behind it."""
        new = [new_id() for _ in said]
        for index, job in enumerate(said[:-1]):
            job.parents = (new[index + 1],)
        if circle and len(said) > 1:
            said[-1].parents = (new[0],)
        jobs = [{"name": "n", "id": i, **as_fields(job)} for i, job in zip(new, said, strict=True)]
        before = self.do(self.world.counts(queue))

        answer = self.ask("push_batch", queue=queue, jobs=jobs)

        trial = copy.deepcopy(self.model)
        would_be = [
            trial.push(i, queue, job) for i, job in reversed(list(zip(new, said, strict=True)))
        ]
        if (circle and len(said) > 1) or not {"created", "existing", "replaced"}.issuperset(
            would_be
        ):
            assert not answer["ok"]
            assert self.do(self.world.counts(queue)) == before
            return multiple()
        outcomes = [
            self.model.push(i, queue, job) for i, job in reversed(list(zip(new, said, strict=True)))
        ]
        assert answer["outcomes"] == outcomes[::-1]
        return multiple(*(i for i in new if i in self.model.jobs))

    # --- working ---

    @rule(target=leases, queue=queues, count=st.integers(1, 3))
    def pull(self, queue: str, count: int) -> Any:
        answer = self.ask("pull", queue=queue, count=count, worker_id="w")
        jobs = answer["jobs"] if count != 1 else [answer["job"]] if answer["job"] else []
        assert [job["id"] for job in jobs] == self.model.pull(queue, count)
        for job in jobs:
            mine = self.model.jobs[job["id"]]
            assert job["lease"] != mine.lease
            assert job["delivery"] == mine.delivery
            assert job["id"] not in self.acked
            mine.lease = job["lease"]
        return multiple(*((job["id"], job["lease"]) for job in jobs))

    def spoken(
        self, operation: str, held: tuple[str, str], with_lease: bool, **fields: Any
    ) -> tuple[str, str, str | None] | None:
        """Say something for a job; (the server's verdict, the job, the lease shown), None where the server may have forgotten."""
        job_id, lease = held
        if not self.is_remembered(job_id):
            return None
        shown = lease if with_lease else None
        answer = self.ask(operation, id=job_id, lease=shown, **fields)
        return verdict(answer), job_id, shown

    @rule(held=leases, with_lease=st.booleans())
    def ack(self, held: tuple[str, str], with_lease: bool) -> None:
        if said := self.spoken("ack", held, with_lease):
            assert said[0] == self.model.ack(said[1], said[2])
            if said[0] == "ok":
                self.acked.add(said[1])

    @rule(held=leases, with_lease=st.booleans(), discard=st.booleans())
    def fail(self, held: tuple[str, str], with_lease: bool, discard: bool) -> None:
        if said := self.spoken("fail", held, with_lease, discard=discard):
            assert said[0] == self.model.fail(said[1], said[2], discard=discard)

    @rule(held=leases, with_lease=st.booleans(), delay=st.sampled_from([0, 0, 100]))
    def release(self, held: tuple[str, str], with_lease: bool, delay: int) -> None:
        if said := self.spoken("release", held, with_lease, delay_ms=delay):
            assert said[0] == self.model.release(said[1], said[2], delay)

    @rule(held=leases, with_lease=st.booleans())
    def heartbeat(self, held: tuple[str, str], with_lease: bool) -> None:
        if said := self.spoken("heartbeat", held, with_lease):
            assert said[0] == self.model.heartbeat(said[1], said[2])

    @rule(held=leases, with_lease=st.booleans())
    def progress(self, held: tuple[str, str], with_lease: bool) -> None:
        if said := self.spoken("progress", held, with_lease, progress=50):
            assert said[0] == self.model.progress(said[1], said[2])

    @rule(held=consumes(leases), other=leases)
    def ack_batch(self, held: tuple[str, str], other: tuple[str, str]) -> None:
        if not (self.is_remembered(held[0]) and self.is_remembered(other[0])):
            return
        pairs = [held, other, held]
        answer = self.ask("ack_batch", items=[{"id": i, "lease": lease} for i, lease in pairs])
        for (job_id, lease), result in zip(pairs, answer["results"], strict=True):
            assert verdict(result) == self.model.ack(job_id, lease)
            if verdict(result) == "ok":
                self.acked.add(job_id)

    # --- caring ---

    @rule(job_id=ids, operation=st.sampled_from(["cancel", "retry", "promote", "delete"]))
    def care(self, job_id: str, operation: str) -> None:
        answer = self.ask(operation, id=job_id)
        assert verdict(answer) == getattr(self.model, operation)(job_id)
        if operation == "retry" and answer["ok"]:
            self.retried.add(job_id)

    @rule(queue=queues, mode=st.sampled_from(["push", "pull", "both", None, None]))
    def pause(self, queue: str, mode: str | None) -> None:
        if mode is None:
            self.ask("queue_resume", queue=queue)
            self.model.paused.pop(queue, None)
        else:
            self.ask("queue_pause", queue=queue, mode=mode)
            self.model.paused[queue] = mode

    @rule(queue=queues, limit=st.sampled_from([1, 3, None, None]))
    def limit(self, queue: str, limit: int | None) -> None:
        self.ask("queue_update", queue=queue, max_length=limit)
        self.model.max_length.pop(queue, None)
        if limit is not None:
            self.model.max_length[queue] = limit

    # --- time ---

    @rule(ms=st.sampled_from([0, 1, 99, 100, 500, 29_999, 30_000]))
    def pass_time(self, ms: int) -> None:
        self.do(self.world.after(ms))
        self.model.pass_time(ms)

    @rule(down_ms=st.sampled_from([0, 20_000, 100_000]))
    def reopen(self, down_ms: int) -> None:
        """The server stops and starts again; the jobs of a store in memory outlive only its operations."""
        self.clock.advance(down_ms)
        self.model.now += down_ms
        if self.kind != "memory":
            self.do(self.store.close())
            self.store = new_store(self.kind, Path(self.folder.name))
            self.do(self.store.open(self.clock.now()))
        self.world = World(self.store, self.clock)
        self.do(self.world.housekeeper.start())
        self.model.restart()

    # --- what holds after every step ---

    @invariant()
    def every_job_is_as_the_model_has_it(self) -> None:
        for job_id, job in self.rows().items():
            mine = self.model.jobs[job_id]
            if job is None:
                assert mine.state == "removed"
                assert not self.is_remembered(job_id)
                continue
            assert (str(job.state), job.attempt, job.delivery) == (
                mine.state,
                mine.attempt,
                mine.delivery,
            )
            if mine.state != "removed":
                assert (job.reason, job.run_at) == (mine.reason, mine.run_at)
            else:
                self.gone_at.setdefault(job_id, self.clock.now())

    @invariant()
    def what_must_never_happen_does_not(self) -> None:
        jobs = {job_id: job for job_id, job in self.rows().items() if job is not None}
        held: set[tuple[str, str]] = set()
        for job_id, job in jobs.items():
            assert job.delivery >= self.deliveries.get(job_id, 0)
            self.deliveries[job_id] = job.delivery
            assert job.attempt <= job.max_attempts
            assert (job.lease_expires_at is not None) is (job.state == "active")
            assert job_id not in self.acked or job.state in ("completed", "removed")
            if job.unique_key is not None and job.state in UNFINISHED:
                assert (job.queue, job.unique_key) not in held
                held.add((job.queue, job.unique_key))
            if job.state == "active" and job_id not in self.retried:
                assert all(parent in self.acked or parent not in jobs for parent in job.depends_on)

    @invariant()
    def the_counts_are_those_of_the_jobs(self) -> None:
        if not hasattr(self, "world"):
            return
        for queue in QUEUES:
            assert self.do(self.world.counts(queue)) == self.model.counts(queue)

    def rows(self) -> dict[str, Job | None]:
        ids = list(self.model.jobs)
        found = self.do(self.store.get(ids)) if ids else []
        return dict(zip(ids, found, strict=True))


class InMemory(Jobs):
    kind = "memory"


class InSqlite(Jobs):
    kind = "sqlite"


PROFILE = settings(
    max_examples=int(os.environ.get("JOBWIRE_MODEL_EXAMPLES", "40")),
    stateful_step_count=int(os.environ.get("JOBWIRE_MODEL_STEPS", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestInMemory = InMemory.TestCase
TestInMemory.settings = PROFILE
TestInSqlite = InSqlite.TestCase
TestInSqlite.settings = PROFILE
