"""Cases made of steps, for tests of the runner."""

from __future__ import annotations

from typing import Any

from conformance.runner.checking import step_of
from conformance.runner.model import Case


def case_of(steps: list[dict[str, Any]], *, transports: list[str], **members: Any) -> Case:
    """A case with these steps, which nobody has checked."""
    usual: dict[str, Any] = {
        "id": "TEST-1",
        "suite": "tests/test",
        "title": "a case of a test",
        "covers": ("JW-PUSH-1",),
        "level": "MUST",
        "requires": (),
        "server": {},
        "time": False,
        "always": (),
        "vars": {},
        "file": "tests/test.yaml",
        "line": 1,
    }
    made = tuple(step_of(step, number) for number, step in enumerate(steps, 1))
    return Case(**{**usual, **members, "steps": made, "transports": tuple(transports)})
