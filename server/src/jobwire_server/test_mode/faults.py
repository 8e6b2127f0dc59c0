"""Fail points: what is to go wrong, how often, and how often it has."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from jobwire_server.errors import JobwireError
from jobwire_server.wire.commands import COMMANDS

Action = Literal["error", "close_before", "close_after_commit", "delay", "truncate"]

# What a TCP session does by itself, so that there is no operation to fail.
_OF_THE_SESSION: Final = frozenset({"hello", "auth", "ping", "abort", "bye"})
OPERATIONS: Final = frozenset(COMMANDS) - _OF_THE_SESSION


@dataclass(slots=True, kw_only=True)
class Fault:
    """The next `times` requests of `op` meet `action`; `ms` is the delay, or the retry_after_ms of an error."""

    id: int
    op: str
    times: int
    action: Action
    code: str
    ms: int
    hits: int = 0

    @property
    def seconds(self) -> float:
        return self.ms / 1000

    def error(self) -> JobwireError:
        """What `error` answers."""
        return JobwireError(
            self.code, "A fail point of test mode asked for this", retry_after_ms=self.ms or None
        )


class FaultBoard:
    """All fail points, in the order in which they were set; the first that is left for an operation is met."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last_id = 0

    def add(self, *, op: str, times: int, action: Action, code: str, ms: int) -> int:
        """Set one; its id."""
        self._last_id += 1
        self._faults.append(
            Fault(id=self._last_id, op=op, times=times, action=action, code=code, ms=ms)
        )
        return self._last_id

    def clear(self) -> None:
        self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def take(self, op: str, requests: int = 1) -> tuple[Fault | None, int]:
        """The fault that so many requests of an operation meet, and how many of them do; (None, 0) when there is none."""
        for fault in self._faults:
            met = min(fault.times - fault.hits, requests)
            if fault.op == op and met > 0:
                # A connection is cut once, however many requests were on it.
                met = met if fault.action == "error" else 1
                fault.hits += met
                return fault, met
        return None, 0
