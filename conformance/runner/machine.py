"""What all items of one process of pytest share: an event loop, servers, drivers, a recorder. Each is made when it is first asked for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.mutants.forking import Nursery
from conformance.runner import loader, mutated_sdks, mutated_servers, sdk_cases
from conformance.runner.doors import Doors
from conformance.runner.mutating import Fate, Grader, Subject
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_pool import Drivers
from conformance.runner.serving import on_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from conformance.runner.model import Item, Outcome
    from conformance.runner.pool import Pool

T = TypeVar("T")


class Machine:
    """`records` is the folder that the recorder writes to, None for none. `close` ends all that was made."""

    def __init__(self, seed: int, records: Path | None) -> None:
        self.seed = seed
        self.recorder = Recorder(records)
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def run_item(self, item: Item, doors: type[Doors] = Doors) -> tuple[Outcome, str]:
        """The outcome of a case for servers, and the end of the server's log."""
        return self.run(on_pool(self.pool, item, self.recorder, self.seed, doors))

    def fate(self, kind: str, mutant: str) -> Fate:
        """What becomes of a mutant of the server or of the sdk, by the items that it names."""
        grader = self.grader_of_servers if kind == "server" else self.grader_of_sdks
        return self.run(grader.fate(mutant))

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()
        self.recorder.close()

    @functools.cached_property
    def nursery(self) -> Nursery:
        return self._entered(Nursery)

    @functools.cached_property
    def pool(self) -> Pool:
        nursery = self.nursery  # made before the loop is busy with making the pool
        return self._entered(lambda: nursery.pool("", limit=1, seed=self.seed))

    @functools.cached_property
    def drivers(self) -> Drivers:
        return self._entered(Drivers)

    @functools.cached_property
    def grader_of_servers(self) -> Grader:
        return self._grader(mutated_servers.subject(loader.load(), self.nursery))

    @functools.cached_property
    def grader_of_sdks(self) -> Grader:
        return self._grader(mutated_sdks.subject(sdk_cases.load(), self.nursery, self.drivers))

    def _grader(self, subject: Subject) -> Grader:
        grader = Grader(subject, only_named=True)
        self._stack.push_async_callback(grader.close)
        return grader

    def _entered(self, make: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Make it inside the loop, and end it when the machine is closed, after what was made later."""

        async def enter() -> T:
            return await self._stack.enter_async_context(make())

        return self.run(enter())
