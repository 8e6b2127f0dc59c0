"""Writes the tables between the markers of wire.md and lifecycle.md, and the whole of errors.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from source import SpecError, as_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source import Spec

_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated: \2 -->)", re.DOTALL)


def outputs(spec: Spec) -> dict[str, str]:
    """The three pages of this module: path → text."""
    return {
        "spec/wire.md": _filled(
            spec,
            "wire.md",
            {"limits": _limits(spec), "commands": _commands(spec), "sessions": _sessions(spec)},
        ),
        "spec/lifecycle.md": _filled(
            spec,
            "lifecycle.md",
            {
                "states": _states(spec.lifecycle),
                "diagram": _diagram(spec.lifecycle),
                "transitions": _transitions(spec.lifecycle),
            },
        ),
        "spec/errors.md": _errors(spec),
    }


def _filled(spec: Spec, page: str, blocks: dict[str, str]) -> str:
    text = spec.text(f"spec/{page}")
    found = {match[2] for match in _MARKED.finditer(text)}
    if found != set(blocks):
        raise SpecError(f"{page}: it has the markers {sorted(found)}, not {sorted(blocks)}")
    return _MARKED.sub(lambda match: f"{match[1]}{blocks[match[2]]}{match[3]}", text)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines
    )


def _codes(names: list[str]) -> str:
    return ", ".join(f"[{name}](errors.md#{name.lower()})" for name in names)


# --- wire.md ------------------------------------------------------------------------------------------------------


def _limits(spec: Spec) -> str:
    rows = [(f"`{name}`", f"{value:,}") for name, value in spec.wire["limits"].items()]
    defaults = [(f"`{name}`", _shown(value)) for name, value in spec.wire["defaults"].items()]
    return table(("limit", "value"), rows) + "\n" + table(("default", "value"), defaults)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"`{value}`"


def _commands(spec: Spec) -> str:
    rows = [
        (
            f"`{name}`",
            str(operation["wire"]),
            _fields(spec, operation),
            _answer(operation["answer"]),
            operation["retry"],
            _codes(operation["errors"]),
        )
        for name, operation in spec.wire["operations"].items()
        if "wire" in operation
    ]
    common = _codes(spec.wire["common_errors"]["tcp"])
    head = ("cmd", "since", "fields", "answer besides `ok`", "retry", "errors of its own")
    objects = [
        (f"`{name}`", ", ".join(_field(*item) for item in fields.items()))
        for name, fields in spec.wire["objects"].items()
    ]
    return (
        f"{table(head, rows)}\nAny command can also answer {common}.\n\n"
        f"{table(('object', 'fields'), objects)}"
    )


def _fields(spec: Spec, operation: dict[str, Any]) -> str:
    shown = []
    for name, field in operation["fields"].items():
        shown.append(
            f"the fields of {field.removeprefix('object ')}"
            if name == "..."
            else _field(name, field)
        )
    return ", ".join(shown) or "–"


def _field(name: str, field: dict[str, Any]) -> str:
    return f"**`{name}`**" if field.get("required") else f"`{name}`"


def _answer(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    return ", ".join(f"`{name}`" for name in answer) or "–"


def _sessions(spec: Spec) -> str:
    sessions = spec.wire["sessions"]
    rows = [
        (
            f"`{name}`",
            *(
                _verdict(sessions[_row(sessions, name, operation)][state])
                for state in _SESSION_STATES
            ),
        )
        for name, operation in spec.wire["operations"].items()
        if "wire" in operation
    ]
    return table(("cmd", *_SESSION_STATES), rows)


_SESSION_STATES = ("connected", "ready", "draining")


def _row(sessions: dict[str, Any], name: str, operation: dict[str, Any]) -> str:
    if name in sessions:
        return name
    return "guarded" if operation.get("auth", True) else "open"


def _verdict(verdict: str) -> str:
    return "carried out" if verdict == "run" else _codes([verdict])


# --- lifecycle.md -------------------------------------------------------------------------------------------------


def _states(lifecycle: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", "ended" if entry["terminal"] else "unfinished", entry["meaning"])
        for name, entry in lifecycle["states"].items()
    ]
    reasons = [(f"`{name}`", meaning) for name, meaning in lifecycle["reasons"].items()]
    return (
        table(("state", "", "meaning"), rows)
        + "\nWhy a job ended in `dlq` or `cancelled`:\n\n"
        + table(("reason", "meaning"), reasons)
    )


def _diagram(lifecycle: dict[str, Any]) -> str:
    edges: dict[tuple[str, str], list[str]] = {}
    for operation, entry in lifecycle["operations"].items():
        for state, cell in entry["on"].items():
            for target in cell.get("to", []):
                edges.setdefault((state, target), []).append(operation)
    starts = "".join(f"    [*] --> {state}: push\n" for state in ("waiting", "delayed", "blocked"))
    moves = "".join(
        f"    {state} --> {target}: {', '.join(operations)}\n"
        for (state, target), operations in edges.items()
        if target != "removed"
    )
    return f"```mermaid\nstateDiagram-v2\n{starts}{moves}```\n\n`delete` removes a job in any state but active.\n"


def _transitions(lifecycle: dict[str, Any]) -> str:
    states = list(lifecycle["states"])
    rows = [
        (f"`{operation}`", *(_cell(entry["on"][state]) for state in states))
        for operation, entry in lifecycle["operations"].items()
    ]
    legend = (
        "\n→ the job moves; *stays*: other fields change; *already*: answered with `already`, nothing changes; a code: refused;"
        "\n–: the job is not concerned. With a lease that is not the live one, INVALID_STATE is LEASE_LOST instead (JW-LEASE-3).\n"
    )
    return table(("operation", *states), rows) + legend


def _cell(cell: dict[str, Any]) -> str:
    match cell["effect"]:
        case "move":
            return "→ " + ", ".join(cell["to"])
        case "refuse":
            return str(cell["error"])
        case "stay":
            return "*stays*"
        case "already":
            return "*already*"
    return "–"


# --- errors.md ----------------------------------------------------------------------------------------------------


def _errors(spec: Spec) -> str:
    errors = spec.errors
    head = (
        f"<!-- Generated by spec/codegen/generate.py from spec/errors.yaml (sha256 {spec.digest('errors.yaml')}); do not edit. -->\n"
        "\n# Errors\n\n"
        "`error.code` says what went wrong, and is API. The category says what a caller does next; it picks the exception of an SDK.\n\n"
    )
    categories = [
        (f"`{name}`", f"`{entry['sdk']}`", entry["next"])
        for name, entry in errors["categories"].items()
    ]
    summary = [
        (_codes([code]), _status(entry), entry["category"], _yes(entry), ", ".join(entry["doors"]))
        for code, entry in errors["codes"].items()
    ]
    clients = [
        (f"`{code}`", entry["category"], _yes(entry), entry["meaning"])
        for code, entry in errors["client_codes"].items()
    ]
    return (
        head
        + table(("category", "SDK class", "what to do"), categories)
        + "\n"
        + table(("code", "HTTP", "category", "may succeed later", "doors"), summary)
        + "".join(_error(code, entry) for code, entry in errors["codes"].items())
        + "\n## Codes that a client makes itself\n\n"
        + table(("code", "category", "may succeed later", "meaning"), clients)
    )


def _error(code: str, entry: dict[str, Any]) -> str:
    details = ", ".join(f"`{name}`" for name in entry["details"])
    when = f"\n{entry['when']}\n" if "when" in entry else ""
    return f"\n### {code}\n\n{entry['meaning']}\n{when}\nWhat to do: {entry['fix']}\n" + (
        f"\nDetails: {details}.\n" if details else ""
    )


def _status(entry: dict[str, Any]) -> str:
    return ", ".join(map(str, as_list(entry["status"])))


def _yes(entry: dict[str, Any]) -> str:
    return "yes" if entry["retryable"] else "no"
