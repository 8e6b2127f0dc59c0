"""Both clients over both transports against a real server: every method once, and what they promise under faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.live_server import LiveServer, live_server

import jobwire
from jobwire import AsyncClient, Client, Job, PushItem, PushResult, WorkerReport

pytestmark = pytest.mark.acceptance

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
SCHEMES = pytest.mark.parametrize("scheme", ["http", "tcp"])
TOKEN = "s3cret-canary"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server("--token", TOKEN) as running:
        yield running


class Caller:
    """A client of either kind, called the same way."""

    def __init__(self, kind: str, url: str, token: str | None = TOKEN) -> None:
        make: Any = Client if kind == "sync" else AsyncClient
        self.client = make(url, token=token)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self.client, "aclose", None)
        await (asyncio.to_thread(self.client.close) if close is None else close())

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        bound = getattr(self.client, method)
        if isinstance(self.client, Client):
            return await asyncio.to_thread(bound, *args, **kwargs)
        return await bound(*args, **kwargs)

    async def found(self, **filters: Any) -> list[Job]:
        jobs = self.client.find(**filters)
        return list(jobs) if isinstance(self.client, Client) else [job async for job in jobs]


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> str:
    """A queue of the test's own."""
    return "".join(char if char.isalnum() else "-" for char in request.node.name)[-60:]


@KINDS
@SCHEMES
async def test_a_job_lives_its_life(server: LiveServer, queue: str, kind: str, scheme: str) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        pushed = await call(
            "push", queue, "resize", {"ä": [1.5, None]}, tags=["t"], metadata={"m": 1}
        )
        again = await call(
            "push", queue, "resize", {"ä": [1.5, None]}, id=pushed.id, tags=["t"], metadata={"m": 1}
        )
        [job] = await call("pull", queue, wait=5, lease=20, worker_id="w")
        beat = await call("heartbeat", job, lease=60)
        await call("progress", job, 40, "half")
        seen = await call("get_job", job)
        acked = [await call("ack", job, {"r": 1}), await call("ack", job, {"r": 1})]
        done = await call("get_job", pushed.id)

    assert (pushed.outcome, again.outcome) == ("created", "existing")
    assert (job.id, job.data, job.raw_data) == (pushed.id, {"ä": [1.5, None]}, '{"ä":[1.5,null]}')
    assert (job.tags, job.metadata, job.delivery, job.worker_id) == (("t",), {"m": 1}, 1, "w")
    assert job.lease
    assert beat.lease_expires_at > job.lease_expires_at
    assert (seen.state, seen.progress, seen.lease) == ("active", 40, None)
    assert [log.message for log in seen.logs] == ["half"]
    assert acked == [False, True]
    assert (done.state, done.result) == (jobwire.JobState.COMPLETED, {"r": 1})


