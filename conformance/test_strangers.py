"""
What tools of others make of openapi.yaml: a client that is generated from it runs the cases of behaviour, and Schemathesis, which
sends what the document allows, finds no answer that it does not have.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from conformance.runner.commands.fuzz import fuzzed
from conformance.runner.commands.witness import BEHAVIOUR, witnessed
from conformance.runner.fuzzing import SEED
from conformance.runner.recorder import RECORDS
from conformance.runner.telling import story
from conformance.runner.witness import WitnessDoors

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.runner.machine import Machine
    from conformance.runner.model import Item

pytestmark = pytest.mark.acceptance

# What a typed client cannot send, by case.
NOT_SENT: Final = {
    "ACK-007": "a batch of acks with neither items nor ids",
    "BATCH-012": "a batch with an item of no type",
    "BATCH-014": "jobs that are no list",
    "FIND-002": "a list with commas, which the generator does not write",
    "PULL-011": "a pull of no queue",
}

# Without the cells of the matrices, which try states and no other fields; `python -m conformance witness` has them too.
ITEMS: Final = [item for item in witnessed([BEHAVIOUR]) if "matrix" not in item.case.suite]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.case.id)
def test_a_generated_client_and_the_server_agree(item: Item, machine: Machine) -> None:
    outcome, log = machine.run_item(item, WitnessDoors)
    wanted = "not_applicable" if item.case.id in NOT_SENT else "pass"

    assert outcome.verdict == wanted, story(outcome, machine.seed, log)


def test_schemathesis_finds_nothing(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    records = tmp_path if pytestconfig.getoption("--no-records") else RECORDS
    done = asyncio.run(fuzzed(SEED, records))

    assert not done.failures, "\n".join(done.failures)
    assert done.called == done.operations > 0
