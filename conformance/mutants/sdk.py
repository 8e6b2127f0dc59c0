"""All mutants of the Python SDK, by name."""

from __future__ import annotations

from typing import Final

from conformance.mutants import sdk_call_faults, sdk_wire_faults, sdk_worker_faults
from conformance.mutants.fault import Mutant, mutants_of

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant
    for mutant in mutants_of(sdk_wire_faults, sdk_call_faults, sdk_worker_faults)
}
