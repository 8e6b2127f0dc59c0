"""
The guard against a driver that lies: what it says an SDK did is held against what crossed the wire. It knows nothing of cases.

A success needs a request of that operation with an answer, and ids that a call gives back must have been in such an answer; an error
with a code of the server needs that code on the wire. Errors that a client makes itself need no witness.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.specification import specification

if TYPE_CHECKING:
    from conformance.runner.sdk_wire import Seen, WireLog

_FOUND_BY: Final = {"find_page": "find", "ping": "live"}  # methods besides wire.yaml's `sdk`
_CLIENT_MAY_SAY: Final = frozenset({"VALIDATION_ERROR", "PAYLOAD_TOO_LARGE", "SHUTTING_DOWN"})


class Lie(AssertionError):  # noqa: N818 - named for what it is
    """The driver claims what the wire does not bear out."""


@functools.cache
def commands_of(method: str) -> frozenset[str]:
    """The commands that a method of the SDK stands for; empty for what makes no request."""
    rows = specification().wire["operations"].items()
    found = {command for command, row in rows if row.get("sdk") == method}
    return frozenset(found | ({_FOUND_BY[method]} if method in _FOUND_BY else set()))


# Codes that a client makes itself: errors.yaml's client_codes.
_CLIENT_CODES: Final = frozenset(
    {
        "CONNECTION_FAILED",
        "CONNECTION_LOST",
        "TIMEOUT",
        "PROTOCOL_ERROR",
        "HTTP_ERROR",
        "CLIENT_CLOSED",
    }
)


def check_success(method: str, value: Any, log: WireLog, since: int) -> None:
    """Raise Lie when *method* cannot have given *value* with what crossed after *since*."""
    commands = commands_of(method)
    if not commands:
        return
    seen = [each for each in log.seen[since:] if each.command in commands]
    answered = [
        each for each in seen if each.answer is not None and each.answer.get("ok") is not None
    ]
    if not answered:
        raise Lie(
            f"the driver says that {method} succeeded; no answered {sorted(commands)} crossed the wire"
        )
    claimed = set(_ids(value)) if method in _WITH_IDS else set()
    missing = claimed - set(_wire_ids(answered))
    if missing:
        raise Lie(
            f"the driver says that {method} gave {sorted(missing)}; the wire has seen no such id"
        )


_WITH_IDS: Final = frozenset({"push", "push_batch", "pull", "get_job", "find", "find_page", "dlq"})


def _ids(value: Any) -> Iterator[str]:
    """Ids of jobs in what a method gave."""
    if isinstance(value, list):
        for each in value:
            yield from _ids(each)
    elif isinstance(value, Mapping):
        if isinstance(value.get("id"), str):
            yield value["id"]
        yield from _ids(value.get("jobs", []))


def _wire_ids(answered: list[Seen]) -> Iterator[str]:
    for seen in answered:
        answer = seen.answer or {}
        yield from _ids(answer)
        yield from _ids(answer.get("job"))
        yield from (each for each in answer.get("ids", ()) if isinstance(each, str))


def check_error(method: str, error: Mapping[str, Any], log: WireLog, since: int) -> None:
    """Raise Lie when *error* has a code of the server that the server never said."""
    code = error["code"]
    if code is None or code in _CLIENT_CODES or code in _CLIENT_MAY_SAY:
        return
    if code not in log.codes(since):
        raise Lie(
            f"the driver says that {method} failed with {code}; the wire has seen no such code"
        )
