"""What Schemathesis calls a failure although the specification wants it: rules that JSON Schema has no words for.

Schemathesis says that a request which fits its schema is never refused, and that a 5xx is a bug. Each row here is a reason to the contrary, with the
requirement that says so. A failure is excused only by the code, the pointer and the words of its row; there is no baseline besides, and no check is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Excuse:
    """`pointer` is a pattern for the whole of details.pointer; `failure` is Schemathesis' name of what it objects to."""

    name: str
    reason: str
    failure: str = "RejectedPositiveData"
    code: str = "VALIDATION_ERROR"
    pointer: str = ".*"
    said: str = ""  # a pattern for a part of the message

    def fits(self, failure: str, error: dict[str, Any]) -> bool:
        pointer = str((error.get("details") or {}).get("pointer", ""))
        return (
            (failure, error.get("code")) == (self.failure, self.code)
            and re.fullmatch(self.pointer, pointer) is not None
            and re.search(self.said, str(error.get("message", ""))) is not None
        )


EXCUSES: Final = (
    Excuse(
        "bytes",
        "JW-LIMIT-2: lengths are counted in bytes of UTF-8, and maxLength counts characters",
        said=r"exceeds maximum of \d+ bytes|exceeds maximum length of \d+ bytes",
    ),
    Excuse(
        "depth",
        "JW-LIMIT-3: a schema cannot bound the nesting of any JSON value",
        code="PARSE_ERROR",
        said=r"nested more than \d+ levels deep",
    ),
    Excuse(
        "flat and nested",
        "JW-PUSH-10: an option stands flat or in `options`, not in both",
        said="send it once",
    ),
    Excuse(
        "run_at or delay_ms",
        "wire.yaml, JobOptions.run_at: not together with delay_ms, wherever the two stand",
        pointer=".*/run_at",
        said="exclude each other",
    ),
    Excuse(
        "needs unique_key",
        "wire.yaml, JobOptions.unique_for_ms and on_conflict need unique_key, wherever they stand",
        pointer=".*/(unique_for_ms|on_conflict)",
        said="needs a unique_key",
    ),
    Excuse(
        "fraction",
        "JW-ERR-9: 5.0 is an integer in JSON Schema, and refused for an integer field",
        said=r"expected int.*, got float",
    ),
    Excuse(
        "parents",
        "JW-DEP-2, JW-DEP-3, JW-DEP-7: what a job depends on exists, and is no circle and no long chain",
        pointer=".*/depends_on(/.*)?",
    ),
    Excuse(
        "weights",
        "wire.yaml, pull.weights: one for each entry of queues; lengths cannot be compared",
        pointer="/weights",
    ),
    Excuse(
        "cursor",
        "wire.yaml, cursor: the next_cursor of the page before, which a schema cannot know",
        pointer="/cursor",
    ),
    Excuse(
        "worker of a wait",
        "wire.yaml, heartbeat_batch.wait_ms: needs worker",
        pointer="/wait_ms",
    ),
    Excuse(
        "path and body",
        "a field of the path stands in the body with another value",
        said="differs from the path",
    ),
    Excuse(
        "paused",
        "errors.yaml, QUEUE_PAUSED is 503, and openapi.yaml lists it: another case had paused the queue",
        failure="ServerError",
        code="QUEUE_PAUSED",
    ),
)


def excuse_of(failure: str, error: dict[str, Any]) -> str | None:
    """The name of the row for a failure and the `error` of its answer; None where there is no excuse."""
    return next((excuse.name for excuse in EXCUSES if excuse.fits(failure, error)), None)
