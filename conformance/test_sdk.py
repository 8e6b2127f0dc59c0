"""The pytest front end of the cases for SDKs: each case, SDK and transport is a test; so are interop pairs and golden vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.runner.interop import EXCHANGES, Pair, pairs, run_pair
from conformance.runner.sdk_cases import CAPS, LACKS, TRANSPORTS, SdkItem, items_of, load
from conformance.runner.sdk_checking import smoke
from conformance.runner.sdk_pool import SDKS
from conformance.runner.sdk_run import run_item
from conformance.runner.sdk_vectors import check

if TYPE_CHECKING:
    from conformance.runner.machine import Machine


def _param(item: SdkItem) -> Any:
    mark = pytest.mark.quick if item.case.quick else pytest.mark.acceptance
    return pytest.param(item, id=item.name, marks=mark)


@pytest.mark.parametrize("sdk", SDKS)
def test_the_driver_is_good_before_its_sdk_is_blamed(sdk: str, machine: Machine) -> None:
    assert machine.run(smoke(SDKS[sdk])) == []


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_can_do_what_it_is_said_not_to_lack(sdk: str, machine: Machine) -> None:
    driver = machine.run(machine.drivers.get(sdk, virtual=False))

    assert set(driver.ready["caps"]) == CAPS - LACKS.get(sdk, frozenset())


@pytest.mark.parametrize("item", [_param(item) for item in items_of(load(), SDKS)])
def test_case(item: SdkItem, machine: Machine) -> None:
    outcome = machine.run(run_item(item, machine.drivers, machine.recorder))
    again = f"again: python -m conformance sdk '{item.name}'"
    assert outcome.verdict == "pass", f"{outcome.failure}\n{again}\n{outcome.stderr[-3000:]}"


def _is_asked(pair: Pair) -> bool:
    """Python's two clients write the same bytes: one of them meets the other languages here, and all of them by `interop`."""
    names = {pair.producer, pair.consumer}
    return "python-async" not in names or names <= {"python", "python-async"}


@pytest.mark.acceptance
@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(
    "pair", [pair for pair in pairs(SDKS) if _is_asked(pair)], ids=lambda pair: pair.name
)
def test_interop(pair: Pair, exchange: str, machine: Machine) -> None:
    outcome = machine.run(run_pair(pair, exchange, machine.drivers, machine.recorder))
    assert outcome.verdict == "pass", outcome.failure


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sdk", SDKS)
def test_golden_vectors_in_the_directions_of_the_sdk(
    sdk: str, transport: str, machine: Machine
) -> None:
    driver = machine.run(machine.drivers.get(sdk, virtual=True))

    assert machine.run(check(driver, transport)) == []
