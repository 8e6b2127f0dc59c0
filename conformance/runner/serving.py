"""An item on a process of the pool: what the command line and pytest both do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.runner.model import Item, Outcome
from conformance.runner.processes import CannotStart
from conformance.runner.running import run_item

if TYPE_CHECKING:
    from conformance.runner.pool import Pool
    from conformance.runner.recorder import Recorder


async def on_pool(pool: Pool, item: Item, recorder: Recorder, seed: int) -> tuple[Outcome, str]:
    """The outcome, and the end of the server's log. A server that does not start is an error of the suite."""
    try:
        async with pool.lease(item) as process:
            outcome = await run_item(
                item, process.target, recorder, seed=seed, restart=process.restart
            )
            return outcome, process.log
    except CannotStart as error:
        return error_of(item, f"{item.case.where}: {error}"), ""


def error_of(item: Item, why: str) -> Outcome:
    """An item that could not be begun."""
    return Outcome(item=item, verdict="error", steps=[], assertions=0, failure=why, seconds=0)
