"""AsyncWorker against the fake server, over HTTP and TCP. Tests wait for events, never for time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.relay import Relay

from jobwire import AsyncClient, AuthError, Discard, Job, Release, RetryIn
from jobwire import _async_worker as worker_module
from jobwire import _worker_core as core
from jobwire._async_worker import AsyncJobContext, AsyncWorker
from jobwire._runtime import AsyncRuntime
from jobwire.testing import FakeServer

PATIENCE = 10.0
FAST = 5.0  # seconds; a call that waits for its own timeout takes at least twice as long
ACKS = {"http": "/jobs/ack", "tcp": '"ack_batch"'}  # what a request with acks says on each wire


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture(params=["http", "tcp"])
async def client(request: pytest.FixtureRequest, fake: FakeServer) -> AsyncIterator[AsyncClient]:
    url = fake.url if request.param == "http" else fake.tcp_url
    async with AsyncClient(url, _runtime=AsyncRuntime(random=lambda: 0.0)) as one:
        yield one


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SILENCE_MIN", 0.3)


async def push(client: AsyncClient, name: str = "job", data: Any = None, **options: Any) -> str:
    return (await client.push("q", name, data, **options)).id


async def ends(fake: FakeServer, job: str, state: str) -> None:
    await asyncio.to_thread(fake.wait_for_state, job, state)


async def comes(fake: FakeServer, operation: str, count: int = 1) -> None:
    await asyncio.to_thread(fake.wait_for, operation, count)


class Gate:
    """A handler that says when it runs, and ends when the test lets it."""

    def __init__(self) -> None:
        self.entered = asyncio.Semaphore(0)
        self.leave = asyncio.Semaphore(0)
        self.deliveries: list[int] = []

    async def __call__(self, job: Job) -> int:
        self.deliveries.append(job.delivery)
        self.entered.release()
        await asyncio.wait_for(self.leave.acquire(), PATIENCE)
        return job.delivery

    async def wait(self) -> None:
        await asyncio.wait_for(self.entered.acquire(), PATIENCE)


class Listener:
    """A handler that runs until its task is cancelled, and keeps the reason."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.reason: str | None = None

    async def __call__(self, job: Job, ctx: AsyncJobContext) -> None:
        self.entered.set()
        try:
            await asyncio.wait_for(asyncio.Event().wait(), PATIENCE)
        finally:
            self.reason = ctx.reason
            self.ended.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self.entered.wait(), PATIENCE)


# --- running jobs -----------------------------------------------------------------------------------------------------


async def test_a_handler_runs_and_its_value_is_the_result(
    fake: FakeServer, client: AsyncClient
) -> None:
    worker = AsyncWorker(client, "q")

    @worker.handler("job")
    async def double(job: Job) -> dict[str, int]:
        return {"doubled": job.data["n"] * 2}

    async with worker:
        jobs = [await push(client, data={"n": n}) for n in range(20)]
        for job in jobs:
            await ends(fake, job, "completed")

    assert [fake.job(job)["result"] for job in jobs] == [{"doubled": n * 2} for n in range(20)]


@pytest.mark.parametrize(
    ("outcome", "state", "attempt"),
    [
        (Discard("never"), "dlq", 1),
        (RetryIn(60, "later"), "delayed", 1),
        (Release(60), "delayed", 0),
        (ValueError("broken"), "delayed", 1),
        (SystemExit(3), "delayed", 1),
        (asyncio.CancelledError(), "delayed", 1),
    ],
)
async def test_what_a_handler_raises_decides_how_its_job_goes_on(
    fake: FakeServer, client: AsyncClient, outcome: BaseException, state: str, attempt: int
) -> None:
    worker = AsyncWorker(client, "q", concurrency=1)

    @worker.handler("job")
    async def handle(job: Job) -> None:
        raise outcome

    job = await push(client)
    async with worker:
        await ends(fake, job, state)

    assert fake.job(job)["attempt"] == attempt


async def test_a_job_without_a_handler_fails_and_is_tried_again(
    fake: FakeServer, client: AsyncClient
) -> None:
    job = await push(client, "job")

    async with AsyncWorker(client, "q"):
        await ends(fake, job, "delayed")

    assert fake.job(job)["last_error"] == "no handler for 'job' on this worker; it has: none"


