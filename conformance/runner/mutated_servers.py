"""The mutants of the reference server as a subject: the cases for servers, run on servers that are forked with a fault."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, cast

from conformance.mutants.server import MUTANTS
from conformance.runner.model import Item, items_of
from conformance.runner.mutating import Subject, Told, Trial, meant
from conformance.runner.processes import CannotStart
from conformance.runner.recorder import Recorder
from conformance.runner.running import ITEM_LIMIT_S, run_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.mutants.fault import Mutant
    from conformance.mutants.forking import Nursery
    from conformance.runner.model import Case
    from conformance.runner.pool import Pool

SEED: Final = 7
# A case of each door, of what nearly every case does: they tell whether a mutant is a server at all.
SMOKE: Final = ("PUSH-001[http]", "PULL-001[tcp2]", "ACK-001[tcp1]")


class ServerRunner:
    """Runs items on a pool of servers with one fault; nothing of it is recorded."""

    def __init__(self, pool: Pool, recorder: Recorder) -> None:
        self._pool = pool
        self._recorder = recorder
        self._seeds = itertools.count(SEED)  # an item that runs again must not meet its own jobs

    async def run(self, trial: Trial, limit_s: float = ITEM_LIMIT_S) -> Told:
        item = cast("Item", trial)
        try:
            async with self._pool.lease(item) as process:
                outcome = await run_item(
                    item,
                    process.target,
                    self._recorder,
                    seed=next(self._seeds),
                    restart=process.restart,
                    limit_s=limit_s,
                )
        except CannotStart as error:
            return Told(verdict="error", why=str(error)[-500:])
        return Told(verdict=outcome.verdict, why=outcome.failure or "", seconds=outcome.seconds)

    async def close(self) -> None:
        await self._pool.close()
        self._recorder.close()


def subject(cases: Sequence[Case], nursery: Nursery) -> Subject:
    """The reference server, as long as the process lives that its servers are forked from."""
    items = items_of(list(cases))
    by_name = {item.name: item for item in items}

    def named(mutant: Mutant) -> Sequence[Trial]:
        return meant(mutant, _words, items)

    async def begin(name: str) -> ServerRunner:
        return ServerRunner(nursery.pool(name, limit=1, seed=SEED), Recorder(None))

    return Subject(
        name="server",
        mutants=MUTANTS,
        smoke=[by_name[name] for name in SMOKE],
        named=named,
        rest=lambda mutant: _rest(named(mutant), items),
        open=begin,
    )


def _words(trial: Trial) -> Iterable[str]:
    item = cast("Item", trial)
    return (item.name, item.case.id, *item.case.covers)


def _rest(named: Sequence[Trial], items: Sequence[Item]) -> Sequence[Trial]:
    """All other items: the suites of the named ones first, and those that start processes of their own last."""
    near = {cast("Item", item).case.suite for item in named}
    return sorted(
        items,
        key=lambda item: (item.case.suite not in near, item.case.time, bool(item.case.server)),
    )
