"""Worker against the fake server, over HTTP and TCP. Tests wait for events, never for time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.relay import Relay

from jobwire import AuthError, Client, Discard, Job, Release, RetryIn
from jobwire import _worker as worker_module
from jobwire import _worker_core as core
from jobwire._runtime import Runtime
from jobwire._worker import JobContext, Worker
from jobwire.testing import FakeServer

PATIENCE = 10.0
FAST = 5.0  # seconds; a call that waits for its own timeout takes at least twice as long
ACKS = {"http": "/jobs/ack", "tcp": '"ack_batch"'}  # what a request with acks says on each wire


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture(params=["http", "tcp"])
def client(request: pytest.FixtureRequest, fake: FakeServer) -> Iterator[Client]:
    url = fake.url if request.param == "http" else fake.tcp_url
    with Client(
        url, _runtime=Runtime(random=lambda: 0.0)
    ) as one:  # no jitter: reconnects are at once
        yield one


@pytest.fixture
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SILENCE_MIN", 0.3)


def longest_wait_ms(client: Client, silence: float = 10.0) -> int:
    """How long a pull is held by default; over HTTP a server that holds it cannot be asked whether it lives."""
    return 20_000 if client._endpoint.is_tcp else round(silence * 1000 / 2)


def push(client: Client, name: str = "job", data: Any = None, **options: Any) -> str:
    return client.push("q", name, data, **options).id


class Gate:
    """A handler that says when it runs, and ends when the test lets it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.deliveries: list[int] = []

    def __call__(self, job: Job) -> int:
        self.deliveries.append(job.delivery)
        self.entered.release()
        assert self.leave.acquire(timeout=PATIENCE)
        return job.delivery

    def wait(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)


