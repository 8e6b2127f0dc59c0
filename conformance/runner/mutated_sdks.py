"""The mutants of the Python SDK as a subject: the cases for SDKs, run with drivers whose SDK has a fault."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from conformance.mutants.forked_driver import forked_driver
from conformance.mutants.sdk import MUTANTS
from conformance.runner.driver import Driver
from conformance.runner.mutating import Subject, Told, Trial, meant
from conformance.runner.recorder import Recorder
from conformance.runner.running import ITEM_LIMIT_S
from conformance.runner.sdk_cases import SdkItem, items_of
from conformance.runner.sdk_pool import Drivers
from conformance.runner.sdk_run import run_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conformance.mutants.forking import Nursery
    from conformance.runner.sdk_cases import SdkCase
    from conformance.runner.sdk_server import SdkServer

# What nearly every case needs of an SDK; none of them knows of time.
SMOKE: Final = ("SDK-READ-004[python-http]", "SDK-ERR-003[python-http]")
# What the drivers of the SDK that has the faults are asked to be.
ARGUMENTS: Final[Mapping[str, Sequence[str]]] = {"python": (), "python-async": ("--async",)}
_seeds: Final = itertools.count(
    1_000
)  # the servers are shared, so that no two runs may meet, nor one without a fault


class FaultyDrivers(Drivers):
    """Forked drivers with a fault, and the servers of others: a server that serves a faulty client is none the worse for it."""

    def __init__(self, nursery: Nursery, servers: Drivers, mutant: str) -> None:
        super().__init__(ARGUMENTS)
        self._of_all = servers
        self._fork = partial(forked_driver, nursery, mutant)

    async def start(self, command: Sequence[str], *, virtual: bool) -> Driver:
        return await Driver.start(command, virtual=virtual, seed=self._seed, spawn=self._fork)

    async def server(self, *, with_token: bool) -> SdkServer:
        return await self._of_all.server(with_token=with_token)


class SdkRunner:
    """Runs items with one fault in the SDK; nothing of it is recorded."""

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers
        self._recorder = Recorder(None)

    async def run(self, trial: Trial, limit_s: float = ITEM_LIMIT_S) -> Told:
        item = cast("SdkItem", trial)
        try:
            async with asyncio.timeout(limit_s):
                outcome = await run_item(item, self._drivers, self._recorder, seed=next(_seeds))
        except TimeoutError:
            return Told(verdict="fail", why=f"it was not over in {limit_s:.1f} s")
        return Told(verdict=outcome.verdict, why=outcome.failure or "", seconds=outcome.seconds)

    async def close(self) -> None:
        await self._drivers.close()
        self._recorder.close()


def subject(cases: Sequence[SdkCase], nursery: Nursery, servers: Drivers) -> Subject:
    """The Python SDK, as long as the servers that it talks to live."""
    items = items_of(cases, ARGUMENTS)
    by_name = {item.name: item for item in items}

    async def begin(name: str) -> SdkRunner:
        return SdkRunner(FaultyDrivers(nursery, servers, name))

    return Subject(
        name="sdk",
        mutants=MUTANTS,
        smoke=[by_name[name] for name in SMOKE],
        named=lambda mutant: meant(mutant, _words, items),
        rest=lambda _: items,
        open=begin,
    )


def _words(trial: Trial) -> Iterable[str]:
    item = cast("SdkItem", trial)
    return (item.name, item.case.id, *item.case.covers)
