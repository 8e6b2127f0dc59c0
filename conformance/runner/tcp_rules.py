"""
What wire.yaml allows a TCP line of the server to be. One `TcpSession` a connection follows both directions, so that an answer is
judged by the command that it answers and by the version that the connection speaks.

Plan: a request waits in the order in which it was sent. An answer with a `rid` is for the first request that waits with that rid;
one without is for the first without. What the server cannot read (too long, no JSON, no line) it answers without a rid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.exchange import Finding
from conformance.runner.features import asked_with, fields_of
from conformance.runner.validating import (
    NotJson,
    Schemas,
    error_problems,
    item_problems,
    read_json,
    shown,
)
from conformance.runner.wire_shapes import answer_schema, shape

if TYPE_CHECKING:
    from conformance.runner.specification import Specification

UNKNOWN: Final = "?"  # the command of a line that has none, or none that there is
NOTICE: Final = "notice:"
# Codes of lines that are no command yet: not JSON, no object, no `cmd` or a wrong one, and those of any line.
_OF_ANY_LINE: Final = frozenset({"PARSE_ERROR", "VALIDATION_ERROR"})
# Said of a line that was not read to its end, or of none: its rid is not known.
_UNREAD: Final = frozenset(
    {"PAYLOAD_TOO_LARGE", "UNAUTHORIZED", "UNSUPPORTED_PROTOCOL", "REQUEST_TIMEOUT", "OVERLOADED"}
)
_COMMAND: Final = re.compile(rb'"cmd"\s*:\s*"([a-z_]+)"')
_ERROR: Final = {"$ref": "#/components/schemas/ErrorBody"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for its answer. `command` is UNKNOWN for a line without one; `is_json` whether it can be read; `fields` what it gives."""

    command: str
    rid: int | None
    is_json: bool = True
    fields: frozenset[str] = frozenset()


class TcpRules:
    """The rules of one specification, shared by its sessions."""

    def __init__(self, spec: Specification) -> None:
        self.spec = spec
        self._schemas = {wire: Schemas(spec, wire=wire) for wire in (1, 2)}
        names = self._schemas[2].names
        self._answers = {
            name: answer_schema(each["answer"], known=names) for name, each in spec.commands.items()
        }
        self._notices = {
            name: _notice_schema(each["fields"], names)
            for name, each in spec.wire["notices"].items()
        }
        self._refusal = {
            "type": "object",
            "required": ["ok", "error"],
            "properties": {"ok": {"const": False}, "error": _ERROR, "rid": {"type": "integer"}},
        }

    def asked(self, line: bytes) -> Asked:
        """What a line of a client asks for."""
        try:
            request = read_json(line)
        except NotJson:
            match = _COMMAND.search(line)
            return Asked(self._known(match[1].decode() if match else None), None, is_json=False)
        if not isinstance(request, dict):
            return Asked(UNKNOWN, None)
        command, rid = request.get("cmd"), request.get("rid")
        in_range = type(rid) is int and 0 <= rid <= self.spec.wire["limits"]["rid_max"]
        return Asked(self._known(command), rid if in_range else None, fields=fields_of(request))

    def _known(self, command: object) -> str:
        return command if isinstance(command, str) and command in self.spec.commands else UNKNOWN

    def check_notice(self, line: dict[str, Any], wire: int, finding: Finding) -> None:
        name = str(line.get("notice"))
        finding.operations = (NOTICE + name,)
        if wire == 1:
            finding.problems.append(f"JW-TCP-1: the notice {name} on a connection of version 1")
        schema = self._notices.get(name)
        if schema is None:
            finding.problems.append(f"the notice {name!r} is not in wire.yaml")
        else:
            finding.problems += self._schemas[2].problems(f"notice {name}", schema, line)

    def check_answer(
        self, line: dict[str, Any], asked: Asked | None, wire: int, finding: Finding
    ) -> None:
        command = asked.command if asked else UNKNOWN
        finding.operations = (command,)
        if line.get("ok") is True:
            self._check_good(line, command, wire, finding)
        else:
            self._check_refusal(line, command, wire, finding)
            if finding.code and finding.code not in self.codes(asked, wire):
                finding.problems.append(f"wire.yaml does not have {finding.code} for {command}")
        if asked:
            finding.features |= asked_with(command, asked.fields, line.get("error"))
        if asked is None and finding.code != "OVERLOADED":
            finding.problems.append(f"JW-TCP-3: a line that answers nothing: {shown(str(line))}")
        if asked and line.get("rid") != asked.rid and finding.code not in _UNREAD:
            finding.problems.append(
                f"JW-TCP-19: {command} has the rid {line.get('rid')!r}, and not {asked.rid!r}"
            )

    def _check_good(self, line: dict[str, Any], command: str, wire: int, finding: Finding) -> None:
        schema = self._answers.get(command)
        if schema is None:
            finding.problems.append("ok as the answer to a line that has no known command")
            return
        if self.spec.commands[command]["wire"] > wire:
            finding.problems.append(f"JW-TCP-16: {command} is served in version 1")
        name = f"{command} in version {wire}"
        finding.problems += self._schemas[wire].problems(name, schema, line)
        finding.problems += item_problems(self.spec, line, door="tcp", retryable=wire > 1)

    def _check_refusal(
        self, line: dict[str, Any], command: str, wire: int, finding: Finding
    ) -> None:
        error = line.get("error")
        finding.code = str(error.get("code")) if isinstance(error, dict) else "?"
        schema = self._refusal_schema(command, finding.code)
        name = f"{command} refused with {finding.code} in version {wire}"
        problems = self._schemas[wire].problems(name, schema, line)
        finding.problems += problems
        if problems or not isinstance(error, dict):
            return
        finding.problems += error_problems(self.spec, error, door="tcp", retryable=wire > 1)
        finding.problems += item_problems(self.spec, line, door="tcp", retryable=wire > 1)

    def _refusal_schema(self, command: str, code: str) -> dict[str, Any]:
        """JW-TCP-17: in version 1 a batch of acks with a refused item is an error with the members of its answer."""
        if (command, code) != ("ack_batch", "PARTIAL_FAILURE"):
            return self._refusal
        good = self._answers[command]["properties"]
        members = {**good, "ok": {"const": False}, "error": _ERROR}
        return {**self._refusal, "properties": members, "required": [*members.keys() - {"rid"}]}

    def codes(self, asked: Asked | None, wire: int) -> frozenset[str]:
        """The codes that a line can be refused with in a version."""
        codes = set(self.spec.wire["common_errors"]["tcp"])
        command = asked.command if asked else UNKNOWN
        if command == UNKNOWN or (asked and not asked.is_json):
            codes |= _OF_ANY_LINE
        if command == UNKNOWN or self.spec.commands[command]["wire"] > wire:  # JW-TCP-16
            return frozenset(codes)
        codes.remove("UNKNOWN_COMMAND")
        codes |= set(self.spec.commands[command]["errors"])
        if command == "get":  # JW-TCP-18
            codes.remove("NOT_FOUND" if wire > 1 else "JOB_NOT_FOUND")
        if command == "ack_batch" and wire == 1:
            codes.add("PARTIAL_FAILURE")
        return frozenset(codes)


