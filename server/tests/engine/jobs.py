"""Jobs as they stand in each state, for the tests of the engine."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from jobwire_server.engine.leases import lease_of
from jobwire_server.engine.timing import due_at, position
from jobwire_server.model import Job, JobState

NOW = 1_767_225_600_000
PUSHED = NOW - 100_000
ID = "019b0000-0000-7000-8000-00000000000a"
PARENT_ID = "019b0000-0000-7000-8000-00000000000b"

_ENDED = {"lease_expires_at": None, "finished_at": NOW - 1_000}
IN_STATE: dict[str, dict[str, Any]] = {
    "waiting": {},
    "delayed": {"run_at": NOW + 5_000},
    "blocked": {"pending_parents": 1, "depends_on": (PARENT_ID,)},
    "active": {
        "delivery": 2,
        "lease_ms": 30_000,
        "lease_expires_at": NOW + 20_000,
        "started_at": NOW - 10_000,
        "worker_id": "w",
    },
    "completed": {"delivery": 2, "settled_by": "ack", "completed_at": NOW - 1_000, **_ENDED},
    "dlq": {"delivery": 2, "settled_by": "fail", "reason": "failed", "attempt": 3, **_ENDED},
    "cancelled": {"reason": "cancelled", **_ENDED},
    "removed": {"data": b"", **_ENDED},
}


def a_job(state: str = "waiting", **fields: Any) -> Job:
    """A job in this state; `fields` go over those that the state brings along."""
    said = {"run_at": PUSHED, "updated_at": PUSHED, **IN_STATE[state], **fields}
    said.setdefault("id", ID)
    job = Job(
        queue="q",
        name="n",
        data=said.pop("data", b"{}"),
        created_at=PUSHED,
        state=JobState(state),
        **said,
    )
    return replace(job, due_at=due_at(job), position=position(job))


def lease_before(job: Job) -> str:
    """The lease of the delivery before the job's last one."""
    return lease_of(replace(job, delivery=job.delivery - 1))