@KINDS
@SCHEMES
async def test_jobs_fail_and_come_back(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        await call("push", queue, "n", max_attempts=2)
        [job] = await call("pull", queue)
        released = await call("release", job)
        [job] = await call("pull", queue)
        failed = await call("fail", job, ValueError("no"), retry_in=3600)
        promoted = await call("promote", job)
        [job] = await call("pull", queue)
        dead = await call("fail", job, "x" * 20_000, discard=True)
        page = await call("dlq", queue)
        retried = await call("retry_dlq", queue, ids=[job])
        [job] = await call("pull", queue)
        [item] = await call("fail_batch", [(job, "again")])
        cancelled = await call("cancel", job)
        revived = await call("retry", job)
        await call("delete_job", job)
        with pytest.raises(jobwire.NotFoundError):
            await call("get_job", job)

    assert (released.state, released.already) == ("waiting", False)
    assert failed.retry
    assert failed.next_attempt_at > datetime.now(timezone.utc)
    assert promoted.state == "waiting"
    assert dead.retry is False
    assert [one.id for one in page.jobs] == [job.id]
    assert page.jobs[0].errors[0].message == "ValueError: no"
    assert (retried.count, retried.remaining) == (1, 0)
    assert item.ok
    assert (cancelled.state, revived.state) == ("cancelled", "waiting")


@KINDS
@SCHEMES
async def test_a_stale_lease_is_refused(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        await call("push", queue, "n")
        [job] = await call("pull", queue)
        await call("release", job)
        [newer] = await call("pull", queue)
        with pytest.raises(jobwire.ConflictError) as caught:
            await call("ack", job)
        [mine, stale] = await call("ack_batch", [(newer, 1), job])

    assert caught.value.code == "LEASE_LOST"
    assert mine.ok
    assert stale.error is not None


@KINDS
@SCHEMES
async def test_the_same_request_id_gets_the_same_jobs(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        await call("push_batch", queue, [{"name": "n"}] * 4)
        first = await call("pull", queue, count=2, request_id=queue)
        second = await call("pull", queue, count=2, request_id=queue)
        third = await call("pull", queue, count=5)

    assert [(job.id, job.lease) for job in first] == [(job.id, job.lease) for job in second]
    assert len({job.id for job in (*first, *third)}) == 4


@KINDS
@SCHEMES
async def test_batches_and_pages(server: LiveServer, queue: str, kind: str, scheme: str) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        results = await call(
            "push_batch", queue, [PushItem(name="n", data=n, priority=n) for n in range(25)]
        )
        mixed = await call(
            "push_batch",
            queue,
            [{"name": "u", "unique_key": "k"}, {"name": "u", "unique_key": "k"}],
            atomic=False,
        )
        with pytest.raises(jobwire.ConflictError) as caught:
            await call("push", queue, "u", unique_key="k")
        ids = {job.id for job in await call.found(queue=queue, name="n", page_size=10)}
        one = await call("find_page", queue=queue, limit=1)
        jobs = await call("pull", queue, count=25)

    assert ids == {result.id for result in results}
    assert isinstance(mixed[0], PushResult)
    assert isinstance(mixed[1], jobwire.ConflictError)
    assert caught.value.details["existing_id"] == mixed[0].id
    assert (len(one.jobs), one.next_cursor is None) == (1, False)
    assert [job.data for job in jobs] == list(range(24, -1, -1))


@KINDS
@SCHEMES
async def test_queues_flows_and_the_server(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        parent = await call("push", queue, "n", flow_id=queue, delay=100)
        await call("push", queue, "n", flow_id=queue, depends_on=[parent.id])
        await call("pause_queue", queue)
        paused = await call("stats", queue)
        await call("resume_queue", queue)
        updated = await call("update_queue", queue, lease=45, max_length=10)
        reset = await call("update_queue", queue, lease=None)
        flow = await call("get_flow", queue)
        listed = [info for info in await call("list_queues") if info.name == queue]
        report = WorkerReport(id=f"w-{queue}", queues=[queue], concurrency=2, free=2)
        beat = await call("heartbeat_batch", [], worker=report)
        workers = [one for one in await call("list_workers") if one.id == report.id]
        health, able = await call("health"), await call("capabilities")
        discarded = await call("discard_dlq", queue)
        await call("ping")

    assert (paused.paused, paused.counts.delayed, paused.counts.blocked) == ("pull", 1, 1)
    assert (updated.lease, updated.max_length) == (45.0, 10)
    assert (reset.lease, reset.max_length) == (None, 10)
    assert (len(flow.jobs), flow.summary["total"]) == (2, 2)
    assert listed[0].counts.delayed == 1
    assert beat.results == ()
    assert [(one.state, one.concurrency) for one in workers] == [("alive", 2)]
    assert (health.status, health.durability) == ("healthy", "memory")
    assert 2 in able.wire
    assert discarded.count == 0


@KINDS
@SCHEMES
async def test_a_waiting_pull_gets_a_job_that_comes(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with (
        Caller(kind, server.url(scheme)) as call,
        Caller("async", server.url("tcp")) as other,
    ):
        waiting = asyncio.create_task(call("pull", [queue, queue + "2"], wait=20))
        await asyncio.sleep(0.1)  # so that it most likely waits; the answer is the same either way
        pushed = await other(
            "push", queue + "2", "n", run_at=datetime.now(timezone.utc) + timedelta(milliseconds=50)
        )
        jobs = await asyncio.wait_for(waiting, 10)

    assert [job.id for job in jobs] == [pushed.id]


@KINDS
@SCHEMES
async def test_an_interrupted_pull_ends_at_once(
    server: LiveServer, queue: str, kind: str, scheme: str
) -> None:
    async with Caller(kind, server.url(scheme)) as call:
        waiting = asyncio.create_task(call("pull", queue, wait=30))
        await asyncio.sleep(0.2)
        call.client._interrupt_waits()
        assert await asyncio.wait_for(waiting, 10) == []


@KINDS
@SCHEMES
@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_wrong_token_is_refused(
    server: LiveServer, queue: str, kind: str, scheme: str, token: str | None
) -> None:
    async with Caller(kind, server.url(scheme), token) as call:
        with pytest.raises(jobwire.JobwireError) as caught:
            await call("push", queue, "n")

    # After several wrong ones the server does not look at them any more.
    assert caught.value.code in ("UNAUTHORIZED", "RATE_LIMITED")


@SCHEMES
def test_threads_share_a_client(server: LiveServer, queue: str, scheme: str) -> None:
    taken: list[str] = []

    def work(client: Client) -> None:
        while jobs := client.pull(queue, count=7):
            taken.extend(item.id for item in client.ack_batch(jobs) if item.ok)

    with Client(server.url(scheme), token=TOKEN) as client:
        pushed = client.push_batch(queue, [PushItem(name="n") for _ in range(500)])
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(taken) == sorted(result.id for result in pushed if isinstance(result, PushResult))
