"""
The lease: what a worker shows to speak for a job (JW-LEASE-1).

It is made from the delivery number, which only grows, so an old lease can never equal the current one. The tail of the id is in it
so that the lease of one job is never taken for another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobwire_server.model import Job


def lease_of(job: Job) -> str:
    """The lease of the job's last delivery; opaque to everyone else."""
    return f"{job.delivery:x}-{job.id[-12:]}"
