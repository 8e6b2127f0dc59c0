"""The mutants of the Python SDK as a subject: the cases for SDKs, run with drivers whose SDK has a fault."""

from __future__ import annotations

import itertools
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from conformance.mutants.sdk import MUTANTS
from conformance.runner.loader import REPOSITORY
from conformance.runner.mutating import Subject, Told, Trial, meant
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_cases import SdkItem, items_of
from conformance.runner.sdk_pool import SDKS, Drivers
from conformance.runner.sdk_run import run_item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from conformance.mutants.fault import Mutant
    from conformance.runner.sdk_cases import SdkCase
    from conformance.runner.sdk_server import SdkServer

# What nearly every case needs of an SDK; none of them knows of time.
SMOKE: Final = (
    "SDK-READ-004[python-http]",
    "SDK-READ-004[python-async-tcp]",
    "SDK-ERR-003[python-http]",
    "SDK-JOBS-007[python-tcp]",
)
_seeds: Final = itertools.count(7)  # the servers are shared, so that no two runs may meet
_START: Final = (
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
    "from conformance.mutants.launch_driver import run; run()"
)


def commands(mutant: str) -> Mapping[str, Sequence[str]]:
    """The drivers of the Python SDK with this fault; the usual ones for ""."""
    if not mutant:
        return SDKS
    plain = (sys.executable, "-c", _START, mutant)
    return {"python": plain, "python-async": (*plain, "--async")}


class SharedServer(Drivers):
    """Drivers with a fault, and the servers of others: a server that serves a faulty client is none the worse for it."""

    def __init__(self, servers: Drivers, mutant: str) -> None:
        super().__init__(commands(mutant))
        self._of_all = servers

    async def server(self, *, with_token: bool) -> SdkServer:
        return await self._of_all.server(with_token=with_token)


class SdkRunner:
    """Runs items with one fault in the SDK; nothing of it is recorded."""

    def __init__(self, servers: Drivers, mutant: str) -> None:
        self._drivers = SharedServer(servers, mutant)
        self._recorder = Recorder(None)

    async def run(self, trial: Trial) -> Told:
        outcome = await run_item(
            cast("SdkItem", trial), self._drivers, self._recorder, seed=next(_seeds)
        )
        return Told(verdict=outcome.verdict, why=outcome.failure or "")

    async def close(self) -> None:
        await self._drivers.close()
        self._recorder.close()


@asynccontextmanager
async def subject(cases: Sequence[SdkCase]) -> AsyncIterator[Subject]:
    """The Python SDK, as long as the servers that it talks to live."""
    items = items_of(cases, SDKS)
    by_name = {item.name: item for item in items}
    servers = Drivers()

    async def begin(name: str) -> SdkRunner:
        return SdkRunner(servers, name)

    def named(mutant: Mutant) -> Sequence[Trial]:
        return meant(mutant, _words, items)

    for with_token in (False, True):  # before two mutants ask for them at once
        await servers.server(with_token=with_token)
    try:
        yield Subject(
            name="sdk",
            mutants=MUTANTS,
            smoke=[by_name[name] for name in SMOKE],
            named=named,
            rest=lambda _: items,
            open=begin,
        )
    finally:
        await servers.close()


def _words(trial: Trial) -> Iterable[str]:
    item = cast("SdkItem", trial)
    return (item.name, item.case.id, *item.case.covers)
