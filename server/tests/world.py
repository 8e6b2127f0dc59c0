"""A whole server without doors: requests go in as JSON, answers come out as JSON, and time moves when it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from jobwire_server.clock import ManualClock
from jobwire_server.events import Event, EventBus
from jobwire_server.ids import IdMaker
from jobwire_server.maintenance import Maintenance
from jobwire_server.model import Job
from jobwire_server.operations.core import Caller, Core, Options
from jobwire_server.operations.service import Operations
from jobwire_server.store.base import Store
from jobwire_server.wire.requests import BadRequest, parse_line
from jobwire_server.wire.responses import tcp_answer

PATIENCE = 10.0  # seconds; what should happen at once has failed after this


class World:
    """Operations and housekeeping on one store, under a clock that is moved by hand."""

    def __init__(
        self,
        store: Store,
        clock: ManualClock,
        *,
        options: Options | None = None,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.store = store
        self.clock = clock
        self.events: list[Event] = []
        bus = EventBus()
        self.core = Core(
            store=store,
            clock=clock,
            new_id=IdMaker().new,
            random=random,
            bus=bus,
            options=options or Options(),
        )
        self.operations = Operations(self.core)
        self.housekeeper = Maintenance(self.core)
        bus.subscribe(self.events.extend)
        self.caller = Caller("tcp2", "192.0.2.1")

    async def ask(self, cmd: str, caller: Caller | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to one request, as it is sent in wire version 2."""
        line = json.dumps({"cmd": cmd, **fields}).encode()
        try:
            command = parse_line(line)
        except BadRequest as bad:
            return _read(tcp_answer(cmd, bad.error, wire=2, rid=None))
        [result] = await self.operations.run(command.name, [command.request], caller or self.caller)
        return _read(tcp_answer(cmd, result, wire=2, rid=None))

    async def ok(self, cmd: str, caller: Caller | None = None, **fields: Any) -> dict[str, Any]:
        """The answer, which must be ok."""
        answer = await self.ask(cmd, caller, **fields)
        assert answer["ok"], answer
        return answer

    async def refused(self, cmd: str, caller: Caller | None = None, **fields: Any) -> str:
        """The code of a refusal, and proof that it left everything as it was."""
        before = await self.everything()
        answer = await self.ask(cmd, caller, **fields)
        assert not answer["ok"], answer
        assert await self.everything() == before
        return str(answer["error"]["code"])

    async def push(self, queue: str = "q", name: str = "n", **fields: Any) -> str:
        """The id of a job that was pushed."""
        return str((await self.ok("push", queue=queue, name=name, **fields))["id"])

    async def pull(self, queue: str = "q", **fields: Any) -> dict[str, Any] | None:
        """The job of a pull, or None."""
        answer: dict[str, Any] = await self.ok("pull", queue=queue, **fields)
        job: dict[str, Any] | None = answer["job"]
        return job

    async def pulled(self, queue: str = "q", **fields: Any) -> dict[str, Any]:
        """The job of a pull that must find one."""
        job = await self.pull(queue, **fields)
        assert job is not None
        return job

    async def active(self, **fields: Any) -> dict[str, Any]:
        """A job that was pushed with these fields, and pulled."""
        await self.push(**fields)
        return await self.pulled()

    async def get(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = (await self.ok("get", id=job_id))["job"]
        return job

    async def state(self, job_id: str) -> str:
        """Its state, or "gone"."""
        answer = await self.ask("get", id=job_id)
        return str(answer["job"]["state"]) if answer["ok"] else "gone"

    async def row(self, job_id: str) -> Job:
        """The job as the store has it, a tombstone too."""
        [job] = await self.store.get([job_id])
        assert job is not None
        return job

    async def counts(self, queue: str = "q") -> dict[str, int]:
        """The counts of a queue that are not 0."""
        counts = (await self.ok("stats", queue=queue))["counts"]
        return {state: number for state, number in counts.items() if number}

    async def after(self, ms: int) -> int:
        """Let time pass and do what is due; how many jobs changed."""
        self.clock.advance(ms)
        return await self.housekeeper.run_due()

    async def everything(self) -> tuple[Any, Any]:
        """What a refused request must not change: every job, every queue."""
        return (await self.ok("find", limit=1000))["jobs"], (await self.ok("queues"))["queues"]

    def happened(self) -> list[str]:
        """The names of the events so far, which are forgotten."""
        names = [event.name for event in self.events]
        self.events.clear()
        return names


def _read(line: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(line)
    return answer


async def a_while() -> None:
    """Let every task go on that can go on without something from outside."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for something that a store's thread will bring about."""
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110 - what is waited for is brought about by a thread
            await asyncio.sleep(0.001)


async def soon(task: asyncio.Task[Any]) -> Any:
    """The result of a task that should be done any moment."""
    async with asyncio.timeout(PATIENCE):
        return await task
