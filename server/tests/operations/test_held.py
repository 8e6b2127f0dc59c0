"""The memory of jobs that were handed out is bounded by what the jobs weigh, whatever it is that weighs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.engine.jobs import a_job

from jobwire_server.model import JobError, LogLine
from jobwire_server.operations.settling import Held

KEPT = 16 * 1024 * 1024
WEIGHT = 64 * 1024


@pytest.mark.parametrize(
    "heavy",
    [
        {"data": bytes(WEIGHT)},
        {"metadata": bytes(WEIGHT)},
        {"errors": (JobError(1, 0, "error", "e" * WEIGHT, None),)},
        {"logs": (LogLine(0, "l" * WEIGHT),)},
    ],
    ids=lambda heavy: next(iter(heavy)),
)
def test_the_oldest_go_when_there_is_no_room(heavy: dict[str, Any]) -> None:
    held = Held()
    jobs = [replace(a_job(), id=str(number), **heavy) for number in range(KEPT // WEIGHT + 1)]
    for job in jobs:
        held.put(job)

    assert held.get(jobs[0].id) is None
    assert held.get(jobs[-1].id) is jobs[-1]

    for job in jobs:
        held.drop(job.id)
    light = replace(a_job(), id="light")
    held.put(light)
    assert held.get("light") is light
