"""All mutants that the simulation must tell from the real server.

Faults of the file and of power, such as `synchronous=NORMAL`, are the business of tests/proof/power.
"""

from __future__ import annotations

from typing import Final

from tests.proof.sim.job_mutants import JOB_MUTANTS
from tests.proof.sim.lease_mutants import LEASE_MUTANTS
from tests.proof.sim.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (*LEASE_MUTANTS, *JOB_MUTANTS)
