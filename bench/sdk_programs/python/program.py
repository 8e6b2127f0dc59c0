"""
The load of bench/sdks.py with the Python SDK, or its asyncio client with --async: `program.py [--async] URL`.

A line on stdin is a cell, {"load", "queue", "jobs", "batch", "concurrency", "data"}; a line on stdout says what it took, {"seconds", "cpu_s"}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jobwire import AsyncClient, AsyncWorker, Client, PushItem, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "bench"
LIMIT_S = 120.0  # in which a worker has to have handled all


# ── sync ──


def push(client: Client, cell: dict[str, Any]) -> None:
    for _ in range(cell["jobs"]):
        client.push(cell["queue"], NAME, cell["data"])


def push_batch(client: Client, cell: dict[str, Any]) -> None:
    for _ in range(cell["jobs"] // cell["batch"]):
        jobs = [PushItem(name=NAME, data=cell["data"]) for _ in range(cell["batch"])]
        client.push_batch(cell["queue"], jobs)


def push_at_once(client: Client, cell: dict[str, Any]) -> None:
    share = {**cell, "jobs": cell["jobs"] // cell["concurrency"]}
    with ThreadPoolExecutor(cell["concurrency"]) as threads:
        for done in [threads.submit(push, client, share) for _ in range(cell["concurrency"])]:
            done.result()


def work(client: Client, cell: dict[str, Any]) -> None:
    worker = Worker(client, [cell["queue"]], concurrency=cell["concurrency"])
    left, all_done, lock = [cell["jobs"]], threading.Event(), threading.Lock()

    @worker.handler(NAME)
    def handle(job: Any, ctx: Any) -> None:
        with lock:
            left[0] -= 1
        if left[0] <= 0:
            all_done.set()

    with worker:
        if not all_done.wait(LIMIT_S):
            raise TimeoutError(f"{left[0]} jobs were not handled")


# ── asyncio ──


async def async_push(client: AsyncClient, cell: dict[str, Any]) -> None:
    for _ in range(cell["jobs"]):
        await client.push(cell["queue"], NAME, cell["data"])


async def async_push_batch(client: AsyncClient, cell: dict[str, Any]) -> None:
    for _ in range(cell["jobs"] // cell["batch"]):
        jobs = [PushItem(name=NAME, data=cell["data"]) for _ in range(cell["batch"])]
        await client.push_batch(cell["queue"], jobs)


async def async_push_at_once(client: AsyncClient, cell: dict[str, Any]) -> None:
    share = {**cell, "jobs": cell["jobs"] // cell["concurrency"]}
    await asyncio.gather(*(async_push(client, share) for _ in range(cell["concurrency"])))


async def async_work(client: AsyncClient, cell: dict[str, Any]) -> None:
    worker = AsyncWorker(client, [cell["queue"]], concurrency=cell["concurrency"])
    left, all_done = cell["jobs"], asyncio.Event()

    @worker.handler(NAME)
    async def handle(job: Any, ctx: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            all_done.set()

    async with worker, asyncio.timeout(LIMIT_S):
        await all_done.wait()


def timed(run: Callable[[dict[str, Any]], None], line: str) -> None:
    cell = json.loads(line)
    cpu, began = time.process_time(), time.perf_counter()
    run(cell)
    took = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    print(json.dumps(took), flush=True)


def main(url: str, *, is_async: bool) -> None:
    loads = (push, push_batch, push_at_once, work)
    async_loads = (async_push, async_push_batch, async_push_at_once, async_work)
    by_name: dict[str, Any] = {load.__name__: load for load in (*loads, *async_loads)}
    if not is_async:
        with Client(url) as client:
            for line in sys.stdin:
                timed(lambda cell: by_name[cell["load"]](client, cell), line)
        return
    with asyncio.Runner() as runner:
        later = AsyncClient(url)
        for line in sys.stdin:
            timed(lambda cell: runner.run(by_name[f"async_{cell['load']}"](later, cell)), line)
        runner.run(later.aclose())


if __name__ == "__main__":
    main(sys.argv[-1], is_async="--async" in sys.argv)
