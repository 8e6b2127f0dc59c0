"""
The suite itself is graded: the items that a mutant names kill it, and on a null server nothing passes without a written reason.

A mutant that its own items let live fails here: `python -m conformance mutants server --only NAME -v` tries all others and tells
which one kills it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.mutants import sdk, server
from conformance.nullservers import KINDS
from conformance.runner.closing import MUTANT, NULLS
from conformance.runner.commands.mutants import told
from conformance.runner.loader import load
from conformance.runner.nulling import findings_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.runner.machine import Machine

pytestmark = pytest.mark.acceptance

MUTANTS = {"server": server.MUTANTS, "sdk": sdk.MUTANTS}


@pytest.mark.parametrize(
    ("subject", "name"), [(subject, name) for subject, found in MUTANTS.items() for name in found]
)
def test_what_a_mutant_names_kills_it(
    subject: str, name: str, machine: Machine, record_property: Callable[[str, object], None]
) -> None:
    fate = machine.fate(subject, name)
    record_property(MUTANT, f"{subject} {fate.end}")

    assert fate.end == "killed", told(fate)


@pytest.mark.parametrize("kind", KINDS)
def test_no_case_passes_on_a_null_server_without_a_reason(
    kind: str, record_property: Callable[[str, object], None]
) -> None:
    found = findings_apart(load(), [kind])
    record_property(NULLS, f"{kind} {len(found)}")

    assert not found, "\n".join(map(str, found))
