"""Signals reach real processes: the first drains, the second ends the process at once (T26)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobwire import Client
from jobwire.testing import FakeServer

SYNC = """
import sys, threading
from jobwire import Client
from jobwire._worker import Worker

worker = Worker(Client(sys.argv[1]), "q", grace=float(sys.argv[2]))

@worker.handler("polite")
def polite(job, ctx):
    print("running", flush=True)
    ctx.cancelled.wait(60)
    ctx.check()

@worker.handler("quick")
def quick(job):
    print("running", flush=True)
    sys.stdin.readline()
    return "done"

worker.run()
print("drained", flush=True)
"""
ASYNC = """
import asyncio, sys, time
from jobwire import AsyncClient
from jobwire._async_worker import AsyncWorker

async def main():
    worker = AsyncWorker(AsyncClient(sys.argv[1]), "q", grace=float(sys.argv[2]))

    @worker.handler("polite")
    async def polite(job):
        print("running", flush=True)
        await asyncio.sleep(60)

    @worker.handler("quick")
    async def quick(job):
        print("running", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return "done"

    @worker.handler("blocking")
    async def blocking(job):
        print("running", flush=True)
        time.sleep(60)

    await worker.run()
    await worker.client.aclose()

asyncio.run(main())
print("drained", flush=True)
"""


@contextmanager
def running(program: str, fake: FakeServer, grace: float) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, fake.tcp_url, str(grace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_running(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["threads", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_running_jobs_end_and_the_process_with_them(
    program: str, number: signal.Signals
) -> None:
    with (
        FakeServer() as fake,
        Client(fake.url) as client,
        running(program, fake, grace=60) as process,
    ):
        job = client.push("q", "quick").id
        wait_for_running(process)

        process.send_signal(number)
        fake.wait_until(
            lambda: any(
                call.fields.get("worker", {}).get("state") == "quiet" for call in fake.calls
            )
        )
        out, _ = process.communicate("\n", timeout=20)

        assert (out, process.returncode) == ("drained\n", 0)
        assert fake.job(job)["result"] == "done"


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["threads", "asyncio"])
def test_what_runs_after_the_grace_is_given_back(program: str) -> None:
    with (
        FakeServer() as fake,
        Client(fake.url) as client,
        running(program, fake, grace=0) as process,
    ):
        job = client.push("q", "polite").id
        wait_for_running(process)

        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

        assert (out, process.returncode) == ("drained\n", 0)
        assert (fake.job(job)["state"], fake.job(job)["attempt"]) == ("waiting", 0)


@pytest.mark.parametrize(
    ("program", "name"),
    [(SYNC, "polite"), (ASYNC, "polite"), (ASYNC, "blocking")],
    ids=["threads", "asyncio", "asyncio-blocked"],
)
def test_the_second_signal_ends_the_process_at_once(program: str, name: str) -> None:
    with (
        FakeServer() as fake,
        Client(fake.url) as client,
        running(program, fake, grace=60) as process,
    ):
        client.push("q", name)
        wait_for_running(process)
        process.send_signal(signal.SIGTERM)
        if name != "blocking":  # a blocked loop cannot say that it drains
            fake.wait_until(
                lambda: any(
                    call.fields.get("worker", {}).get("state") == "quiet" for call in fake.calls
                )
            )

        while process.poll() is None:  # signals that come together may be merged into one
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue

        assert process.returncode == -signal.SIGTERM
