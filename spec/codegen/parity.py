"""Writes the table of README.md that shows what the SDKs have, from sdk-surface.yaml. A gap in a current SDK is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml
from pages import table
from source import SpecError

if TYPE_CHECKING:
    from source import Spec

_MARKED: Final = re.compile(
    r"(<!-- generated: parity -->\n).*?(<!-- /generated: parity -->)", re.DOTALL
)
_LANGUAGES: Final = {"python": "Python", "node": "Node", "go": "Go"}
_PARTS: Final = ("classes", "methods", "worker_methods", "job_methods", "errors")
_NAME: Final = re.compile(r"[\w.]+")


def outputs(spec: Spec) -> dict[str, str]:
    """README.md with its table of today: path → text."""
    surface = yaml.safe_load(spec.text("spec/sdk-surface.yaml"))
    ideas = [idea for part in _PARTS for idea in surface[part].items()]
    rows = [
        _row(*idea) for idea in ideas if not idea[0].startswith("Async")
    ]  # Python has two faces
    whole = sum("" not in row for row in rows)
    if whole < len(rows):
        gaps = ", ".join(row[0] or str(row) for row in rows if "" in row)
        raise SpecError(f"sdk-surface.yaml: not in every SDK: {gaps}")
    shown = [tuple(f"`{name}`" for name in row) for row in rows]
    text = f"{table(tuple(_LANGUAGES.values()), shown)}\n{whole} of {len(rows)} in all three.\n"
    page, found = _MARKED.subn(lambda match: match[1] + text + match[2], spec.text("README.md"))
    if found != 1:
        raise SpecError("README.md: it has no place for the table of the SDKs")
    return {"README.md": page}


def _row(key: str, entry: dict[str, Any]) -> tuple[str, ...]:
    """The names of one idea; empty where a language lacks it."""
    return tuple(_named(language, key, entry) for language in _LANGUAGES)


def _named(language: str, key: str, entry: dict[str, Any]) -> str:
    """A signature says its name first, or is that of the key in the spelling of its language."""
    said = entry.get(language, "")
    if not said.startswith("("):
        found = _NAME.match(said)
        return found[0] if found else ""
    return key if language == "python" else entry.get("node_name", _camel(key.split(".")[-1]))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
