"""
Records whatever crosses a socket in a conformance run, and has it judged as it comes: one file of JSON lines a process.

    {"kind": "http", "case", "step", "by", "operations", "method", "target", "status", "type", "code", "problems", "request", "response", …}
    {"kind": "line", "case", "step", "by", "connection", "sent", "text"}                             a TCP line of a client, or bytes cut short
    {"kind": "tcp",  "case", "step", "by", "connection", "command", "wire", "code", "problems", "text"}   a TCP line of the server
    {"kind": "sdk",  "case", "sdk", "method", "outcome"}                                              outcome: ok, or the class of the error
    {"kind": "item", "case", "transport", "verdict", …}                                              what came of a case
    {"kind": "features", "seen": [..]}                                                               what earlier lines had not shown

`code` is empty for an answer that is ok. coverage.py and report.py read nothing else. Every record has `at`, milliseconds of
the machine's clock. Runs add to the folder: `make conformance` empties it first.
"""

from __future__ import annotations

import contextvars
import json
import os
import time
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from conformance.runner.exchange import Exchange, Finding
from conformance.runner.http_rules import HttpRules
from conformance.runner.specification import REPOSITORY, Specification, specification
from conformance.runner.tcp_rules import TcpRules, TcpSession
from conformance.runner.validating import Undocumented

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECORDS: Final = REPOSITORY / "build" / "conformance" / "records"
KEPT: Final = 4096  # bytes of a body or a line that a record keeps
_SECRET: Final = frozenset({"authorization"})  # tokens do not belong into a report

Direction = Literal["sent", "received"]

_NOBODY: Final = ("", "")
_place: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("place", default=_NOBODY)


class Recorder:
    """
    `folder` None judges without writing. `judge` False writes without judging, for peers that are meant to misbehave.

    Which case something belongs to is known by the task that calls: `note` holds for the caller and the tasks that it starts.
    """

    def __init__(
        self,
        folder: Path | None = RECORDS,
        *,
        worker: str | None = None,
        spec: Specification | None = None,
        judge: bool = True,
    ) -> None:
        self.judge = judge
        self._spec = spec or specification()
        self._http = HttpRules(self._spec)
        self._tcp = TcpRules(self._spec)
        self._sessions: dict[str, TcpSession] = {}
        self._problems: dict[str, list[str]] = {}
        self._features: set[str] = set()
        self._file = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            name = worker or os.environ.get("PYTEST_XDIST_WORKER", "main")
            self._file = (folder / f"{name}-{os.getpid()}.jsonl").open("a", encoding="utf-8")

    # --- where we are -------------------------------------------------------------------------------------------

    def note(self, case: str, step: str | int = "") -> None:
        """What follows belongs to this case and step. `case` is the item's name, with its transport."""
        _place.set((case, str(step)))

    def problems_of(self, case: str) -> list[str]:
        """What was undocumented in this case so far, also where nobody was there to hear the exception."""
        return list(self._problems.get(case, ()))

    # --- HTTP ---------------------------------------------------------------------------------------------------

    def http(self, exchange: Exchange) -> Finding:
        """Record an exchange. Undocumented when its answer is not one that openapi.yaml has."""
        finding = self._http.check(exchange) if self.judge else Finding()
        self._write(
            "http",
            by=exchange.by,
            connection=exchange.connection,
            operations=finding.operations,
            method=exchange.method,
            target=exchange.target[:KEPT],
            status=exchange.status,
            type=finding.media_type,
            code=finding.code,
            problems=finding.problems,
            request={
                "headers": _public(exchange.request_headers),
                "body": _kept(exchange.request_body),
            },
            response={"headers": _public(exchange.headers), "body": _kept(exchange.body)},
        )
        self._add_features(finding)
        self._raise(finding)
        return finding

    # --- TCP ----------------------------------------------------------------------------------------------------

    def tcp_line(
        self, connection: str, direction: Direction, data: bytes, *, by: str = "runner"
    ) -> list[Finding]:
        """
        Record bytes as they crossed a socket: lines, parts of lines, several lines. `connection` is unique in the process.

        A finding for each line of the server that is whole now. Undocumented when one is not what wire.yaml has.
        """
        session = self._sessions.setdefault(connection, TcpSession(self._tcp))
        if direction == "sent":
            for line in session.sent(data):
                self._write("line", by=by, connection=connection, sent=True, text=_kept(line))
            return []
        judged = session.received(data)
        for line, finding in judged:
            self._write_answer(connection, by, line, finding)
        for _, finding in judged:
            self._raise(finding)
        return [finding for _, finding in judged]

    def tcp_closed(self, connection: str, *, by: str = "runner") -> None:
        """Forget a connection. Bytes behind the last newline are recorded, and no fault: a server may be killed mid-line."""
        session = self._sessions.pop(connection, None)
        if session is not None and session.unfinished:
            text = _kept(session.unfinished)
            self._write("line", by=by, connection=connection, sent=False, text=text)

    def wire_of(self, connection: str) -> int:
        """The version that a connection speaks now."""
        session = self._sessions.get(connection)
        return session.wire if session else 1

    def _write_answer(self, connection: str, by: str, line: bytes, finding: Finding) -> None:
        finding.problems = finding.problems if self.judge else []
        self._write(
            "tcp",
            by=by,
            connection=connection,
            command=next(iter(finding.operations), ""),
            wire=int(finding.media_type.removeprefix("tcp")),
            code=finding.code,
            problems=finding.problems,
            text=_kept(line),
        )
        self._add_features(finding)

    # --- the rest -----------------------------------------------------------------------------------------------

    def sdk(self, sdk: str, method: str, outcome: str) -> None:
        """Record a call of an SDK: `ok`, or the class of its error."""
        self._write("sdk", sdk=sdk, method=method, outcome=outcome)

    def item(self, name: str, **members: Any) -> None:
        """Record what came of a case; report.py says which members it reads."""
        self._write("item", case=name, **members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what comes later is judged and not recorded."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add_features(self, finding: Finding) -> None:
        new = finding.features - self._features
        if new:
            self._features |= new
            self._write("features", seen=sorted(new))

    def _raise(self, finding: Finding) -> None:
        if finding.problems and self.judge:
            case, _ = _place.get()
            self._problems.setdefault(case, []).extend(finding.problems)
            raise Undocumented(finding.problems)

    def _write(self, kind: str, **members: Any) -> None:
        if self._file is None:
            return
        case, step = _place.get()
        at = time.time_ns() / 1e6
        record = {"kind": kind, "case": case, "step": step, "at": at, **members}
        # In one write with its newline, flushed: a process that is killed leaves whole lines.
        self._file.write(json.dumps(record, ensure_ascii=True, default=list) + "\n")
        self._file.flush()


def _public(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(name, "…" if name in _SECRET else value) for name, value in headers]


def _kept(data: bytes) -> str:
    """Text of the start of some bytes; what is not UTF-8 shows as \\xNN."""
    text = data[:KEPT].decode(errors="backslashreplace")
    return text if len(data) <= KEPT else f"{text}… ({len(data)} bytes)"


def read_records(folder: Path = RECORDS) -> list[dict[str, Any]]:
    """Every record of a run, in the order of their time. ValueError names a line that is no record."""
    records: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                record: Mapping[str, Any] = json.loads(line)
                records.append({"kind": record["kind"], **record})
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path.name}:{number}: no record: {error!r}") from error
    return sorted(records, key=lambda record: record.get("at", 0))
