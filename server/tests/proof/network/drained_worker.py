"""A worker of the Python SDK in a process of its own: `python -m tests.proof.network.drained_worker KIND URL QUEUE GRACE ENDING [LEASE]`.

It prints `ready`, `began <id>` and `finished <id>`, a line at a time. A job's data says how long its handler takes (`seconds`) and whether
it heeds being asked to stop (`stubborn`). ENDING `abrupt` is the control: a process that leaves at SIGTERM and gives nothing back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any

from jobwire import AsyncClient, AsyncWorker, Client, Worker

CONCURRENCY = 4
LEASE_S = "30"  # longer than any test: nothing is given back by its end


def say(word: str, job: Any) -> None:
    os.write(1, f"{word} {job.id}\n".encode())


def threads(url: str, queue: str, grace: float, lease: float) -> None:
    with Client(url) as client:
        worker = Worker(client, queue, concurrency=CONCURRENCY, lease=lease, grace=grace)

        @worker.handler("proof")
        def proof(job: Any, ctx: Any) -> str:
            say("began", job)
            if job.data["stubborn"]:
                time.sleep(job.data["seconds"])
            else:
                ctx.cancelled.wait(job.data["seconds"])
                ctx.check()
            say("finished", job)
            return "done"

        os.write(1, b"ready\n")
        worker.run()


def tasks(url: str, queue: str, grace: float, lease: float) -> None:
    asyncio.run(run_tasks(url, queue, grace, lease))


async def run_tasks(url: str, queue: str, grace: float, lease: float) -> None:
    async with AsyncClient(url) as client:
        worker = AsyncWorker(client, queue, concurrency=CONCURRENCY, lease=lease, grace=grace)

        @worker.handler("proof")
        async def proof(job: Any) -> str:
            say("began", job)
            work = asyncio.ensure_future(asyncio.sleep(job.data["seconds"]))
            await (shielded(work) if job.data["stubborn"] else work)
            say("finished", job)
            return "done"

        os.write(1, b"ready\n")
        await worker.run()


async def shielded(work: asyncio.Future[None]) -> None:
    """To its end, however often it is cancelled."""
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            continue


def leave_at_once() -> None:
    """What a worker must not do."""

    def refuse(number: int, handler: Any) -> Any:
        return real(number, signal.SIG_DFL if handler is signal.SIG_DFL else leave)

    def leave(number: int, frame: Any) -> None:
        os._exit(0)

    real, signal.signal = signal.signal, refuse  # type: ignore[assignment]


KINDS = {"sync": threads, "async": tasks}

if __name__ == "__main__":
    kind, url, queue, grace, ending, lease = [*sys.argv[1:], LEASE_S][:6]
    if ending == "abrupt":
        leave_at_once()
    KINDS[kind](url, queue, float(grace), float(lease))
