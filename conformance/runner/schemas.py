"""The JSON Schemas of the suite's own files."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs

if TYPE_CHECKING:
    from pathlib import Path

    import jsonschema

    from conformance.runner.checking import Place


@functools.cache
def schema_of(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


@functools.cache
def validator(path: Path) -> jsonschema_rs.Draft202012Validator:
    """Of a schema's file."""
    return jsonschema_rs.Draft202012Validator(schema_of(path))


def fault(path: Path, value: Any) -> jsonschema.ValidationError | None:
    """
    What the schema of *path* has most of all against *value*; None when it is valid.

    One validator judges quickly, and the other words what is wrong.
    """
    if validator(path).is_valid(value):
        return None
    import jsonschema  # here, because that takes seconds
    from jsonschema.exceptions import best_match

    found: jsonschema.ValidationError | None = best_match(
        jsonschema.Draft202012Validator(schema_of(path)).iter_errors(value)
    )
    if found is None:
        raise RuntimeError(f"two validators of {path.name} do not agree")
    return found


def pointer(place: Place) -> str:
    """A place in a document, as a JSON pointer."""
    return "".join(f"/{step}" for step in place)
