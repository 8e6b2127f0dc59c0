"""Checks wire.yaml, errors.yaml and lifecycle.yaml against themselves and against each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from source import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source import Spec

_KINDS: Final = frozenset({"string", "bool", "int", "number", "json", "time", "uuid"})
_MEMBERS: Final = frozenset(
    {
        "type",
        "required",
        "min",
        "max",
        "max_bytes",
        "max_items",
        "enum",
        "default",
        "pattern",
        "note",
    }
)
_LIMITS: Final = ("min", "max", "max_bytes", "max_items")
_RETRIES: Final = frozenset({"safe", "with_id", "never"})
_EFFECTS: Final = frozenset({"move", "stay", "already", "refuse", "skip"})
_SPECIAL_ROWS: Final = frozenset({"open", "guarded"})


def faults(spec: Spec) -> list[str]:
    """Everything that is wrong with the three files."""
    return [
        *_errors(spec.errors),
        *_lifecycle(spec),
        *_operations(spec),
        *_all_fields(spec),
        *_unused_codes(spec),
        *_sessions(spec.wire),
    ]


# --- errors.yaml --------------------------------------------------------------------------------------------------


def _errors(errors: dict[str, Any]) -> Iterator[str]:
    for code, entry in {**errors["codes"], **errors["client_codes"]}.items():
        where = f"errors.yaml: {code}"
        if entry["category"] not in errors["categories"]:
            yield f"{where} has an unknown category {entry['category']!r}"
        if not isinstance(entry["retryable"], bool):
            yield f"{where}: retryable is not true or false"
    for code, entry in errors["codes"].items():
        where = f"errors.yaml: {code}"
        if not set(entry["doors"]) <= {"http", "tcp"} or not entry["doors"]:
            yield f"{where} has unknown doors"
        if any(not 200 <= status <= 599 for status in as_list(entry["status"])):
            yield f"{where} has a status that is none"
        if len(as_list(entry["status"])) > 1 and "when" not in entry:
            yield f"{where} has several statuses and does not say when"


def _unused_codes(spec: Spec) -> Iterator[str]:
    common = spec.wire["common_errors"]
    used = {*common["http"], *common["tcp"], "PARTIAL_FAILURE"}
    for operation in spec.wire["operations"].values():
        used.update(operation["errors"])
    for code in spec.errors["codes"]:
        if code not in used:
            yield f"errors.yaml: no operation has {code}"
    for door, codes in common.items():
        for code in codes:
            entry = spec.errors["codes"].get(code)
            if entry is None:
                yield f"wire.yaml: common_errors.{door} has an unknown code {code}"
            elif door not in entry["doors"]:
                yield f"wire.yaml: common_errors.{door} has {code}, which errors.yaml keeps from that door"


# --- lifecycle.yaml -----------------------------------------------------------------------------------------------


def _lifecycle(spec: Spec) -> Iterator[str]:
    states = set(spec.lifecycle["states"])
    for name, operation in spec.lifecycle["operations"].items():
        where = f"lifecycle.yaml: {name}"
        if set(operation["on"]) != states:
            yield f"{where} does not have every state"
        for state, cell in operation["on"].items():
            yield from _cell(spec, f"{where} on {state}", cell, states)
        yield from _operation(spec, where, name, operation)


def _cell(spec: Spec, where: str, cell: dict[str, Any], states: set[str]) -> Iterator[str]:
    effect = cell["effect"]
    if effect not in _EFFECTS:
        yield f"{where} has an unknown effect {effect!r}"
    if (effect == "move") != ("to" in cell):
        yield f"{where}: `to` goes with move"
    if (effect == "refuse") != ("error" in cell):
        yield f"{where}: `error` goes with refuse"
    if not set(cell.get("to", [])) <= states | {"removed"}:
        yield f"{where} leads to an unknown state"
    if "error" in cell and cell["error"] not in spec.errors["codes"]:
        yield f"{where} has an unknown code {cell['error']}"


def _operation(spec: Spec, where: str, name: str, operation: dict[str, Any]) -> Iterator[str]:
    if operation.get("already_same_lease", "ack") not in spec.lifecycle["settled_by"]:
        yield f"{where}: already_same_lease is not in settled_by"
    refused = {cell["error"] for cell in operation["on"].values() if "error" in cell}
    if operation["by"] not in ("worker", "caller"):
        if refused:
            yield f"{where}: nobody asks for it, so it cannot be refused"
        return
    command = spec.wire["operations"].get(name)
    if command is None:
        yield f"{where} is no operation of wire.yaml"
        return
    lease = {"LEASE_LOST", "LEASE_REQUIRED"} if operation.get("lease") else set()
    for code in sorted((refused | lease) - set(command["errors"])):
        yield f"wire.yaml: {name} does not list {code}, which lifecycle.yaml gives it"


# --- wire.yaml ----------------------------------------------------------------------------------------------------


def _operations(spec: Spec) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name, operation in spec.wire["operations"].items():
        where = f"wire.yaml: {name}"
        if operation["retry"] not in _RETRIES:
            yield f"{where} has an unknown retry {operation['retry']!r}"
        if ("http" in operation) != ("operation_id" in operation):
            yield f"{where}: http and operation_id go together"
        if not {"http", "wire"} & set(operation):
            yield f"{where} has no door"
        for route in operation.get("http", []):
            if route in seen:
                yield f"{where} has the route of {seen[route]}"
            seen[route] = name
        for code in operation["errors"]:
            if code not in spec.errors["codes"]:
                yield f"{where} has an unknown code {code}"


def _all_fields(spec: Spec) -> Iterator[str]:
    for name, operation in spec.wire["operations"].items():
        for field_name, field in operation["fields"].items():
            yield from _field(spec, f"wire.yaml: {name}.{field_name}", field)
    for name, fields in spec.wire["objects"].items():
        for field_name, field in fields.items():
            yield from _field(spec, f"wire.yaml: {name}.{field_name}", field)
            yield from _default(spec, f"wire.yaml: {name}.{field_name}", field_name, field)


def _field(spec: Spec, where: str, field: Any) -> Iterator[str]:
    if isinstance(field, str):
        if field.removeprefix("object ") not in spec.wire["objects"]:
            yield f"{where} names an unknown object"
        return
    for member in sorted(set(field) - _MEMBERS):
        yield f"{where} has an unknown member {member!r}"
    for limit in _LIMITS:
        if isinstance(field.get(limit), str) and field[limit] not in spec.wire["limits"]:
            yield f"{where}: {limit} names an unknown limit {field[limit]!r}"
    yield from _kind(spec, where, field)


def _kind(spec: Spec, where: str, field: dict[str, Any]) -> Iterator[str]:
    kind: str = field["type"]
    if kind.startswith("list<"):
        if "max_items" not in field:
            yield f"{where} is a list without max_items"
        kind = kind.removeprefix("list<").removesuffix(">")
    if kind.startswith("object {"):
        return
    if kind.startswith("object "):
        if kind.removeprefix("object ") not in spec.wire["objects"]:
            yield f"{where} names an unknown object"
    elif kind not in _KINDS:
        yield f"{where} has an unknown type {kind!r}"
    if kind in ("string", "json") and not {"max_bytes", "enum"} & set(field):
        yield f"{where} has no max_bytes"
    if kind in ("int", "number") and not {"min", "max"} <= set(field):
        yield f"{where} has no min and max"
    if "pattern" in field:
        re.compile(field["pattern"])


def _default(spec: Spec, where: str, name: str, field: dict[str, Any]) -> Iterator[str]:
    defaults = spec.wire["defaults"]
    if name in defaults and "default" in field and field["default"] != defaults[name]:
        yield f"{where}: its default is not that of `defaults`"


def _sessions(wire: dict[str, Any]) -> Iterator[str]:
    for name, verdicts in wire["sessions"].items():
        if name not in wire["operations"] and name not in _SPECIAL_ROWS:
            yield f"wire.yaml: sessions.{name} is no operation"
        if set(verdicts) != {"connected", "ready", "draining"}:
            yield f"wire.yaml: sessions.{name} does not have every state"