async def test_progress_and_log_lines_reach_the_job(fake: FakeServer, client: AsyncClient) -> None:
    worker = AsyncWorker(client, "q")

    @worker.handler("job")
    async def handle(job: Job, ctx: AsyncJobContext) -> int:
        await ctx.progress(40, "resizing")
        await ctx.log("still there")
        assert (ctx.lease_expires_at - fake.now).total_seconds() == pytest.approx(30, abs=5)
        return ctx.attempt

    job = await push(client)
    async with worker:
        await ends(fake, job, "completed")

    assert fake.job(job)["progress"] == 40
    assert [line["message"] for line in fake.job(job)["logs"]] == ["resizing", "still there"]


async def test_one_wrapper_goes_around_every_handler_and_errors_are_reported(
    fake: FakeServer, client: AsyncClient
) -> None:
    seen: list[str] = []
    errors: list[str] = []

    def wrap(handler: Callable[[Job, Any], Any]) -> Callable[[Job, Any], Any]:
        async def wrapped(job: Job, ctx: Any) -> Any:
            seen.append(job.name)
            return await handler(job, ctx)

        return wrapped

    worker = AsyncWorker(client, "q", wrap=wrap, on_error=lambda e, job: errors.append(str(e)))

    @worker.handler("good")
    async def good(job: Job) -> None: ...

    @worker.handler("bad")
    async def bad(job: Job) -> None:
        raise ValueError("broken")

    first, second = await push(client, "bad"), await push(client, "good")
    async with worker:
        await ends(fake, first, "delayed")
        await ends(fake, second, "completed")

    assert sorted(seen) == ["bad", "good"]
    assert errors == ["broken"]


# --- fetching ---------------------------------------------------------------------------------------------------------


async def test_a_slot_is_free_before_a_job_is_claimed(
    fake: FakeServer, client: AsyncClient
) -> None:
    gate = Gate()
    worker = AsyncWorker(client, "q", concurrency=2)
    worker.handler("job")(gate)
    jobs = [await push(client) for _ in range(5)]

    async with worker:
        await gate.wait()
        await gate.wait()
        held = [fake.job(job)["state"] for job in jobs]
        for _ in jobs:
            gate.leave.release()
        for job in jobs:
            await ends(fake, job, "completed")

    assert held == ["active", "active", "waiting", "waiting", "waiting"]
    assert all(1 <= pull.get("count", 1) <= 2 for pull in fake.calls_of("pull"))


async def test_a_lost_answer_is_asked_for_again_and_brings_the_same_jobs(
    fake: FakeServer, client: AsyncClient
) -> None:
    gate = Gate()
    worker = AsyncWorker(client, "q", concurrency=1)
    worker.handler("job")(gate)
    job = await push(client)
    fake.drop_next_answer("pull")

    async with worker:
        await gate.wait()
        first, second = fake.calls_of("pull")[:2]
        gate.leave.release()
        await ends(fake, job, "completed")

    assert first["request_id"] == second["request_id"]
    assert gate.deliveries == [1]


async def test_a_deaf_worker_fetches_over_a_new_connection(
    fake: FakeServer, client: AsyncClient
) -> None:
    gate = Gate()
    worker = AsyncWorker(client, "q", heartbeat=0.05, worker_id="w1")
    worker.handler("job")(gate)
    gate.leave.release()
    fake.swallow_next("pull")  # the network lost its way: no answer, no error

    async with worker:
        await comes(fake, "pull")
        job = await push(client)
        fake.make_deaf("w1")
        await ends(fake, job, "completed")

    first, second = fake.calls_of("pull")[:2]
    assert first["request_id"] == second["request_id"]


async def test_a_pull_on_a_connection_that_died_is_asked_again_on_a_new_one(
    fake: FakeServer, client: AsyncClient, short_silence: None, caplog: Any
) -> None:
    """Heartbeats go on over theirs, and neither end is told; the job went into the dead one. JW-SDK-13."""
    with Relay(str(client._endpoint)) as relay:
        async with AsyncClient(relay.url) as behind:
            gate = Gate()
            gate.leave.release()
            worker = AsyncWorker(behind, "q", heartbeat=0.05)
            worker.handler("job")(gate)
            relay.lose("pull")

            async with worker:
                await comes(fake, "pull")
                job = await push(client)
                await asyncio.to_thread(fake.wait_for_state, job, "completed", FAST)

    first, second = fake.calls_of("pull")[:2]
    assert first["request_id"] == second["request_id"]
    assert fake.job(job)["delivery"] == 1
    assert caplog.text.count("server lost") == 1


