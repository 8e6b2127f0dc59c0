"""
What there is to cover: one cell for each thing that the specification says can happen. Nothing here comes from the cases.

    C1  push 201 application/json      operation × documented status × media type
    C2  push DUPLICATE_KEY             operation × error code
    C3  push v1 VALIDATION_ERROR       TCP command × version × ok or code of its own
    C4  v2 PAYLOAD_TOO_LARGE           TCP version × code that any line can have; what HTTP says without an operation
    C5  job.cancel tcp                 notice × transport
    C6  JW-PUSH-1                      requirement with MUST (those with SHOULD are counted and not gated)
    C8  python push ConflictError      SDK × method × ok or class of error

A cell that no client can reach is marked where it is declared: `x-unreachable` on a response or an operation of openapi.yaml,
`unreachable` of wire.yaml, each with a reason. C7 is a count of schema members and words: features.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.tcp_rules import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.runner.specification import HttpOperation, Response, Specification

DIMENSIONS: Final = ("C1", "C2", "C3", "C4", "C5", "C6", "C8")
OK: Final = "ok"
ANY_METHOD: Final = "*"
# What is said where no operation is known: an unknown path, bytes that are no request.
_WITHOUT_OPERATION: Final = ("ROUTE_NOT_FOUND", "BAD_REQUEST")
_LINE_CODES: Final = ("PARSE_ERROR", "VALIDATION_ERROR")


@dataclass(slots=True)
class Cells:
    """`wanted` is dimension → cells to cover; `unreachable` is `dimension cell` → reason; `should` are the SHOULDs of C6."""

    wanted: dict[str, set[str]] = field(
        default_factory=lambda: {each: set() for each in DIMENSIONS}
    )
    unreachable: dict[str, str] = field(default_factory=dict)
    should: set[str] = field(default_factory=set)

    def add(self, dimension: str, cell: str, reason: str | None = None) -> None:
        if reason:
            self.unreachable[f"{dimension} {cell}"] = reason
        else:
            self.wanted[dimension].add(cell)


def declared(spec: Specification, surface: dict[str, Any] | None = None) -> Cells:
    """Every cell of a specification; `surface` is sdk-surface.yaml."""
    cells = Cells()
    for operation in spec.http:
        _add_operation(cells, operation)
    reasons = dict(spec.wire.get("unreachable", {}))
    for cell in [*_commands(spec), *_lines(spec)]:
        dimension, _, name = cell.partition(" ")
        cells.add(dimension, name, reasons.pop(cell, None))
    for notice in spec.wire["notices"]:
        cells.add("C5", f"{notice} tcp")
    for requirement in spec.requirements:
        if requirement.level == "MUST":
            cells.add("C6", requirement.id, reasons.pop(f"C6 {requirement.id}", None))
        elif requirement.level == "SHOULD":
            cells.should.add(requirement.id)
    if reasons:
        raise ValueError(f"wire.yaml: unreachable names no cell: {', '.join(reasons)}")
    for cell in sdk_cells(surface or {}):
        cells.add("C8", cell)
    return cells


# --- HTTP -------------------------------------------------------------------------------------------------------


def _add_operation(cells: Cells, operation: HttpOperation) -> None:
    codes: dict[str, str | None] = {}
    for response in operation.responses.values():
        reasons = _reasons(operation, response)
        for media_type in response.content:
            reason = reasons.get(media_type) or _of_all(response.codes, reasons)
            cells.add("C1", f"{operation.id} {response.status} {media_type}", reason)
        for (
            code
        ) in response.codes:  # VALIDATION_ERROR has two statuses, and one that is reached suffices
            codes[code] = codes.get(code, reasons.get(code)) and reasons.get(code)
    for code, reason in codes.items():
        cells.add("C2", f"{operation.id} {code}", reason)


def _reasons(operation: HttpOperation, response: Response) -> dict[str, str]:
    """The marks of the response, and those of the operation for it: `'400 application/problem+json': reason`."""
    own = {
        name.removeprefix(f"{response.status} "): reason
        for name, reason in operation.unreachable.items()
        if name.startswith(f"{response.status} ")
    }
    return {**response.unreachable, **own}


def _of_all(codes: frozenset[str], reasons: dict[str, str]) -> str | None:
    """A status whose every code is out of reach is so too."""
    given = [reasons.get(code) for code in sorted(codes)]
    return given[0] if given and all(given) else None


# --- TCP --------------------------------------------------------------------------------------------------------


def outcomes(spec: Specification, command: str, version: int) -> list[str]:
    """ok, and the codes that a command has of its own in a version."""
    row = spec.commands[command]
    if row["wire"] > version:
        return ["UNKNOWN_COMMAND"]  # JW-TCP-16
    codes = [code for code in row["errors"] if "tcp" in spec.codes[code]["doors"]]
    if command == "get":  # JW-TCP-18
        codes.remove("NOT_FOUND" if version > 1 else "JOB_NOT_FOUND")
    if command == "ack_batch" and version == 1:  # JW-TCP-17
        codes.append("PARTIAL_FAILURE")
    return [OK, *codes]


def _commands(spec: Specification) -> Iterator[str]:
    for command in spec.commands:
        for version in (1, 2):
            for outcome in outcomes(spec, command, version):
                yield f"C3 {command} v{version} {outcome}"


def _lines(spec: Specification) -> Iterator[str]:
    for version in (1, 2):
        for code in spec.wire["common_errors"]["tcp"]:
            yield f"C4 v{version} {code}"
        for code in _LINE_CODES:
            yield f"C4 v{version} {UNKNOWN} {code}"
    for code in _WITHOUT_OPERATION:
        yield f"C4 http {code}"


# --- SDKs -------------------------------------------------------------------------------------------------------


def sdk_cells(surface: dict[str, Any]) -> Iterator[str]:
    """
    For each SDK that there is: its methods, each with ok and each class of error that it declares.

    `python * TransportError` is a class that any method can meet; one of them suffices.
    """
    rows: dict[str, Any] = {}
    for section in ("methods", "worker_methods", "job_methods"):
        rows |= surface.get(section, {})
    for sdk, about in surface.get("sdks", {}).items():
        if about["status"] == "planned":
            continue
        for method, row in rows.items():
            if row.get("outcomes") is not False:
                yield from (f"{sdk} {method} {each}" for each in (OK, *row.get("errors", ())))
        yield from (f"{sdk} {ANY_METHOD} {each}" for each in surface.get("any_method", ()))