class Listener:
    """A handler that runs until it is asked to stop, and keeps the reason."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.ended = threading.Event()
        self.reason: str | None = None

    def __call__(self, job: Job, ctx: JobContext) -> None:
        self.entered.set()
        assert ctx.cancelled.wait(PATIENCE)
        self.reason = ctx.reason
        self.ended.set()
        ctx.check()

    def wait(self) -> None:
        assert self.entered.wait(PATIENCE)


# --- running jobs -----------------------------------------------------------------------------------------------------


def test_a_handler_runs_and_its_value_is_the_result(fake: FakeServer, client: Client) -> None:
    worker = Worker(client, "q")
    worker.handler("job")(lambda job: {"doubled": job.data["n"] * 2})

    with worker:
        jobs = [push(client, data={"n": n}) for n in range(20)]
        for job in jobs:
            fake.wait_for_state(job, "completed")

    assert [fake.job(job)["result"] for job in jobs] == [{"doubled": n * 2} for n in range(20)]


@pytest.mark.parametrize(
    ("outcome", "state", "attempt"),
    [
        (Discard("never"), "dlq", 1),
        (RetryIn(60, "later"), "delayed", 1),
        (Release(60), "delayed", 0),
        (Release(), "waiting", 0),
        (ValueError("broken"), "delayed", 1),
        (SystemExit(3), "delayed", 1),
        (asyncio.CancelledError(), "delayed", 1),
        (GeneratorExit(), "delayed", 1),
        (Discard(ValueError("never")), "dlq", 1),  # type: ignore[arg-type]
    ],
)
def test_what_a_handler_raises_decides_how_its_job_goes_on(
    fake: FakeServer, client: Client, outcome: BaseException, state: str, attempt: int
) -> None:
    runs = threading.Semaphore(1)
    gate = Gate()
    worker = Worker(client, "q", concurrency=1)

    @worker.handler("job")
    def handle(job: Job) -> None:
        if runs.acquire(blocking=False):
            raise outcome
        gate(job)

    job = push(client)
    with worker:
        if state == "waiting":  # a release without a delay: it comes back at once
            gate.wait()
            assert fake.job(job)["attempt"] == attempt
            gate.leave.release()
        else:
            fake.wait_for_state(job, state)
            assert fake.job(job)["attempt"] == attempt


def test_a_failure_is_told_with_type_message_and_traceback(
    fake: FakeServer, client: Client
) -> None:
    worker = Worker(client, "q")

    @worker.handler("job")
    def handle(job: Job) -> None:
        raise LookupError("no such user")

    job = push(client)
    with worker:
        fake.wait_for_state(job, "delayed")

    text = fake.job(job)["last_error"]
    assert text.startswith("LookupError: no such user\n\n")
    assert 'raise LookupError("no such user")' in text


def test_a_job_without_a_handler_fails_and_is_tried_again(fake: FakeServer, client: Client) -> None:
    worker = Worker(client, "q")
    worker.handler("other")(lambda job: None)

    job = push(client, "job")
    with worker:
        fake.wait_for_state(job, "delayed")

    assert fake.job(job)["last_error"] == "no handler for 'job' on this worker; it has: other"


def test_typed_data_reaches_the_handler_and_a_misfit_is_a_dead_letter(
    fake: FakeServer, client: Client
) -> None:
    @dataclass
    class Welcome:
        to: str

    worker = Worker(client, "q")
    worker.handler("job", data=Welcome)(lambda job: job.data.to.upper())

    good, bad = push(client, data={"to": "ada"}), push(client, data={"too": "ada"})
    with worker:
        fake.wait_for_state(good, "completed")
        fake.wait_for_state(bad, "dlq")

    assert fake.job(good)["result"] == "ADA"
    assert "does not fit Welcome: missing to" in fake.job(bad)["last_error"]


class Undumpable:
    def model_dump(self, **_: object) -> object:
        raise KeyError("a fault of the model")


@pytest.mark.parametrize("value", [object(), Undumpable()], ids=["object", "undumpable"])
def test_a_result_that_is_not_json_fails_its_own_job_only(
    fake: FakeServer, client: Client, value: object
) -> None:
    worker = Worker(client, "q")
    worker.handler("odd")(lambda job: value)
    worker.handler("good")(lambda job: 1)

    odd, good = push(client, "odd"), push(client, "good")
    with worker:
        fake.wait_for_state(good, "completed")
        fake.wait_for_state(odd, "delayed")

    assert "result cannot be kept" in fake.job(odd)["last_error"]


def test_progress_and_log_lines_reach_the_job(fake: FakeServer, client: Client) -> None:
    worker = Worker(client, "q")

    @worker.handler("job")
    def handle(job: Job, ctx: JobContext) -> int:
        ctx.progress(40, "resizing")
        ctx.log("still there")
        assert (ctx.lease_expires_at - fake.now).total_seconds() == pytest.approx(30, abs=5)
        return ctx.attempt

    job = push(client)
    with worker:
        fake.wait_for_state(job, "completed")

    assert fake.job(job)["progress"] == 40
    assert [line["message"] for line in fake.job(job)["logs"]] == ["resizing", "still there"]


def test_one_wrapper_goes_around_every_handler_and_errors_are_reported(
    fake: FakeServer, client: Client
) -> None:
    seen: list[str] = []
    errors: list[tuple[str, str]] = []
    failure = ValueError("broken")

    def wrap(handler: Callable[[Job, Any], Any]) -> Callable[[Job, Any], Any]:
        def wrapped(job: Job, ctx: Any) -> Any:
            seen.append(job.name)
            return handler(job, ctx)

        return wrapped

    def report(error: BaseException, job: Job | None) -> None:
        assert job is not None
        errors.append((job.id, str(error)))
        raise RuntimeError("an error in on_error stops nothing")

    worker = Worker(client, "q", wrap=wrap, on_error=report)
    worker.handler("good")(lambda job: None)

    @worker.handler("bad")
    def bad(job: Job) -> None:
        raise failure

    first, second = push(client, "bad"), push(client, "good")
    with worker:
        fake.wait_for_state(first, "delayed")
        fake.wait_for_state(second, "completed")

    assert sorted(seen) == ["bad", "good"]
    assert errors == [(first, "broken")]


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_a_slot_is_free_before_a_job_is_claimed(fake: FakeServer, client: Client) -> None:
    gate = Gate()
    worker = Worker(client, "q", concurrency=2)
    worker.handler("job")(gate)
    jobs = [push(client) for _ in range(5)]

    with worker:
        gate.wait()
        gate.wait()
        held = [fake.job(job)["state"] for job in jobs]
        for _ in jobs:
            gate.leave.release()
        for job in jobs:
            fake.wait_for_state(job, "completed")

    assert held == ["active", "active", "waiting", "waiting", "waiting"]
    assert all(1 <= pull.get("count", 1) <= 2 for pull in fake.calls_of("pull"))


def test_a_pull_asks_for_as_many_jobs_as_there_are_free_slots(
    fake: FakeServer, client: Client
) -> None:
    gate = Gate()
    worker = Worker(client, "q", concurrency=3)
    worker.handler("job")(gate)
    job = push(client)

    with worker:
        gate.wait()
        fake.wait_for("pull", 2)
        gate.leave.release()
        fake.wait_for_state(job, "completed")

    assert [pull["count"] for pull in fake.calls_of("pull")[:2]] == [3, 2]


def test_an_idle_worker_holds_one_pull_open_and_is_woken_by_a_push(
    fake: FakeServer, client: Client
) -> None:
    worker = Worker(client, "q", concurrency=1)
    worker.handler("job")(lambda job: None)

    with worker:
        fake.wait_for("pull")
        job = push(client)
        fake.wait_for_state(job, "completed")
        (first, *rest) = fake.calls_of("pull")

    assert first["wait_ms"] == longest_wait_ms(client)
    assert len(rest) <= 1  # the one after the job


def test_queues_weights_names_lease_and_worker_go_with_the_pull(
    fake: FakeServer, client: Client
) -> None:
    worker = Worker(
        client, ["a", "b"], weights=[3, 1], names=["job"], lease=12.0, worker_id="w1", concurrency=4
    )
    worker.handler("job")(lambda job: None)

    with worker:
        fake.wait_for("pull")

    sent = fake.calls_of("pull")[0]
    assert sent["request_id"]
    assert {name: sent[name] for name in sent if name != "request_id"} == {
        "queues": ["a", "b"],
        "weights": [3, 1],
        "names": ["job"],
        "lease_ms": 12_000,
        "worker_id": "w1",
        "count": 4,
        "wait_ms": longest_wait_ms(client, silence=4.0),
    }


def test_a_lost_answer_is_asked_for_again_and_brings_the_same_jobs(
    fake: FakeServer, client: Client
) -> None:
    gate = Gate()
    worker = Worker(client, "q", concurrency=1)
    worker.handler("job")(gate)
    job = push(client)
    fake.drop_next_answer("pull")

    with worker:
        gate.wait()
        first, second = fake.calls_of("pull")[:2]
        gate.leave.release()
        fake.wait_for_state(job, "completed")

    assert first["request_id"] == second["request_id"]
    assert gate.deliveries == [1]


def test_a_deaf_worker_fetches_over_a_new_connection(fake: FakeServer, client: Client) -> None:
    worker = Worker(client, "q", heartbeat=0.05, worker_id="w1")
    worker.handler("job")(lambda job: None)
    fake.swallow_next("pull")  # the network lost its way: no answer, no error

    with worker:
        fake.wait_for("pull")
        job = push(client)
        fake.make_deaf("w1")
        fake.wait_for_state(job, "completed")

    first, second = fake.calls_of("pull")[:2]
    assert first["request_id"] == second["request_id"]


def test_a_pull_on_a_connection_that_died_is_asked_again_on_a_new_one(
    fake: FakeServer, client: Client, short_silence: None, caplog: Any
) -> None:
    """Heartbeats go on over theirs, and neither end is told; the job went into the dead one. JW-SDK-13."""
    with Relay(str(client._endpoint)) as relay, Client(relay.url) as behind:
        worker = Worker(behind, "q", heartbeat=0.05)
        worker.handler("job")(lambda job: 7)
        relay.lose("pull")

        with worker:
            fake.wait_for("pull")
            job = push(client)
            fake.wait_for_state(job, "completed", FAST)

    first, second = fake.calls_of("pull")[:2]
    assert first["request_id"] == second["request_id"]
    assert fake.job(job)["delivery"] == 1
    assert caplog.text.count("server lost") == 1


def test_a_fetch_loop_that_dies_is_logged_reported_and_started_again(
    fake: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    errors: list[BaseException] = []
    worker = Worker(client, "q", on_error=lambda error, job: errors.append(error))
    worker.handler("job")(lambda job: None)
    pull = worker._pull
    bugs = iter([RuntimeError("a bug"), KeyError("another")])

    def sometimes(*arguments: Any) -> list[Job]:
        for bug in bugs:
            raise bug
        return pull(*arguments)

    monkeypatch.setattr(worker, "_pull", sometimes)

    with worker:
        job = push(client)
        fake.wait_for_state(job, "completed")

    assert [type(error) for error in errors] == [RuntimeError, KeyError]
    assert caplog.text.count("a loop of the worker died and is started again: fetch-1") == 2


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "refuse"])
def test_an_ack_without_an_answer_is_sent_again(
    fake: FakeServer, client: Client, fault: str
) -> None:
    worker = Worker(client, "q")
    worker.handler("job")(lambda job: 7)
    if fault == "drop":
        fake.drop_next_answer("ack_batch")
    else:
        fake.refuse_next("ack_batch", "STORAGE_UNAVAILABLE", times=2)

    with worker:
        job = push(client)
        fake.wait_for("ack_batch", 2)
        fake.wait_for_state(job, "completed")

    assert fake.job(job)["result"] == 7
    assert fake.job(job)["delivery"] == 1


def test_an_ack_on_a_connection_that_died_is_sent_again_on_a_new_one(
    fake: FakeServer, client: Client, short_silence: None
) -> None:
    """JW-SDK-13."""
    with Relay(str(client._endpoint)) as relay, Client(relay.url) as behind:
        worker = Worker(behind, "q", heartbeat=0.05)
        worker.handler("job")(lambda job: 7)
        relay.lose(ACKS[client._endpoint.scheme])

        with worker:
            job = push(client)
            fake.wait_for("ack_batch", 2, FAST)

    first, second = fake.calls_of("ack_batch")[:2]
    assert first == second
    assert fake.job(job)["delivery"] == 1


def test_held_jobs_run_on_while_the_server_is_away_and_are_acked_afterwards(
    fake: FakeServer, client: Client, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "jobwire")
    gate = Gate()
    worker = Worker(client, "q", concurrency=3, heartbeat=0.05)
    worker.handler("job")(gate)
    jobs = [push(client) for _ in range(3)]

    with worker:
        for _ in jobs:
            gate.wait()
        fake.stop()
        for _ in jobs:
            gate.leave.release()
        fake.start()
        for job in jobs:
            fake.wait_for_state(job, "completed")
        late = push(client)
        gate.wait()
        gate.leave.release()
        fake.wait_for_state(late, "completed")
        fake.wait_for("heartbeat_batch", len(fake.calls_of("heartbeat_batch")) + 2)

    assert gate.deliveries == [1, 1, 1, 1]
    assert caplog.text.count("server lost") == 1
    assert caplog.text.count("server reached again") == 1


def test_a_restart_of_the_server_is_one_line_lost_and_one_line_back(
    fake: FakeServer, client: Client, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "jobwire")
    worker = Worker(client, "q", heartbeat=0.05)
    worker.handler("job")(lambda job: None)

    with worker:
        fake.wait_for("pull")
        fake.wait_for("heartbeat_batch")
        fake.stop()
        pulls, beats = len(fake.calls_of("pull")), len(fake.calls_of("heartbeat_batch"))
        fake.start()
        fake.wait_for("pull", pulls + 2)
        fake.wait_for("heartbeat_batch", beats + 2)
        fake.wait_for_state(push(client), "completed")

    assert caplog.text.count("server lost") == 1
    assert caplog.text.count("server reached again") == 1


# --- heartbeats and the one signal ------------------------------------------------------------------------------------


def test_heartbeats_carry_the_leases_and_how_the_worker_is(
    fake: FakeServer, client: Client
) -> None:
    gate = Gate()
    worker = Worker(client, "q", concurrency=3, heartbeat=0.05, worker_id="w1")
    worker.handler("job")(gate)

    with worker:
        job = push(client)
        gate.wait()
        fake.wait_for("heartbeat_batch", len(fake.calls_of("heartbeat_batch")) + 2)
        beat = fake.calls_of("heartbeat_batch")[-1]
        gate.leave.release()

    assert [item["id"] for item in beat["items"]] == [job]
    assert beat["wait_ms"] == 50
    report = beat["worker"]
    assert report["last_pull_ms"] >= 0
    assert {k: v for k, v in report.items() if k != "last_pull_ms"} == {
        "id": "w1",
        "queues": ["q"],
        "concurrency": 3,
        "free": 2,
        "state": "running",
    }


def test_heartbeats_keep_a_lease_alive_for_as_long_as_the_handler_runs(
    fake: FakeServer, client: Client
) -> None:
    gate = Gate()
    worker = Worker(client, "q", heartbeat=0.02)
    worker.handler("job")(gate)
    job = push(client)

    with worker:
        gate.wait()
        for _ in range(4):
            fake.wait_for("heartbeat_batch", len(fake.calls_of("heartbeat_batch")) + 2)
            fake.advance(20)
        gate.leave.release()
        fake.wait_for_state(job, "completed")

    assert gate.deliveries == [1]


def test_a_cancel_reaches_the_handler_and_the_job_ends_cancelled(
    fake: FakeServer, client: Client
) -> None:
    listener = Listener()
    worker = Worker(client, "q")  # a heartbeat every 10 s: this does not wait for the next one
    worker.handler("job")(listener)
    job = push(client)

    with worker:
        listener.wait()
        client.cancel(job)
        assert listener.ended.wait(1.0)
        fake.wait_for_state(job, "cancelled")

    assert listener.reason == "cancel"


def test_a_lost_lease_stops_the_handler_and_nothing_is_sent_for_it(
    fake: FakeServer, client: Client
) -> None:
    listener, second = Listener(), threading.Event()
    worker = Worker(client, "q", concurrency=2)

    @worker.handler("job")
    def handle(job: Job, ctx: JobContext) -> str:
        if job.delivery == 1:
            listener(job, ctx)
        second.set()
        return "by the second delivery"

    job = push(client)
    with worker:
        listener.wait()
        fake.advance(31)
        assert listener.ended.wait(PATIENCE)
        assert second.wait(PATIENCE)
        fake.wait_for_state(job, "completed")

    assert listener.reason == "lease_lost"
    assert fake.job(job)["result"] == "by the second delivery"
    sent = [item for call in fake.calls_of("ack_batch") for item in call["items"]]
    assert [item["lease"].split("-")[0] for item in sent] == ["2"]
    assert fake.calls_of("fail_batch") == fake.calls_of("release") == []


def test_a_job_that_takes_longer_than_its_timeout_is_stopped(
    fake: FakeServer, client: Client
) -> None:
    listener = Listener()
    worker = Worker(client, "q")
    worker.handler("job")(listener)
    job = push(client, timeout=0.02)

    with worker:
        fake.wait_for_state(job, "delayed")

    assert listener.reason == "timeout"
    assert fake.job(job)["last_error"] == "job timed out"


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_waits_for_running_jobs_and_takes_no_new_ones(
    fake: FakeServer, client: Client
) -> None:
    gate = Gate()
    worker = Worker(client, "q", concurrency=2, worker_id="w1")
    worker.handler("job")(gate)
    job = push(client)
    worker.start()
    gate.wait()

    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(worker.stop()))
    stopper.start()
    fake.wait_until(
        lambda: any(
            call.fields["worker"]["state"] == "quiet"
            for call in fake.calls
            if call.operation == "heartbeat_batch"
        )
    )
    late = push(client)
    gate.leave.release()
    stopper.join(PATIENCE)

    assert stopped == [True]
    assert fake.job(job)["state"] == "completed"
    assert fake.job(late)["state"] == "waiting"


def test_an_idle_worker_that_stops_says_so(
    fake: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "QUIET_NOTICE", PATIENCE)
    with Worker(client, "q", worker_id="w1"):
        fake.wait_for("pull")

    (worker,) = client.list_workers()
    assert (worker.id, worker.state, worker.free) == ("w1", "quiet", 0)


def test_what_hears_the_end_of_the_grace_is_given_back_without_burning_an_attempt(
    fake: FakeServer, client: Client
) -> None:
    listener = Listener()
    worker = Worker(client, "q")
    worker.handler("job")(listener)
    job = push(client)
    worker.start()
    listener.wait()

    assert worker.stop(timeout=0.0) is True

    assert listener.reason == "shutdown"
    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)


def test_what_does_not_hear_it_is_given_back_as_well(
    fake: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_NOTICE", 0.0)
    gate = Gate()
    worker = Worker(client, "q")
    worker.handler("job")(gate)
    job = push(client)
    worker.start()
    gate.wait()

    assert worker.stop(timeout=0.0) is False

    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)
    gate.leave.release()
    assert worker._runners.join(PATIENCE)
    assert fake.calls_of("ack_batch") == []


def test_the_jobs_of_a_pull_whose_answer_was_lost_before_the_drain_are_given_back(
    fake: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(client, "q")
    worker.handler("job")(lambda job: None)
    paused = threading.Event()

    def never_again(channel: str, error: BaseException) -> float:
        paused.set()
        return 3600.0

    monkeypatch.setattr(worker._link, "failed", never_again)
    fake.drop_next_answer("pull")
    job = push(client)

    worker.start()
    assert paused.wait(PATIENCE)
    worker.stop()

    assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)
    assert fake.job(job)["delivery"] == 1


def test_a_worker_runs_once_and_stops_as_often_as_one_likes(
    fake: FakeServer, client: Client
) -> None:
    worker = Worker(client, "q")
    worker.start()
    worker.stop()
    worker.stop()

    with pytest.raises(RuntimeError, match="stopped"):
        worker.start()
    with pytest.raises(RuntimeError, match="before the worker starts"):
        worker.handler("job")(lambda job: None)


def test_run_ends_with_stop_in_another_thread(fake: FakeServer, client: Client) -> None:
    worker = Worker(client, "q")
    runner = threading.Thread(target=worker.run)
    runner.start()
    fake.wait_for("pull")

    worker.stop()
    runner.join(PATIENCE)

    assert not runner.is_alive()


def test_a_worker_that_never_started_stops_at_once(client: Client) -> None:
    assert Worker(client, "q").stop() is True


@pytest.mark.parametrize("door", ["http", "tcp"])
def test_a_wrong_token_ends_run_with_the_error(door: str) -> None:
    with FakeServer(token="right") as fake:
        url = fake.url if door == "http" else fake.tcp_url
        with Client(url, token="wrong") as client, pytest.raises(AuthError):
            Worker(client, "q").run()


# --- jobs that come back without a lease (wire version 1) ----------------------------------------------------------------


class Comeback:
    """Feeds a worker jobs by hand; each handler runs until its delivery is let go."""

    def __init__(self, client: Client) -> None:
        self.id = str(uuid.uuid4())
        self.pulled: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self.leave = {1: threading.Event(), 2: threading.Event()}
        self.entered = {1: threading.Event(), 2: threading.Event()}
        self.contexts: dict[int, JobContext] = {}
        self.worker = Worker(client, "q", concurrency=2)
        self.worker._pull = self._pull  # type: ignore[method-assign]
        self.worker.handler("job")(self._handle)

    def bring(self, delivery: int) -> None:
        self.pulled.put([Job(id=self.id, queue="q", name="job", delivery=delivery)])
        assert self.entered[delivery].wait(PATIENCE)

    def wait_for_slots(self, held: int) -> None:
        assert self.worker._await(lambda: self.worker._slots.held == held, PATIENCE)

    def _pull(self, client: Client, plan: core.PullPlan, wait: float) -> list[Job]:
        while not self.worker._draining.is_set():
            with contextlib.suppress(queue.Empty):
                return self.pulled.get(timeout=0.02)
        return []

    def _handle(self, job: Job, ctx: JobContext) -> None:
        self.contexts[job.delivery] = ctx
        self.entered[job.delivery].set()
        assert self.leave[job.delivery].wait(PATIENCE)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_job_that_comes_back_has_its_old_handler_stopped_and_its_slot_freed(
    fake: FakeServer, client: Client, order: tuple[int, int]
) -> None:
    back = Comeback(client)

    with back.worker:
        back.bring(1)
        back.bring(2)
        assert (back.contexts[1].reason, back.contexts[2].reason) == ("lease_lost", None)
        back.wait_for_slots(2)
        for left, delivery in zip((1, 0), order, strict=True):
            back.leave[delivery].set()
            back.wait_for_slots(left)

    assert [len(call["items"]) for call in fake.calls_of("ack_batch")] == [1]


def test_a_job_that_comes_back_before_its_outcome_has_left_takes_the_place_of_it(
    fake: FakeServer, client: Client
) -> None:
    back = Comeback(client)
    put, kept = back.worker._settler.put, queue.SimpleQueue[Any]()
    back.worker._settler.put = kept.put  # type: ignore[method-assign,assignment]

    with back.worker:
        back.bring(1)
        back.leave[1].set()
        old = kept.get(timeout=PATIENCE)
        back.bring(2)
        back.wait_for_slots(1)
        back.leave[2].set()
        new = kept.get(timeout=PATIENCE)
        put(old)
        put(new)
        back.wait_for_slots(0)

    assert [len(call["items"]) for call in fake.calls_of("ack_batch")] == [1]