async def test_a_fetch_loop_that_dies_is_logged_reported_and_started_again(
    fake: FakeServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    errors: list[BaseException] = []
    gate = Gate()
    gate.leave.release()
    worker = AsyncWorker(client, "q", on_error=lambda error, job: errors.append(error))
    worker.handler("job")(gate)
    pull = worker._pull
    bugs = iter([RuntimeError("a bug"), KeyError("another")])

    async def sometimes(*arguments: Any) -> list[Job]:
        for bug in bugs:
            raise bug
        return await pull(*arguments)

    monkeypatch.setattr(worker, "_pull", sometimes)

    async with worker:
        job = await push(client)
        await ends(fake, job, "completed")

    assert [type(error) for error in errors] == [RuntimeError, KeyError]
    assert caplog.text.count("a loop of the worker died and is started again: fetch") == 2


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "refuse"])
async def test_an_ack_without_an_answer_is_sent_again(
    fake: FakeServer, client: AsyncClient, fault: str
) -> None:
    gate = Gate()
    gate.leave.release()
    worker = AsyncWorker(client, "q")
    worker.handler("job")(gate)
    if fault == "drop":
        fake.drop_next_answer("ack_batch")
    else:
        fake.refuse_next("ack_batch", "STORAGE_UNAVAILABLE", times=2)

    async with worker:
        job = await push(client)
        await comes(fake, "ack_batch", 2)
        await ends(fake, job, "completed")

    assert fake.job(job)["delivery"] == 1


async def test_an_ack_on_a_connection_that_died_is_sent_again_on_a_new_one(
    fake: FakeServer, client: AsyncClient, short_silence: None
) -> None:
    """JW-SDK-13."""
    with Relay(str(client._endpoint)) as relay:
        async with AsyncClient(relay.url) as behind:
            gate = Gate()
            gate.leave.release()
            worker = AsyncWorker(behind, "q", heartbeat=0.05)
            worker.handler("job")(gate)
            relay.lose(ACKS[client._endpoint.scheme])

            async with worker:
                job = await push(client)
                await asyncio.to_thread(fake.wait_for, "ack_batch", 2, FAST)

    first, second = fake.calls_of("ack_batch")[:2]
    assert first == second
    assert fake.job(job)["delivery"] == 1


async def test_held_jobs_run_on_while_the_server_is_away_and_are_acked_afterwards(
    fake: FakeServer, client: AsyncClient, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "jobwire")
    gate = Gate()
    worker = AsyncWorker(client, "q", concurrency=3)
    worker.handler("job")(gate)
    jobs = [await push(client) for _ in range(3)]

    async with worker:
        for _ in jobs:
            await gate.wait()
        await asyncio.to_thread(fake.stop)
        for _ in jobs:
            gate.leave.release()
        await asyncio.to_thread(fake.start)
        for job in jobs:
            await ends(fake, job, "completed")

    assert gate.deliveries == [1, 1, 1]
    assert caplog.text.count("server lost") <= 1


# --- heartbeats and the one signal ------------------------------------------------------------------------------------


