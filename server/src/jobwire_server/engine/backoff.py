"""How long a failed job waits (JW-FAIL-3). Golden rows: spec/vectors/backoff.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobwire_server.model import Job

# 2**63 ms is longer than any cap, so larger exponents need no arithmetic.
_EXPONENT_MAX = 63


def delay_ms(job: Job, attempt: int, u: float) -> int:
    """
    The delay before the next try, in ms, after failure number `attempt` (1 = the first).

    The job's schedule wins over its strategy; backoff_max_ms caps both; jitter takes off up to that share, `u` in [0, 1).
    """
    delay = min(_planned(job, attempt), job.backoff_max_ms)
    return delay - int(delay * job.jitter * u)


def _planned(job: Job, attempt: int) -> int:
    if job.backoff_schedule_ms:
        return job.backoff_schedule_ms[min(attempt, len(job.backoff_schedule_ms)) - 1]
    base = job.backoff_delay_ms
    if job.backoff == "fixed":
        return base
    if job.backoff == "linear":
        return base * attempt
    return base << min(attempt - 1, _EXPONENT_MAX)
