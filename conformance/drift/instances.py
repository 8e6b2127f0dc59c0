"""
Instances of a schema: one that fits, and others that differ from it in one place, some of which still fit.

Nothing here says which of them fit. Two judges are asked, and have to agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Resolve = Callable[[dict[str, Any]], dict[str, Any]]

UUID: Final = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"
MOST_ITEMS: Final = 100  # longer lists are left to the server's own tests of its limits
_WRONG: Final[dict[str, list[Any]]] = {
    "string": [7, True, [], {}, None],
    "integer": ["7", 1.5, True, [], None],
    "number": ["7", True, [], None],
    "boolean": [0, "true", None],
    "array": [{}, "x", 7, None],
    "object": [[], "x", 7, None],
}
_ANYTHING: Final[list[Any]] = [1, "x", [], {}, None, 2**70, 1.5e-7]
_TIMES: Final = [
    "2026-11-22T09:00:00Z",
    "2026-11-22T09:00:00.123+02:00",
    "2026-11-22",
    "09:00",
    "x",
    "2026-13-22T09:00:00Z",
]
_IDS: Final = [UUID, UUID.upper(), UUID.replace("-", ""), f"urn:uuid:{UUID}", f"{{{UUID}}}"]
_NO_IDS: Final = ["", "x", UUID[:-1], UUID + "0", f"{{{UUID}"]


class Instances:
    """The instances of the schemas of one document; `resolve` follows a reference."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def fitting(self, schema: dict[str, Any]) -> Any:
        """The smallest instance that is meant to fit."""
        schema = self._plain(schema)
        if "enum" in schema:
            return schema["enum"][0]
        match _type(schema):
            case "object":
                required, members = schema.get("required", ()), schema.get("properties", {})
                return {name: self.fitting(members[name]) for name in required}
            case "array":
                return [self.fitting(schema["items"])] * schema.get("minItems", 0)
            case "integer" | "number":
                return schema.get("minimum", 0)
            case "boolean":
                return True
            case "string":
                return _string(schema)
            case _:
                return {"any": [1, "x", None]}

    def varied(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """(where and what, instance): each differs from the fitting one in one place."""
        schema = self._plain(schema)
        kind = _type(schema)
        for wrong in _WRONG.get(kind, ()):
            yield f" as {wrong!r}", wrong
        if kind == "object":
            yield from self._objects(schema)
        elif kind == "array":
            yield from self._lists(schema)
        elif "enum" in schema:
            yield from ((f"={word}", word) for word in [*schema["enum"], "nonsense"])
        elif kind in ("integer", "number"):
            yield from _numbers(schema, kind)
        elif kind == "string":
            yield from _strings(schema)
        else:
            yield from ((f"={value!r}", value) for value in _ANYTHING)

    def _objects(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        base = self.fitting(schema)
        yield "/nonsense", {**base, "nonsense": 1}
        for name in schema.get("required", ()):
            yield f" without {name}", {key: value for key, value in base.items() if key != name}
        for name, member in schema.get("properties", {}).items():
            for said, value in self.varied(member):
                yield f"/{name}{said}", {**base, name: value}

    def _lists(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        item = self.fitting(schema["items"])
        most = schema.get("maxItems", MOST_ITEMS + 1)
        sizes = [0, 1, *([most, most + 1] if most <= MOST_ITEMS else [])]
        yield from ((f" of {size}", [item] * size) for size in sizes)
        for said, value in self.varied(schema["items"]):
            yield f"/0{said}", [value]

    def _plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with references and allOf followed, and of alternatives the first that is more than null."""
        if "$ref" in schema:
            own = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._resolve(schema), **own}
        for choices in ("anyOf", "oneOf"):
            if choices in schema and "properties" not in schema:
                return self._plain(schema[choices][0])
        properties = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            properties |= self._plain(part).get("properties", {})
        return {**schema, "properties": properties} if properties else schema


def _type(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "")
    return next(kind for kind in kinds if kind != "null") if isinstance(kinds, list) else str(kinds)


def _string(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return _TIMES[0]
    return UUID if "urn:uuid" in schema.get("pattern", "") else "n"


def _strings(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if schema.get("format") == "date-time":
        values = _TIMES
    elif "urn:uuid" in schema.get("pattern", ""):
        values = [*_IDS, *_NO_IDS]
    else:
        most = schema["maxLength"]
        values = ["", "n", "a b", "é", "a/b", "n" * most, "n" * (most + 1)]
    yield from ((f"={value[:20]!r}… of {len(value)}", value) for value in values)


def _numbers(schema: dict[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    step = 1 if kind == "integer" else 0.125
    for bound, sign in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            at = schema[bound]
            yield from ((f"={value}", value) for value in (at, at + sign * step, at - sign * step))
