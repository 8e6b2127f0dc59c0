"""
The public surface of the Node SDK as its built declarations show it, and where it differs from spec/sdk-surface.yaml.

A method is told as `(queue, name, data?, {id?, priority=0, signal?}?)`: arguments by place, then the members of its options by name. What
may be left out has a `?`, or its default where the declaration names a plain one. Members stand in alphabetical order.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.specification import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIST: Final = REPOSITORY / "sdk-node" / "dist"
_BUILD: Final = REPOSITORY / "conformance" / "drivers" / "node" / "build.mjs"
# section of sdk-surface.yaml → the class or interface that has its methods, and what stands before the names there
SECTIONS: Final = {
    "methods": ("Client", ""),
    "worker_methods": ("Worker", "worker."),
    "job_methods": ("JobContext", "job."),
}
_NO_METHODS: Final = frozenset({"constructor", "toString"})
_BLOCK: Final = re.compile(
    r"^(?:export )?(?:declare (?:abstract )?class|interface) (\w+)(?:<[^{]*?>)?(?: extends ([^{]*?))?"
    r"(?: implements [^{]*)? \{\n(.*?)^\}",
    re.MULTILINE | re.DOTALL,
)
_PICK: Final = re.compile(r"^export type (\w+) = Pick<(\w+), ([^>]*)>;", re.MULTILINE)
_MEMBER: Final = re.compile(
    r"(?:/\*\*((?:(?!\*/).)*)\*/\s*)?^ +readonly (\w+)(\??): ", re.MULTILINE | re.DOTALL
)
_DEFAULT: Final = re.compile(r"@default (-?[\d_]+|true|false|'[\w-]+')\s*$")
_METHOD: Final = re.compile(r"^    (?:readonly )?(\w+)(?:<[^(]*>)?(?:: )?\(", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*\*.*?\*/", re.DOTALL)
_NAMES: Final = re.compile(r"^export (?:type )?\{([^}]*)\} from", re.MULTILINE)


class Declarations:
    """The classes, interfaces and options of the package, by name."""

    def __init__(self, dist: Path = DIST) -> None:
        texts = [path.read_text(encoding="utf-8") for path in sorted(dist.glob("*.d.ts"))]
        self.index = (dist / "index.d.ts").read_text(encoding="utf-8")
        self.blocks = {found[1]: found for text in texts for found in _BLOCK.finditer(text)}
        self.picks = {found[1]: found for text in texts for found in _PICK.finditer(text)}

    def names(self) -> set[str]:
        """Everything that index.d.ts exports."""
        return {
            name.strip().removeprefix("type ")
            for listed in _NAMES.findall(self.index)
            for name in listed.split(",")
            if name.strip()
        }

    def parents(self, name: str) -> list[str]:
        found = self.blocks[name][2] or ""
        return [each.strip() for each in found.split(",") if each.strip() in self.blocks]

    def members(self, name: str) -> dict[str, str]:
        """The members of an object of options: name → `name?`, `name=default` or `name`."""
        if name in self.picks:
            _, whole, kept = self.picks[name].groups()
            chosen = re.findall(r"'(\w+)'", kept)
            return {key: f"{key}?" for key in self.members(whole) if key in chosen}
        members: dict[str, str] = {}
        for parent in self.parents(name):
            members |= self.members(parent)
        return members | _members(self.blocks[name][3])

    def methods(self, name: str) -> dict[str, str]:
        """The methods of a class or interface, with those that it inherits: name → signature."""
        found: dict[str, str] = {}
        for parent in self.parents(name):
            found |= self.methods(parent)
        body = _COMMENT.sub("", self.blocks[name][3])
        for method in _METHOD.finditer(body):
            found[method[1]] = self._signature(_until_closed(body, method.end()))
        return found

    def _signature(self, arguments: str) -> str:
        return f"({', '.join(self._argument(each) for each in _split(arguments))})"

    def _argument(self, text: str) -> str:
        """One argument by its name, or an object of options by its members."""
        depth = _until_closed(text, 1) if text.startswith("{") else ""
        name = "{" + depth + "}" if depth else re.match(r"\w+", text)[0]  # type: ignore[index]
        optional = text[len(name) :].startswith("?")
        kind = text[len(name) :].lstrip("?").removeprefix(":").strip()
        members = self._options(kind)
        if members is None:
            return f"{name}{'?' if optional else ''}"
        told = ", ".join(members[key] for key in sorted(members))
        return f"{{{told}}}{'?' if optional else ''}"

    def _options(self, kind: str) -> dict[str, str] | None:
        """The members of a type that is an object of options; None for any other type."""
        if kind.startswith("{"):
            return _members(kind[1:])
        name = re.match(r"(?:options\.)?(\w+(?:Options|Settings))\b", kind)
        return None if name is None else self.members(name[1])


def _members(body: str) -> dict[str, str]:
    members = {}
    for doc, name, optional in _MEMBER.findall(body):
        default = _DEFAULT.search(re.sub(r"\n\s*\*", " ", doc).strip())
        plain = f"={default[1].replace('_', '')}" if default else "?"
        members[name] = name + (plain if optional else "")
    return members


def _until_closed(text: str, start: int) -> str:
    """What stands between *start*, behind an opening bracket, and the bracket that closes it."""
    depth = 1
    for at in range(start, len(text)):
        if text[at] in "([{<" or (text[at] == ">" and text[at - 1] == "="):
            depth += 1  # the arrow of a function is no bracket: it counts up, and then down
        if text[at] in ")]}>":
            depth -= 1
        if depth == 0:
            return text[start:at]
    raise ValueError(f"nothing closes {text[start:][:60]!r}")


def _split(arguments: str) -> list[str]:
    """Arguments at the commas between them."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(arguments):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and arguments[at - 1] != "="):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(arguments[start:at])
            start = at + 1
    return [each.strip() for each in [*parts, arguments[start:]] if each.strip()]


