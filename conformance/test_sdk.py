"""The pytest front end of the cases for SDKs: each case, SDK and transport is a test; so are interop pairs and golden vectors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from conformance.runner.interop import EXCHANGES, Pair, pairs, run_pair
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_cases import TRANSPORTS, SdkItem, items_of, load
from conformance.runner.sdk_checking import smoke
from conformance.runner.sdk_pool import SDKS, Drivers
from conformance.runner.sdk_run import run_item
from conformance.runner.sdk_vectors import check

if TYPE_CHECKING:
    from collections.abc import Iterator


class Machine:
    """One event loop, its drivers and servers, for all tests of a process."""

    def __init__(self, recorder: Recorder) -> None:
        self._runner = asyncio.Runner()
        self.recorder = recorder
        self.drivers = Drivers()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def close(self) -> None:
        self._runner.run(self.drivers.close())
        self._runner.close()
        self.recorder.close()


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    without = request.config.getoption("--no-records")
    made = Machine(Recorder(None) if without else Recorder())
    yield made
    made.close()


def _param(item: SdkItem) -> Any:
    mark = pytest.mark.quick if item.case.quick else pytest.mark.acceptance
    return pytest.param(item, id=item.name, marks=mark)


@pytest.mark.parametrize("sdk", SDKS)
def test_the_driver_is_good_before_its_sdk_is_blamed(sdk: str, machine: Machine) -> None:
    assert machine.run(smoke(SDKS[sdk])) == []


@pytest.mark.parametrize("item", [_param(item) for item in items_of(load(), SDKS)])
def test_case(item: SdkItem, machine: Machine) -> None:
    outcome = machine.run(run_item(item, machine.drivers, machine.recorder))
    if outcome.verdict == "not_applicable":
        pytest.skip(f"{item.sdk} does not have {', '.join(item.case.needs)}")
    again = f"again: python -m conformance sdk '{item.name}'"
    assert outcome.verdict == "pass", f"{outcome.failure}\n{again}\n{outcome.stderr[-3000:]}"


@pytest.mark.acceptance
@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("pair", pairs(SDKS), ids=lambda pair: pair.name)
def test_interop(pair: Pair, exchange: str, machine: Machine) -> None:
    outcome = machine.run(run_pair(pair, exchange, machine.drivers, machine.recorder))
    assert outcome.verdict == "pass", outcome.failure


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sdk", SDKS)
def test_golden_vectors_in_the_directions_of_the_sdk(
    sdk: str, transport: str, machine: Machine
) -> None:
    async def both() -> list[str]:
        return await check(await machine.drivers.get(sdk, virtual=True), transport)

    assert machine.run(both()) == []
