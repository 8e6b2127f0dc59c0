"""
C7: which members and words of the schemas the answers showed, and which optional fields were sent, good and bad.

A count that may only grow, not a gate of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.runner.specification import Specification

_PREFIX: Final = "#/components/schemas/"


def seen_in(spec: Specification, schema: dict[str, Any], value: Any) -> set[str]:
    """`Job.progress` for a member that was there with a value, `Job.state=active` for a word of an enum."""
    return set(_walk(spec, schema, value, ""))


def declared(spec: Specification) -> set[str]:
    """Every feature that the good answers of openapi.yaml can show."""
    found: set[str] = set()
    for operation in spec.http:
        for status, response in operation.responses.items():
            if status < 400 and "application/json" in response.content:
                found |= set(_possible(spec, response.content["application/json"], "", ()))
    for command in spec.wire["operations"]:
        for name, row in spec.fields(command).items():
            if not row.get("required"):
                found |= {f"{command}({name}) accepted", f"{command}({name}) refused"}
    return found


def fields_of(request: Any) -> frozenset[str]:
    """The names of the fields that a request gives, those in `options` among them."""
    if not isinstance(request, dict):
        return frozenset()
    options = request.get("options")
    return frozenset(request) | (frozenset(options) if isinstance(options, dict) else frozenset())


def asked_with(command: str, fields: frozenset[str], error: Any) -> set[str]:
    """`push(priority) accepted` for each field of a request that was served, `refused` for the one that was at fault."""
    code = error.get("code") if isinstance(error, dict) else None
    if code is None:
        return {f"{command}({name}) accepted" for name in fields}
    if code != "VALIDATION_ERROR":
        return set()
    steps = str((error.get("details") or {}).get("pointer", "")).split("/")[1:]
    return {f"{command}({name}) refused" for name in steps if name in fields}


def _walk(spec: Specification, schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if "$ref" in schema:
        at = schema["$ref"].removeprefix(_PREFIX)
        schema = spec.resolved(schema)
    for choice in _choices(schema):
        yield from _walk(spec, choice, value, at)
    if value is not None and value in schema.get("enum", ()):
        yield f"{at}={value}"
    if isinstance(value, list) and "items" in schema:
        for each in value:
            yield from _walk(spec, schema["items"], each, at)
    if isinstance(value, dict):
        for name, member in schema.get("properties", {}).items():
            if value.get(name) is not None:
                yield f"{at}.{name}"
                yield from _walk(spec, member, value[name], f"{at}.{name}")


def _possible(
    spec: Specification, schema: dict[str, Any], at: str, path: tuple[str, ...]
) -> Iterator[str]:
    if "$ref" in schema:
        at = schema["$ref"].removeprefix(_PREFIX)
        if at in path:
            return
        path, schema = (*path, at), spec.resolved(schema)
    for choice in _choices(schema):
        yield from _possible(spec, choice, at, path)
    yield from (f"{at}={word}" for word in schema.get("enum", ()) if word is not None)
    if "items" in schema:
        yield from _possible(spec, schema["items"], at, path)
    for name, member in schema.get("properties", {}).items():
        if member.get("type") == "null":  # it can have no value
            continue
        yield f"{at}.{name}"
        yield from _possible(spec, member, f"{at}.{name}", path)


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]
