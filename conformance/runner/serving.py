"""Reference servers, and an item on one of them: what the command line and pytest both do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from conformance.mutants.forking import Nursery
from conformance.runner.doors import Doors
from conformance.runner.model import Item, Outcome
from conformance.runner.processes import CannotStart
from conformance.runner.running import run_item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.runner.pool import Pool
    from conformance.runner.recorder import Recorder


@contextlib.asynccontextmanager
async def reference(*, limit: int, seed: int) -> AsyncIterator[Pool]:
    """
    A pool of reference servers, each a process of its own that may be killed.

    They are forked from one that has imported everything: the suite starts a few hundred, and most of a start is imports.
    """
    async with Nursery() as nursery, nursery.pool("", limit=limit, seed=seed) as pool:
        yield pool


async def on_pool(
    pool: Pool, item: Item, recorder: Recorder, seed: int, doors: type[Doors] = Doors
) -> tuple[Outcome, str]:
    """The outcome, and the end of the server's log. A server that does not start is an error of the suite."""
    try:
        async with pool.lease(item) as process:
            outcome = await run_item(
                item, process.target, recorder, seed=seed, restart=process.restart, doors=doors
            )
            return outcome, process.log
    except CannotStart as error:
        return error_of(item, f"{item.case.where}: {error}"), ""


def error_of(item: Item, why: str) -> Outcome:
    """An item that could not be begun."""
    return Outcome(item=item, verdict="error", steps=[], assertions=0, failure=why, seconds=0)