class TcpSession:
    """One connection: bytes in both directions in, findings out. `wire` is the version that it speaks now."""

    def __init__(self, rules: TcpRules) -> None:
        self._rules = rules
        self._waiting: list[Asked] = []
        self._sent = b""  # of a line that has not ended
        self._received = b""
        self._was_answered = False  # the line that has not ended was, and its rest is nothing
        self.wire = 1

    def sent(self, data: bytes) -> list[bytes]:
        """Bytes of the client; the lines that are whole with them."""
        *lines, self._sent = (self._sent + data).split(b"\n")
        for line in lines:
            if self._was_answered:
                self._was_answered = False
            else:
                self._waiting.append(self._rules.asked(line))
        return lines

    def received(self, data: bytes) -> list[tuple[bytes, Finding]]:
        """Bytes of the server; each line that is whole with them, and what is to be said of it."""
        *lines, self._received = (self._received + data).split(b"\n")
        return [(line, self._judged(line)) for line in lines]

    @property
    def unfinished(self) -> bytes:
        """What the server sent behind its last newline: nothing, unless it was cut off."""
        return self._received

    def _judged(self, line: bytes) -> Finding:
        finding = Finding(media_type=f"tcp{self.wire}")
        if b"\r" in line:
            finding.problems.append("JW-TCP-6: a line of the server has a carriage return")
        try:
            said = read_json(line)
        except NotJson as error:
            finding.problems.append(f"JW-TCP-6: {error}")
            return finding
        if not isinstance(said, dict):
            finding.problems.append(f"an answer is {shown(line)}, no object")
        elif "notice" in said:
            self._rules.check_notice(said, self.wire, finding)
        else:
            asked, in_order = self._take(said)
            if not in_order and self.wire == 1:
                finding.problems.append("JW-TCP-15: version 1 answers in the order of the requests")
            self._rules.check_answer(said, asked, self.wire, finding)
            self._learn_version(said, asked)
        return finding

    def _take(self, answer: dict[str, Any]) -> tuple[Asked | None, bool]:
        """The request that is answered, and whether it was the first that waited."""
        for index, asked in enumerate(self._waiting):
            if asked.rid == answer.get("rid"):
                return self._waiting.pop(index), index == 0
        if self._waiting:
            return self._waiting.pop(0), True
        if self._sent and not self._was_answered:
            self._was_answered = True
            return self._rules.asked(self._sent), True
        return None, True

    def _learn_version(self, said: dict[str, Any], asked: Asked | None) -> None:
        version = said.get("v")
        if asked and asked.command == "hello" and said.get("ok") is True and type(version) is int:
            self.wire = 2 if version > 1 else 1


def _notice_schema(fields: dict[str, str], known: frozenset[str]) -> dict[str, Any]:
    properties = {name: shape(text, known=known) for name, text in fields.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
