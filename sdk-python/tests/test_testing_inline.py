"""work_one and inline_client: handlers run in the test's own thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobwire import Client, Discard, Job, Release, RetryIn
from jobwire._worker import JobContext, Worker
from jobwire.testing import FakeServer, inline_client, work_one


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def client(fake: FakeServer) -> Iterator[Client]:
    with Client(fake.url) as one:
        yield one


def raising(error: BaseException) -> Any:
    def handle(job: Job) -> None:
        raise error

    return handle


def test_work_one_runs_one_job_and_tells_the_server(fake: FakeServer, client: Client) -> None:
    jobs = [client.push("q", "double", {"n": n}).id for n in (1, 2)]

    outcome = work_one(client, "q", {"double": lambda job: job.data["n"] * 2})

    assert outcome is not None
    assert (outcome.job.id, outcome.kind, outcome.result) == (jobs[0], "ack", 2)
    assert [fake.job(job)["state"] for job in jobs] == ["completed", "waiting"]


def test_work_one_without_a_job_is_none(client: Client) -> None:
    assert work_one(client, ["q"], {}) is None


@pytest.mark.parametrize(
    ("error", "kind", "state"),
    [
        (ValueError("broken"), "fail", "delayed"),
        (RetryIn(60), "fail", "delayed"),
        (Discard("never"), "discard", "dlq"),
        (Release(5), "release", "delayed"),
    ],
)
def test_work_one_tells_how_the_handler_ended(
    fake: FakeServer, client: Client, error: BaseException, kind: str, state: str
) -> None:
    job = client.push("q", "job").id

    outcome = work_one(client, "q", {"job": raising(error)})

    assert outcome is not None
    assert (outcome.kind, outcome.exception) == (kind, error)
    assert fake.job(job)["state"] == state


def test_work_one_fails_a_job_without_a_handler(fake: FakeServer, client: Client) -> None:
    client.push("q", "job")

    outcome = work_one(client, "q", {})

    assert outcome is not None
    assert outcome.error == "no handler for 'job' on this worker; it has: none"


def test_work_one_takes_the_handlers_and_the_wrapper_of_a_worker(client: Client) -> None:
    seen: list[str] = []

    def wrap(handler: Any) -> Any:
        def wrapped(job: Job, ctx: JobContext) -> Any:
            seen.append(job.name)
            ctx.progress(50, "half")
            return handler(job, ctx)

        return wrapped

    worker = Worker(client, "q", wrap=wrap)
    worker.handler("job")(lambda job: "done")
    job = client.push("q", "job").id

    outcome = work_one(client, "q", worker)

    assert outcome is not None
    assert outcome.result == "done"
    assert seen == ["job"]
    assert client.get_job(job).progress == 50


def test_an_inline_push_runs_the_handler_before_it_returns() -> None:
    client = inline_client({"double": lambda job: job.data["n"] * 2})

    job = client.push("q", "double", {"n": 21})

    assert [(o.kind, o.result) for o in client.outcomes] == [("ack", 42)]
    assert client.get_job(job.id).state == "completed"
    assert client.get_job(job.id).result == 42


def test_an_inline_handler_may_push_more_jobs() -> None:
    order: list[str] = []

    def parent(job: Job, ctx: JobContext) -> None:
        ctx.client.push("q", "child")
        order.append("parent")

    client = inline_client({"parent": parent, "child": lambda job: order.append("child")})

    client.push("q", "parent")

    assert order == ["child", "parent"]


def test_inline_delays_and_retries_run_when_the_clock_moves() -> None:
    attempts: list[int] = []

    def flaky(job: Job, ctx: JobContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 2:
            raise ValueError("broken")
        return "at last"

    client = inline_client({"flaky": flaky})
    job = client.push("q", "flaky", delay=10)

    assert attempts == []
    client.advance(10)
    assert attempts == [0]
    client.advance(1)
    client.advance(2)

    assert attempts == [0, 1, 2]
    assert client.get_job(job.id).result == "at last"
    assert [o.kind for o in client.outcomes] == ["fail", "fail", "ack"]


def test_inline_errors_are_raised_when_asked_for() -> None:
    client = inline_client({"bad": raising(ValueError("broken"))}, raise_errors=True)

    with pytest.raises(ValueError, match="broken"):
        client.push("q", "bad")

    assert client.stats("q").counts.delayed == 1


def test_inline_jobs_without_a_handler_stay_waiting() -> None:
    client = inline_client({})

    client.push("q", "job")

    assert client.stats("q").counts.waiting == 1
    assert client.outcomes == []