def build() -> None:
    """Build the SDK when its sources are newer than what was built."""
    node = shutil.which("node") or str(REPOSITORY / ".venv" / "node" / "bin" / "node")
    subprocess.run([node, str(_BUILD)], check=True, timeout=120)


def faults(surface: dict[str, Any], found: Declarations) -> list[str]:
    """Where a table of the surface says something else than the declarations."""
    return [
        *_name_faults(surface, found),
        *_constructor_faults(surface, found),
        *(fault for section in SECTIONS for fault in _method_faults(surface, section, found)),
        *_error_faults(surface, found),
    ]


def _name_faults(surface: dict[str, Any], found: Declarations) -> Iterator[str]:
    listed = set(surface["names"].get("node", ()))
    listed |= {name for name, row in surface["classes"].items() if "node" in row}
    listed |= {row["node"] for row in surface["errors"].values()}
    for name in sorted(listed - found.names()):
        yield f"{name} is listed, and jobwire does not have it"
    for name in sorted(found.names() - listed):
        yield f"jobwire has {name}, which is not listed"


def _constructor_faults(surface: dict[str, Any], found: Declarations) -> Iterator[str]:
    for name, row in surface["classes"].items():
        if "node" in row:
            has = found.methods(name).get("constructor") if name in found.blocks else None
            if has != row["node"]:
                yield f"{name}{has} is listed as {row['node']}"


def _method_faults(surface: dict[str, Any], section: str, found: Declarations) -> Iterator[str]:
    kind, prefix = SECTIONS[section]
    rows = surface[section].items()
    listed = {
        row.get("node_name") or camel(name.removeprefix(prefix)): row.get("node")
        for name, row in rows
    }
    has = {name: told for name, told in found.methods(kind).items() if name not in _NO_METHODS}
    for name in sorted(has.keys() - listed.keys()):
        yield f"{kind}.{name}{has[name]} is not listed in {section}"
    for name in sorted(listed.keys() - has.keys()):
        yield f"{kind}.{name} is listed in {section}, and not there"
    for name in sorted(listed.keys() & has.keys()):
        if has[name] != listed[name]:
            yield f"{kind}.{name}{has[name]} is listed as {listed[name]}"


def _error_faults(surface: dict[str, Any], found: Declarations) -> Iterator[str]:
    for category, row in surface["errors"].items():
        name = row["node"]
        if name not in found.blocks or found.parents(name) != ["JobwireError"]:
            yield f"{name} of {category} is no JobwireError"


def camel(name: str) -> str:
    """`push_batch` in the words of JavaScript."""
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
