"""Checks that every body and parameter has an example, that examples fit their schemas, and that nothing is unbounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bundle import resolve
from check_openapi import Route, routes
from jsonschema import Draft202012Validator
from source import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source import Spec

_TEXT: Final = frozenset({"text/plain", "text/html"})
_BOUNDS: Final = frozenset({"maxLength", "enum", "const"})


def faults(spec: Spec, document: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the examples and bounds of the bundled `document`."""
    found: list[str] = []
    for route in routes(document):
        found += _parameters(document, route)
        found += _request(document, route)
        for status, response in route.operation["responses"].items():
            if "$ref" not in response:
                found += _response(spec, document, f"{route.where} {status}", response)
    for name, response in document["components"]["responses"].items():
        found += _response(spec, document, f"openapi.yaml: {name}", response)
    found += _statuses(document)
    found += _schema_examples(document)
    return [*found, *_unbounded(document)]


# --- examples -----------------------------------------------------------------------------------------------------


def _parameters(document: dict[str, Any], route: Route) -> Iterator[str]:
    for parameter in route.operation.get("parameters", []):
        parameter = _followed(document, parameter)
        where = f"{route.where}.{parameter['name']}"
        if "example" not in parameter:
            yield f"{where} has no example"
        else:
            yield from _misfit(document, where, parameter["schema"], parameter["example"])


def _request(document: dict[str, Any], route: Route) -> Iterator[str]:
    for kind, body in route.operation.get("requestBody", {}).get("content", {}).items():
        yield from _media(document, f"{route.where} {kind}", body)


def _response(
    spec: Spec, document: dict[str, Any], where: str, response: dict[str, Any]
) -> Iterator[str]:
    codes = response.get("x-error-codes")
    if codes is None:
        yield f"{where} has no x-error-codes"
        return
    for kind, body in response["content"].items():
        yield from _media(document, f"{where} {kind}", body)
        if codes:
            yield from _error_examples(spec, document, f"{where} {kind}", body, codes)


def _media(document: dict[str, Any], where: str, body: dict[str, Any]) -> Iterator[str]:
    examples = _examples(document, body)
    if not examples:
        yield f"{where} has no example"
    for name, value in examples.items():
        yield from _misfit(document, f"{where} example {name}", body["schema"], value)


def _examples(document: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    if "example" in body:
        return {"example": body["example"]}
    return {
        name: _followed(document, each)["value"] for name, each in body.get("examples", {}).items()
    }


def _error_examples(
    spec: Spec, document: dict[str, Any], where: str, body: dict[str, Any], codes: list[str]
) -> Iterator[str]:
    examples = _examples(document, body)
    if set(examples) != set(codes):
        yield f"{where}: its examples are not one for each code of {codes}"
    for name, value in examples.items():
        error = value.get("error", value)
        entry = spec.errors["codes"].get(name)
        if entry is None or error.get("code") != name:
            yield f"{where} example {name} is not of that code"
            continue
        if error["retryable"] != entry["retryable"]:
            yield f"{where} example {name}: retryable is not as errors.yaml says"
        for member in sorted(set(error["details"] or {}) - set(entry["details"])):
            yield f"{where} example {name}: errors.yaml does not know details.{member}"


def _statuses(document: dict[str, Any]) -> Iterator[str]:
    """The examples of a problem name the status of the response that they stand in."""
    for route in routes(document):
        for status, response in route.operation["responses"].items():
            content = _followed(document, response)["content"]
            problems = _examples(document, content.get("application/problem+json", {}))
            for name, value in problems.items():
                if str(value.get("status")) != status:
                    yield f"{route.where} {status}: the problem {name} has the status {value.get('status')}"


def _schema_examples(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        for value in schema.get("examples", []):
            yield from _misfit(document, f"schema {name}", schema, value)


def _misfit(
    document: dict[str, Any], where: str, schema: dict[str, Any], value: Any
) -> Iterator[str]:
    root = {**schema, "components": document["components"]}
    validator = Draft202012Validator(root, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(value):
        yield f"{where}: {error.json_path} {error.message[:200]}"


def _followed(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resolve(document, node["$ref"]) if "$ref" in node else node
    return found


# --- bounds -------------------------------------------------------------------------------------------------------


def _unbounded(document: dict[str, Any]) -> Iterator[str]:
    """Every string has a longest form, every list a greatest length."""
    components = document["components"]
    for name, schema in components["schemas"].items():
        yield from _bounds(f"schema {name}", schema)
    for name, parameter in components["parameters"].items():
        yield from _bounds(f"parameter {name}", parameter["schema"])
    for route in routes(document):
        for parameter in route.operation.get("parameters", []):
            if "schema" in parameter:
                yield from _bounds(f"{route.where}.{parameter['name']}", parameter["schema"])
        for status, response in route.operation["responses"].items():
            for kind, body in response.get("content", {}).items():
                yield from _bounds(f"{route.where} {status} {kind}", body["schema"])


def _bounds(where: str, schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    kinds = as_list(schema.get("type"))
    if "string" in kinds and not _BOUNDS & set(schema):
        yield f"{where}: a string without maxLength"
    if "array" in kinds and "maxItems" not in schema:
        yield f"{where}: an array without maxItems"
    for name, each in schema.get("properties", {}).items():
        yield from _bounds(f"{where}.{name}", each)
    for each in [*schema.get("oneOf", []), *schema.get("anyOf", []), *schema.get("allOf", [])]:
        yield from _bounds(where, each)
    yield from _bounds(f"{where}[]", schema.get("items"))
