"""Makes one self-contained JSON document of openapi.yaml and its schema files, which the server ships."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from source import SpecError, load_yaml

if TYPE_CHECKING:
    from source import Spec

PATH = "server/src/jobwire_server/http_api/openapi.json"

# How openapi.yaml and the schema files name a schema file.
_PREFIXES = ("./schemas/", "./")


def outputs(spec: Spec) -> dict[str, str]:
    """The one file of this module: path → text."""
    return {PATH: json.dumps(bundled(spec), ensure_ascii=False, indent=1) + "\n"}


def bundled(spec: Spec) -> dict[str, Any]:
    """openapi.yaml with every reference inside the document; schema files become components of their name."""
    document = _inside(spec.openapi)
    schemas = document["components"].setdefault("schemas", {})
    for name, schema in schema_files(spec).items():
        if name in schemas:
            raise SpecError(f"schemas/{name}.yaml: openapi.yaml has a component of that name")
        schemas[name] = _inside(schema)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    _check_references(document)
    digest = spec.digest("openapi.yaml", *_schema_names(spec))
    notice = f"from spec/openapi.yaml (sha256 {digest}); do not edit"
    return {**document, "x-generated": notice}


def schema_files(spec: Spec) -> dict[str, dict[str, Any]]:
    """The schema files by name, as written."""
    return {path.stem: load_yaml(path) for path in sorted((spec.folder / "schemas").glob("*.yaml"))}


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What `#/…` points at in a bundled document; SpecError when it is not there."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or step not in found:
            raise SpecError(f"openapi.yaml: {reference} is not there")
        found = found[step]
    return found


def _schema_names(spec: Spec) -> list[str]:
    return [f"schemas/{path.name}" for path in (spec.folder / "schemas").glob("*.yaml")]


def _inside(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _moved(value) if key == "$ref" and isinstance(value, str) else _inside(value)
            for key, value in node.items()
        }
    return [_inside(item) for item in node] if isinstance(node, list) else node


def _moved(reference: str) -> str:
    for prefix in _PREFIXES:
        if reference.startswith(prefix):
            name = reference.removeprefix(prefix).removesuffix(".yaml")
            return f"#/components/schemas/{name}"
    return reference


def _check_references(node: Any, document: dict[str, Any] | None = None) -> None:
    document = node if document is None else document
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            resolve(document, node["$ref"])
        for value in node.values():
            _check_references(value, document)
    elif isinstance(node, list):
        for item in node:
            _check_references(item, document)
