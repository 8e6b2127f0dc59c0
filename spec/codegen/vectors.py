"""Writes the golden data of spec/vectors/: what every implementation has to answer, with where each row comes from.

The rows of transitions.json, errors.json and backoff.json follow from the specification; those of the JSON files and the conversations are
listed in modules of their own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import vectors_backoff
import vectors_json
import vectors_transcripts
from source import SpecError, as_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from source import Spec

FOLDER = "spec/vectors"
KEYS = {"about", "provenance", "vectors"}


def outputs(spec: Spec) -> dict[str, str]:
    """The files of this module: path → text."""
    return {_path(name): _text(make(spec)) for name, make in _makers().items()}


def _makers() -> dict[str, Callable[[Spec], dict[str, Any]]]:
    return {
        "transitions": _transitions,
        "errors": _errors,
        "backoff": vectors_backoff.document,
        "json_values": vectors_json.values,
        "malformed": vectors_json.malformed,
        "transcripts": vectors_transcripts.transcripts,
    }


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.json"


def _text(document: dict[str, Any]) -> str:
    """One vector a line, so that a change of one is a change of one line."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in document["vectors"])
    head = json.dumps({key: document[key] for key in ("about", "provenance")}, indent=1)
    return f'{head[:-2]},\n "vectors": [\n{rows}\n ]\n}}\n'


def faults(spec: Spec) -> list[str]:
    """What is wrong with the committed files: not JSON, not the shape, an id twice."""
    found = []
    for path in map(_path, _makers()):
        try:
            document = json.loads(spec.text(path))
        except (SpecError, ValueError) as error:
            found.append(f"{path}: {error}")
            continue
        ids = [row["id"] for row in document["vectors"]]
        if set(document) != KEYS or not ids or len(ids) != len(set(ids)):
            found.append(f"{path}: its shape is wrong, or an id is there twice")
    return found


# --- transitions --------------------------------------------------------------------------------------------------


def _transitions(spec: Spec) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for operation, entry in spec.lifecycle["operations"].items():
        for state, cell in entry["on"].items():
            rows.append(_row(operation, state, cell))
            if entry.get("lease"):
                rows += _leased(spec, operation, entry, state, cell)
    return {
        "about": (
            "What each operation does to a job in each state. `lease`: none = the call carries none; current = that of the last delivery;"
            " stale = that of an earlier one. `settled_by`: how the last lease ended, null while it lives or when there was none."
        ),
        "provenance": "spec/lifecycle.yaml; leases: JW-LEASE-3, JW-LEASE-4, JW-LEASE-11",
        "vectors": rows,
    }


def _row(operation: str, state: str, cell: dict[str, Any], **lease: Any) -> dict[str, Any]:
    lease = lease or {"lease": "none", "settled_by": None}
    name = "/".join(filter(None, (operation, state, lease["lease"], lease["settled_by"])))
    return {
        "id": name,
        "operation": operation,
        "state": state,
        **lease,
        "effect": cell["effect"],
        "to": sorted(cell.get("to", [])),
        "error": cell.get("error"),
    }


def _leased(
    spec: Spec, operation: str, entry: dict[str, Any], state: str, cell: dict[str, Any]
) -> list[dict[str, Any]]:
    """The rows of a call that carries a lease."""
    lost = {"effect": "refuse", "error": "LEASE_LOST"}
    rows = [_row(operation, state, lost, lease="stale", settled_by=None)]
    if state == "active":
        return [*rows, _row(operation, state, cell, lease="current", settled_by=None)]
    for settled_by in spec.lifecycle["settled_by"]:
        if not _can_follow(spec, settled_by, state):
            continue
        same = entry.get("already_same_lease") == settled_by
        verdict = {"effect": "already"} if same else lost
        rows.append(_row(operation, state, verdict, lease="current", settled_by=settled_by))
    return rows


def _can_follow(spec: Spec, settled_by: str, state: str) -> bool:
    """Whether a job whose last lease ended so can be in `state`."""
    first = set(spec.lifecycle["operations"][settled_by]["on"]["active"]["to"])
    return state in _reachable(spec, first)


def _reachable(spec: Spec, states: set[str]) -> set[str]:
    """The states that a job can come to from these without another pull and without a retry, which forgets how the lease ended."""
    while True:
        more = {
            target
            for name, entry in spec.lifecycle["operations"].items()
            if name not in ("pull", "retry")
            for state in states
            for target in entry["on"][state].get("to", [])
            if target != "removed"
        }
        if more <= states:
            return states
        states = states | more


# --- errors -------------------------------------------------------------------------------------------------------


def _errors(spec: Spec) -> dict[str, Any]:
    tables = {**spec.errors["codes"], **spec.errors["client_codes"]}
    return {
        "about": "Every code with its HTTP statuses (the first is the rule), its category, its SDK class and whether a repeat may succeed.",
        "provenance": "spec/errors.yaml",
        "vectors": [
            {
                "id": code,
                "code": code,
                "statuses": as_list(entry.get("status", [])),
                "category": entry["category"],
                "sdk": spec.errors["categories"][entry["category"]]["sdk"],
                "retryable": entry["retryable"],
                "doors": entry.get("doors", ["client"]),
            }
            for code, entry in tables.items()
        ],
    }
