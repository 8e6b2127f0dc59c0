"""Producers and workers of the Python SDK in threads of this process, and a record of all that they did.

A job's data has `seconds`, which is how long its handler takes. Instants are of the monotonic clock, in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from types import TracebackType
from typing import Any

from jobwire import AsyncClient, AsyncWorker, Client, Worker
from tests.proof.network.hands import DOORS

KINDS = ("sync", "async")
EACH = tuple(product(KINDS, DOORS))  # both clients, or workers, over both doors
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a handler."""

    job_id: str
    delivery: int
    began: float


class Threaded(ABC):
    """Runs `_work` in a thread from `__enter__` to `__exit__`; what it raised is raised there."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._keep, name=type(self).__name__, daemon=True)

    @abstractmethod
    def _work(self) -> None:
        """Until `_stop` is set."""

    def _keep(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in __exit__
            self._error = error

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), f"{self._thread.name} did not end"
        if self._error is not None:
            raise self._error


class Producer(Threaded):
    """Pushes jobs one after another; `failed` has what its calls raised, `longest_s` how long the laterest one took."""

    def __init__(
        self,
        kind: str,
        url: str,
        queue: str,
        *,
        seed: object,
        pace_s: float = 0.02,
        seconds: Callable[[random.Random], float] = lambda chance: 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self._options = options  # of the client
        self._kind, self._url, self._queue, self._pace_s = kind, url, queue, pace_s
        self._seconds = seconds
        self._chance = random.Random(f"producer-{seed}-{kind}-{url}")
        self.pushed: list[str] = []
        self.failed: list[str] = []
        self.longest_s = 0.0

    def _work(self) -> None:
        if self._kind == "sync":
            with Client(self._url, **self._options) as client:
                self._push_on(client, lambda result: result)
        else:
            with asyncio.Runner() as runner:
                later = AsyncClient(self._url, **self._options)
                self._push_on(later, runner.run)
                runner.run(later.aclose())

    def _push_on(self, client: Any, run: Callable[[Any], Any]) -> None:
        while not self._stop.wait(self._pace_s):  # the pace of the load
            job_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
            began = time.monotonic()
            try:
                data = {"seconds": self._seconds(self._chance)}
                run(client.push(self._queue, "proof", data, id=job_id))
            except Exception as error:  # noqa: BLE001 - counted; the proof is that there is none
                self.failed.append(repr(error))
            else:
                self.pushed.append(job_id)
            self.longest_s = max(self.longest_s, time.monotonic() - began)


class Consumer(Threaded):
    """A managed worker; `runs` has every call of its handler, `lost` the jobs whose handlers were told that their lease is lost."""

    def __init__(
        self, kind: str, url: str, queues: Sequence[str], *, timeout: float = 30.0, **options: Any
    ):
        super().__init__()
        self._kind, self._url, self.queues = kind, url, queues
        self._timeout, self._options = timeout, options
        self.runs: list[Run] = []
        self.lost: list[str] = []

    def _work(self) -> None:
        if self._kind == "sync":
            self._run_threads()
        else:
            asyncio.run(self._run_tasks())

    def _note(self, job: Any) -> None:
        self.runs.append(Run(job.id, job.delivery, time.monotonic()))

    def _run_threads(self) -> None:
        with Client(self._url, timeout=self._timeout) as client:
            worker = Worker(client, self.queues, **self._options)

            @worker.handler("proof")
            def proof(job: Any, ctx: Any) -> None:
                self._note(job)
                ctx.cancelled.wait(job.data["seconds"])
                if ctx.reason == "lease_lost":
                    self.lost.append(job.id)
                ctx.check()

            with worker:
                self._stop.wait()

    async def _run_tasks(self) -> None:
        async with AsyncClient(self._url, timeout=self._timeout) as client:
            worker = AsyncWorker(client, self.queues, **self._options)

            @worker.handler("proof")
            async def proof(job: Any, ctx: Any) -> None:
                self._note(job)
                try:
                    await asyncio.sleep(job.data["seconds"])
                finally:
                    if ctx.reason == "lease_lost":
                        self.lost.append(job.id)

            async with worker:
                await asyncio.to_thread(self._stop.wait)

    def first_after(self, instant: float) -> Run | None:
        """The first call of the handler since then."""
        return next((run for run in list(self.runs) if run.began >= instant), None)


def handled_again(consumers: Iterable[Consumer]) -> list[str]:
    """The jobs that more than one call of a handler was for."""
    times = Counter(run.job_id for consumer in consumers for run in consumer.runs)
    return [job_id for job_id, count in times.items() if count > 1]


def end_all(running: Iterable[Threaded]) -> None:
    """End several at a time, so that their drains overlap."""
    with contextlib.ExitStack() as stack:
        for one in running:
            one._stop.set()
            stack.callback(one.end)
