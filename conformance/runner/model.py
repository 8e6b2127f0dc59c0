"""What a case file holds, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL_TRANSPORTS: Final = ("http", "tcp1", "tcp2")
RAW_TRANSPORTS: Final = ("raw-http", "raw-tcp")

# What a `do:` runs over in a case of raw steps, which has no transport of its own.
_DOOR_OF_RAW: Final = {"raw-http": "http", "raw-tcp": "tcp2", "witness": "http"}

STEP_KINDS: Final = (
    "do",
    "http",
    "tcp",
    "join",
    "parallel",
    "advance",
    "freeze",
    "fault",
    "restart",
    "wait_until",
    "assert",
    "close",
)


class SuiteError(Exception):
    """The suite itself is wrong: a case that cannot be read or run. Never a verdict on a server. Starts with file:line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its kind, and all keys of its mapping as they were written."""

    kind: str
    body: Mapping[str, Any]
    line: int

    @property
    def label(self) -> str:
        """A few words that name the step in a report."""
        if "name" in self.body:
            return str(self.body["name"])
        subject = self.body[self.kind]
        words = subject if isinstance(subject, str) else _subject(self.kind, subject)
        start = self.body.get("start")
        return f"{self.kind} {words}".strip() + (f" (started as {start})" if start else "")


def _subject(kind: str, body: Any) -> str:
    match kind:
        case "http":
            return f"{body.get('method', 'raw')} {body.get('path', body.get('target', ''))}".strip()
        case "tcp":
            return str(body.get("connect", ""))
        case "fault":
            return f"{body['action']} in {body['op']}"
        case "wait_until":
            return str(body["do"])
        case _:
            return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyCase:
    """What a case for servers and one for SDKs have in common: a rule, and where it stands."""

    id: str
    suite: str
    title: str
    covers: tuple[str, ...]
    level: str
    transports: tuple[str, ...]
    vars: Mapping[str, Any]
    file: str
    line: int
    quick: bool = False
    provenance: str = ""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(AnyCase):
    """One rule and how it is shown. `server` are the settings of its server process, empty for the usual ones."""

    requires: tuple[str, ...]
    server: Mapping[str, Any]
    time: bool
    steps: tuple[Step, ...]
    always: tuple[Step, ...]
    passes_on_null: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A case over one transport: what runs, and what a report has a line for."""

    case: Case
    transport: str

    @property
    def name(self) -> str:
        return f"{self.case.id}[{self.transport}]"

    @property
    def door(self) -> str:
        """What a `do:` runs over: http, tcp1 or tcp2."""
        return _DOOR_OF_RAW.get(self.transport, self.transport)


def items_of(cases: list[Case]) -> list[Item]:
    return [Item(case=case, transport=transport) for case in cases for transport in case.transports]


@dataclass(slots=True, kw_only=True)
class StepLog:
    """What one step came to. `note` says why it failed, or what is worth knowing of it."""

    name: str
    ok: bool
    note: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one item came to. `verdict` is pass, fail, error (of the suite or its tools) or not_applicable."""

    item: Item
    verdict: str
    steps: list[StepLog]
    assertions: int
    failure: str | None
    seconds: float
    wire: list[str] = field(default_factory=list)
    server_log: str = ""