async def test_a_blocked_event_loop_keeps_its_leases_and_is_reported_once_with_the_place(
    fake: FakeServer, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    told, blocked = threading.Event(), threading.Event()
    worker = AsyncWorker(client, "q", heartbeat=0.02, block_warning=0.02)

    class Telltale(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "event loop blocked" in record.getMessage():
                told.set()

    @worker.handler("job")
    async def stuck_in_the_handler(job: Job) -> int:
        blocked.set()
        assert told.wait(PATIENCE)
        for _ in range(3):  # 60 s of the server's clock, twice the lease
            beats = len(fake.calls_of("heartbeat_batch"))
            fake.wait_for("heartbeat_batch", beats + 2)
            fake.advance(20)
        return job.delivery

    telltale = Telltale()
    logging.getLogger("jobwire").addHandler(telltale)
    try:
        job = await push(client)
        async with worker:
            await ends(fake, job, "completed")
    finally:
        logging.getLogger("jobwire").removeHandler(telltale)

    assert fake.job(job)["result"] == 1
    reports = [r for r in caplog.records if "event loop blocked" in r.getMessage()]
    mine = [r for r in reports if "stuck_in_the_handler" in r.getMessage()]
    assert len(mine) == 1


async def test_a_cancel_cancels_the_task_and_the_job_ends_cancelled(
    fake: FakeServer, client: AsyncClient
) -> None:
    listener = Listener()
    worker = AsyncWorker(client, "q")  # a heartbeat every 10 s: this does not wait for the next one
    worker.handler("job")(listener)
    job = await push(client)

    async with worker:
        await listener.wait()
        await client.cancel(job)
        await asyncio.wait_for(listener.ended.wait(), 1.0)
        await ends(fake, job, "cancelled")

    assert listener.reason == "cancel"


async def test_a_lost_lease_stops_the_handler_and_nothing_is_sent_for_it(
    fake: FakeServer, client: AsyncClient
) -> None:
    listener = Listener()
    worker = AsyncWorker(client, "q", concurrency=2)

    @worker.handler("job")
    async def handle(job: Job, ctx: AsyncJobContext) -> str:
        if job.delivery == 1:
            await listener(job, ctx)
        return "by the second delivery"

    job = await push(client)
    async with worker:
        await listener.wait()
        fake.advance(31)
        await asyncio.wait_for(listener.ended.wait(), PATIENCE)
        await ends(fake, job, "completed")

    assert listener.reason == "lease_lost"
    sent = [item for call in fake.calls_of("ack_batch") for item in call["items"]]
    assert [item["lease"].split("-")[0] for item in sent] == ["2"]
    assert fake.calls_of("fail_batch") == fake.calls_of("release") == []


async def test_a_job_that_takes_longer_than_its_timeout_is_stopped(
    fake: FakeServer, client: AsyncClient
) -> None:
    listener = Listener()
    worker = AsyncWorker(client, "q")
    worker.handler("job")(listener)
    job = await push(client, timeout=0.02)

    async with worker:
        await ends(fake, job, "delayed")

    assert listener.reason == "timeout"
    assert fake.job(job)["last_error"] == "job timed out"


# --- stopping ---------------------------------------------------------------------------------------------------------


async def test_stopping_waits_for_running_jobs_and_takes_no_new_ones(
    fake: FakeServer, client: AsyncClient
) -> None:
    gate = Gate()
    worker = AsyncWorker(client, "q", concurrency=2)
    worker.handler("job")(gate)
    job = await push(client)
    await worker.start()
    await gate.wait()

    stopping = asyncio.create_task(worker.stop())
    await asyncio.to_thread(
        fake.wait_until,
        lambda: any(
            call.fields["worker"]["state"] == "quiet"
            for call in fake.calls
            if call.operation == "heartbeat_batch"
        ),
    )
    late = await push(client)
    gate.leave.release()

    assert await stopping is True
    assert fake.job(job)["state"] == "completed"
    assert fake.job(late)["state"] == "waiting"


async def test_an_idle_worker_that_stops_says_so(
    fake: FakeServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "QUIET_NOTICE", PATIENCE)
    async with AsyncWorker(client, "q", worker_id="w1"):
        await comes(fake, "pull")

    (worker,) = await client.list_workers()
    assert (worker.id, worker.state, worker.free) == ("w1", "quiet", 0)


async def test_the_end_of_the_grace_gives_running_jobs_back_without_burning_an_attempt(
    fake: FakeServer, client: AsyncClient
) -> None:
    listener = Listener()
    worker = AsyncWorker(client, "q")
    worker.handler("job")(listener)
    job = await push(client)
    await worker.start()
    await listener.wait()

    assert await worker.stop(timeout=0.0) is True

    assert listener.reason == "shutdown"
    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)


async def test_a_handler_that_swallows_its_cancellation_is_given_back_as_well(
    fake: FakeServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_NOTICE", 0.0)
    entered, leave, left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    worker = AsyncWorker(client, "q")

    @worker.handler("job")
    async def stubborn(job: Job) -> None:
        entered.set()
        while not leave.is_set():
            try:
                await leave.wait()
            except asyncio.CancelledError:
                continue
        left.set()

    job = await push(client)
    await worker.start()
    await asyncio.wait_for(entered.wait(), PATIENCE)

    assert await worker.stop(timeout=0.0) is False

    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)
    leave.set()
    await asyncio.wait_for(left.wait(), PATIENCE)
    assert fake.calls_of("ack_batch") == []


async def test_the_jobs_of_a_pull_whose_answer_was_lost_before_the_drain_are_given_back(
    fake: FakeServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = AsyncWorker(client, "q")
    paused = asyncio.Event()

    def never_again(channel: str, error: BaseException) -> float:
        paused.set()
        return 3600.0

    monkeypatch.setattr(worker._link, "failed", never_again)
    fake.drop_next_answer("pull")
    job = await push(client)

    await worker.start()
    await asyncio.wait_for(paused.wait(), PATIENCE)
    await worker.stop()

    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)
    assert fake.job(job)["delivery"] == 1


async def test_cancelling_run_drains(fake: FakeServer, client: AsyncClient) -> None:
    gate = Gate()
    worker = AsyncWorker(client, "q")
    worker.handler("job")(gate)
    job = await push(client)
    running = asyncio.create_task(worker.run())
    await gate.wait()

    running.cancel()
    gate.leave.release()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert fake.job(job)["state"] == "completed"


async def test_run_ends_with_stop_and_a_worker_runs_once(
    fake: FakeServer, client: AsyncClient
) -> None:
    worker = AsyncWorker(client, "q")
    running = asyncio.create_task(worker.run())
    await comes(fake, "pull")

    await worker.stop()
    await asyncio.wait_for(running, PATIENCE)

    with pytest.raises(RuntimeError, match="stopped"):
        await worker.start()


@pytest.mark.parametrize("door", ["http", "tcp"])
async def test_a_wrong_token_ends_run_with_the_error(door: str) -> None:
    with FakeServer(token="right") as fake:
        url = fake.url if door == "http" else fake.tcp_url
        async with AsyncClient(url, token="wrong") as client:
            with pytest.raises(AuthError):
                await asyncio.wait_for(AsyncWorker(client, "q").run(), PATIENCE)


def test_heartbeats_do_not_outlive_an_event_loop_that_was_closed(caplog: Any) -> None:
    with FakeServer() as fake:

        async def start_and_forget() -> AsyncWorker:
            worker = AsyncWorker(AsyncClient(fake.url), "q", block_warning=0.02, heartbeat=0.02)
            await worker.start()
            await comes(fake, "pull")
            return worker

        worker = asyncio.run(start_and_forget())

        assert worker._threads.join(PATIENCE)
        assert "closed before the worker was stopped" in caplog.text


# --- jobs that come back without a lease (wire version 1) ----------------------------------------------------------------


class Comeback:
    """Feeds a worker jobs by hand; each handler runs until its delivery is let go."""

    def __init__(self, client: AsyncClient) -> None:
        self.id = str(uuid.uuid4())
        self.pulled: asyncio.Queue[list[Job]] = asyncio.Queue()
        self.leave = {1: asyncio.Event(), 2: asyncio.Event()}
        self.entered = {1: asyncio.Event(), 2: asyncio.Event()}
        self.contexts: dict[int, AsyncJobContext] = {}
        self.worker = AsyncWorker(client, "q", concurrency=2)
        self.worker._pull = self._pull  # type: ignore[method-assign]
        self.worker.handler("job")(self._handle)

    async def bring(self, delivery: int) -> None:
        self.pulled.put_nowait([Job(id=self.id, queue="q", name="job", delivery=delivery)])
        await asyncio.wait_for(self.entered[delivery].wait(), PATIENCE)

    async def wait_for_slots(self, held: int) -> None:
        assert await self.worker._await(lambda: self.worker._slots.held == held, PATIENCE)

    async def _pull(self, client: AsyncClient, plan: core.PullPlan, wait: float) -> list[Job]:
        while not self.worker._draining:
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                return await asyncio.wait_for(self.pulled.get(), 0.02)
        return []

    async def _handle(self, job: Job, ctx: AsyncJobContext) -> None:
        self.contexts[job.delivery] = ctx
        self.entered[job.delivery].set()
        while not self.leave[job.delivery].is_set():  # deaf to its cancellation
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(self.leave[job.delivery].wait(), PATIENCE)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_a_job_that_comes_back_has_its_old_handler_stopped_and_its_slot_freed(
    fake: FakeServer, client: AsyncClient, order: tuple[int, int]
) -> None:
    back = Comeback(client)

    async with back.worker:
        await back.bring(1)
        await back.bring(2)
        assert (back.contexts[1].reason, back.contexts[2].reason) == ("lease_lost", None)
        await back.wait_for_slots(2)
        for left, delivery in zip((1, 0), order, strict=True):
            back.leave[delivery].set()
            await back.wait_for_slots(left)

    assert [len(call["items"]) for call in fake.calls_of("ack_batch")] == [1]


async def test_a_job_that_comes_back_before_its_outcome_has_left_takes_the_place_of_it(
    fake: FakeServer, client: AsyncClient
) -> None:
    back = Comeback(client)
    kept: asyncio.Queue[Any] = asyncio.Queue()
    put = back.worker._settler.put
    back.worker._settler.put = kept.put_nowait  # type: ignore[method-assign,assignment]

    async with back.worker:
        await back.bring(1)
        back.leave[1].set()
        old = await asyncio.wait_for(kept.get(), PATIENCE)
        await back.bring(2)
        await back.wait_for_slots(1)
        back.leave[2].set()
        new = await asyncio.wait_for(kept.get(), PATIENCE)
        put(old)
        put(new)
        await back.wait_for_slots(0)

    assert [len(call["items"]) for call in fake.calls_of("ack_batch")] == [1]
