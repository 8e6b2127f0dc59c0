"""All mutants of the reference server, by name."""

from __future__ import annotations

from typing import Final

from conformance.mutants import (
    care_faults,
    http_faults,
    job_faults,
    queue_faults,
    restart_faults,
    settling_faults,
    tcp_faults,
    time_faults,
    told_faults,
)
from conformance.mutants.fault import Mutant, mutants_of

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant
    for mutant in mutants_of(
        settling_faults,
        time_faults,
        job_faults,
        care_faults,
        queue_faults,
        told_faults,
        restart_faults,
        tcp_faults,
        http_faults,
    )
}
