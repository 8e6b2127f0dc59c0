"""The public surface of the Go SDK as `go doc` shows it, and where it differs from spec/sdk-surface.yaml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from conformance.runner.sdk_builds import GO_SDK, run_go

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION: Final = re.compile(
    r"func (?:\(\w+ \*?(?P<of>\w+)(?:\[\w+\])?\) )?(?P<text>(?P<name>\w+)[\[(].*)"
)
_TYPE: Final = re.compile(r"type (?P<name>\w+)\b")
_VALUE: Final = re.compile(r"(?:\t|const |var )(?P<name>[A-Z]\w*)\b.*=")
_FIELD: Final = re.compile(r"\t(?P<names>[A-Z]\w*(?:, [A-Z]\w*)*) +\S")

# section of sdk-surface.yaml → the type that has its methods; those of a job are functions of a handler's context
SECTIONS: Final = {
    "methods": "Client",
    "worker_methods": "Worker",
    "job_methods": "",
    "classes": "",
}
# What the language asks for; no method of its own.
_IDIOMS: Final = frozenset({"String", "GoString", "Error", "Unwrap", "Is"})


class Surface(NamedTuple):
    """Functions by (type, name) as they are declared, names of types, constants and variables, and the fields of structs."""

    functions: dict[tuple[str, str], str]
    names: set[str]
    fields: dict[str, list[str]]


def read() -> Surface:
    """The surface of the package in the tree."""
    done = run_go("doc", "-all", ".", folder=GO_SDK)
    if done.returncode != 0:
        raise RuntimeError(f"go doc: {done.stderr}")
    return parse(done.stdout)


def parse(text: str) -> Surface:
    """The surface in what `go doc -all` says. A declaration begins its line, its fields and values follow behind a tab."""
    found = Surface({}, set(), {})
    struct = ""
    for line in text.splitlines():
        if match := _FUNCTION.match(line):
            found.functions[match["of"] or "", match["name"]] = match["text"].removesuffix(" {")
        elif match := _TYPE.match(line):
            found.names.add(match["name"])
            struct = match["name"] if line.endswith("struct {") else ""
            if struct:
                found.fields[struct] = []
        elif line.startswith("}"):
            struct = ""
        elif struct and (match := _FIELD.match(line)):
            found.fields[struct] += match["names"].split(", ")
        elif not struct and (match := _VALUE.match(line)):
            found.names.add(match["name"])
    return found


def faults(table: dict[str, Any], surface: Surface) -> list[str]:
    """Where a table of the surface says something else than the package."""
    return [*_functions(table, surface), *_names(table, surface), *_fields(table, surface)]


def _listed(table: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Section, type and declaration of each row that Go has a function for; what stands in another package is no row of ours."""
    for section, owner in SECTIONS.items():
        for name, row in table[section].items():
            if "go" not in row and "Async" not in name:
                yield section, owner, f"{name} without go"
            elif "go" in row and "." not in row["go"].partition("(")[0]:
                yield section, owner, row["go"]


def _functions(table: dict[str, Any], surface: Surface) -> Iterator[str]:
    listed = set()
    for section, owner, text in _listed(table):
        name = re.split(r"[(\[]", text)[0]
        listed.add((owner, name))
        found = surface.functions.get((owner, name))
        if found is None:
            yield f"{section}: {text} is listed, and not there"
        elif found != text:
            yield f"{section}: {found} is listed as {text}"
    for owner, name in sorted(set(surface.functions) - listed):
        if owner in ("Client", "Worker") and name not in _IDIOMS | _others(table):
            yield f"{owner}.{name} is not listed"


def _others(table: dict[str, Any]) -> set[str]:
    return {name.rpartition(".")[2] for name in table["names"]["go"] if "." in name}


def _names(table: dict[str, Any], surface: Surface) -> Iterator[str]:
    errors = {row["go"] for row in table["errors"].values()}
    functions = {name for owner, name in surface.functions if not owner}
    in_rows = {re.split(r"[(\[]", text)[0] for _, owner, text in _listed(table) if not owner}
    methods = {f"{owner}.{name}" for owner, name in surface.functions if owner}
    listed = set(table["names"]["go"]) | errors | in_rows | {"Client", "Worker"}
    plain = {name for name in listed if "." not in name}
    for name in sorted(plain - surface.names - functions):
        yield f"{name} is listed, and the package does not have it"
    for name in sorted((surface.names | functions) - plain):
        yield f"the package has {name}, which is not listed"
    for name in sorted(listed - plain - methods):
        yield f"{name} is listed, and the package does not have it"


def _fields(table: dict[str, Any], surface: Surface) -> Iterator[str]:
    for name, fields in table["fields"]["go"].items():
        found = surface.fields.get(name, [])
        if sorted(fields) != sorted(found):
            yield f"{name} has the fields {sorted(found)} and is listed with {sorted(fields)}"
    for name in sorted(surface.fields):
        if (
            name.endswith(("Options", "Config", "Item", "Report", "Update"))
            and name not in table["fields"]["go"]
        ):
            yield f"the fields of {name} are not listed"
