"""Reads the YAML files of the specification strictly, and hashes them for the headers of what is generated."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

_MAP = "tag:yaml.org,2002:map"
_BOOL = "tag:yaml.org,2002:bool"
_NOT_IN_YAML_1_2 = {_BOOL, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge"}


class SpecError(Exception):
    """The specification itself is at fault; the text names the file and what is wrong."""


class StrictLoader(yaml.CSafeLoader):
    """YAML 1.2 scalars (`on` is a word, `2026-01-01` a string), and no key twice in a mapping."""


def _construct_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    mapping: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise SpecError(f"{_place(key_node)}: duplicate key {key!r}")
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


def _place(node: yaml.Node) -> str:
    return f"{Path(node.start_mark.name).name}:{node.start_mark.line + 1}"


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_IN_YAML_1_2]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver(_BOOL, re.compile("^(?:true|false)$"), ["t", "f"])
StrictLoader.add_constructor(_MAP, _construct_mapping)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in `path`; SpecError for bad YAML, a duplicate key or another top level."""
    try:
        with path.open(encoding="utf-8") as file:
            document = yaml.load(file, StrictLoader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: {error}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{path.name}: the top level is not a mapping")
    return document


class Spec:
    """The specification below one checkout. Each file is read once, when it is first asked for."""

    def __init__(self, repository: Path = REPOSITORY) -> None:
        self.repository = repository
        self.folder = repository / "spec"

    @cached_property
    def wire(self) -> dict[str, Any]:
        """wire.yaml: operations, fields, limits, defaults."""
        return load_yaml(self.folder / "wire.yaml")

    @cached_property
    def errors(self) -> dict[str, Any]:
        """errors.yaml: the catalogue of error codes."""
        return load_yaml(self.folder / "errors.yaml")

    @cached_property
    def lifecycle(self) -> dict[str, Any]:
        """lifecycle.yaml: states, and operation × state."""
        return load_yaml(self.folder / "lifecycle.yaml")

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """openapi.yaml as it is written, with its references."""
        return load_yaml(self.folder / "openapi.yaml")

    def text(self, relative: str) -> str:
        """The text of a file of the checkout; SpecError when it is not there."""
        try:
            return (self.repository / relative).read_text(encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{relative}: {error.strerror}") from error

    def digest(self, *names: str) -> str:
        """Sixteen hex digits over the named files of spec/, for the header of a generated file."""
        digest = hashlib.sha256()
        for name in sorted(names):
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()[:16]

    def fields(self, operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """An operation's fields with `...` replaced by the fields of the object that it names."""
        return self._spread(operation.get("fields", {}))

    def object_fields(self, name: str) -> dict[str, dict[str, Any]]:
        """The fields of one of wire.yaml's objects; a PushItem has the JobOptions flat as well."""
        fields: dict[str, dict[str, Any]] = dict(self.wire["objects"][name])
        if name == "PushItem":
            fields |= self.wire["objects"]["JobOptions"]
        return fields

    def limit(self, value: int | str) -> int:
        """A number as it is, or the limit of that name."""
        found: int = self.wire["limits"][value] if isinstance(value, str) else value
        return found

    def _spread(self, fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
        spread: dict[str, dict[str, Any]] = {}
        for name, field in fields.items():
            if name == "...":
                spread |= self.object_fields(field.removeprefix("object "))
            else:
                spread[name] = field
        return spread


def as_list(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one (errors.yaml's `status`)."""
    return value if isinstance(value, list) else [value]
