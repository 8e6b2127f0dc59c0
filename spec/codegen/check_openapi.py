"""Checks openapi.yaml and the schema files against wire.yaml, errors.yaml and lifecycle.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bundle import resolve
from openapi_spec_validator import OpenAPIV31SpecValidator
from source import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from source import Spec

_METHODS: Final = ("get", "post", "patch", "put", "delete")
_NULL: Final = {"type": "null"}

# Routes that take fewer fields than their operation, which wire.yaml says in a note.
_WITHOUT: Final[dict[str, frozenset[str]]] = {
    "pullQueue": frozenset({"queues", "weights"}),
    "pullLegacy": frozenset(
        {"queues", "weights", "wait_ms", "lease_ms", "names", "worker_id", "request_id"}
    ),
}
# `error` is required over HTTP, as RustQueue has it.
_REQUIRED_OVER_HTTP: Final = {"fail": frozenset({"error"})}

# Codes that need something that not every route has.
_NEEDS_TOKEN: Final = frozenset({"UNAUTHORIZED", "RATE_LIMITED"})
_NEEDS_BODY: Final = frozenset(
    {"PARSE_ERROR", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "REQUEST_TIMEOUT"}
)
_NEEDS_STORE: Final = frozenset({"SHUTTING_DOWN", "STORAGE_UNAVAILABLE"})


class Route(NamedTuple):
    """One operation of openapi.yaml. `name` is its `METHOD /path`."""

    name: str
    operation: dict[str, Any]

    @property
    def id(self) -> str:
        found: str = self.operation.get("operationId", self.name)
        return found

    @property
    def where(self) -> str:
        return f"openapi.yaml: {self.id}"


def routes(document: dict[str, Any]) -> list[Route]:
    """Every operation of a bundled document, in its order."""
    return [
        Route(f"{method.upper()} {path}", item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]


def faults(spec: Spec, document: dict[str, Any]) -> list[str]:
    """Where the bundled `document` says something else than the tables. It has to be an OpenAPI document."""
    found = [*_routes(spec, document)]
    for route in routes(document):
        if route.operation.get("x-command") in spec.wire["operations"]:
            found += _identity(spec, route)
            found += _codes(spec, document, route)
            found += _fields(spec, document, route)
            found += _answers(spec, document, route)
    return [*found, *_enums(spec, document), *_objects(spec, document)]


def shape_faults(document: dict[str, Any]) -> list[str]:
    """Where the bundled `document` is not OpenAPI 3.1."""
    return [
        f"openapi.yaml: {error.message}"
        for error in OpenAPIV31SpecValidator(document).iter_errors()
    ]


# --- routes and names ---------------------------------------------------------------------------------------------


def _routes(spec: Spec, document: dict[str, Any]) -> Iterator[str]:
    wanted = {
        route: name
        for name, operation in spec.wire["operations"].items()
        for route in operation.get("http", [])
    }
    found = {route.name: route for route in routes(document)}
    for name in sorted(set(wanted) - set(found)):
        yield f"openapi.yaml: {name} is missing ({wanted[name]} of wire.yaml)"
    for name in sorted(set(found) - set(wanted)):
        yield f"wire.yaml: no operation has the route {name}"
    for name in sorted(set(found) & set(wanted)):
        if found[name].operation.get("x-command") != wanted[name]:
            yield f"{found[name].where}: x-command is not {wanted[name]}"


def _identity(spec: Spec, route: Route) -> Iterator[str]:
    operation = spec.wire["operations"][route.operation["x-command"]]
    first = operation["http"][0] == route.name
    wanted = operation["operation_id"]
    if route.id != wanted if first else not route.id.startswith(wanted):
        yield f"{route.where}: the operationId does not follow {wanted} of wire.yaml"
    if route.operation.get("x-retry") != operation["retry"]:
        yield f"{route.where}: x-retry is not {operation['retry']}"
    if operation.get("auth", True) == (route.operation.get("security") == []):
        yield f"{route.where}: its security is not what wire.yaml's auth says"
    if not route.operation.get("x-requirements"):
        yield f"{route.where} names no requirement"


# --- error codes --------------------------------------------------------------------------------------------------


def _codes(spec: Spec, document: dict[str, Any], route: Route) -> Iterator[str]:
    wanted = _wanted_codes(spec, route)
    found: dict[str, set[str]] = {}
    for status, response in route.operation["responses"].items():
        response = resolve(document, response["$ref"]) if "$ref" in response else response
        found[status] = set(response.get("x-error-codes", []))
        if status >= "400" and not found[status]:
            yield f"{route.where}: {status} lists no error code"
    for status in sorted(set(wanted) | {status for status in found if status >= "400"}):
        listed, given = found.get(status, set()), wanted.get(status, set())
        for code in sorted(given - listed):
            yield f"{route.where}: {status} lacks {code}"
        for code in sorted(listed - given):
            yield f"{route.where}: {status} has {code}, which wire.yaml does not give it"


def _wanted_codes(spec: Spec, route: Route) -> dict[str, set[str]]:
    """Status → codes: those of the operation and of the door, as far as the route can meet them."""
    operation = spec.wire["operations"][route.operation["x-command"]]
    public = not operation.get("auth", True)
    codes = {*operation["errors"], *spec.wire["common_errors"]["http"]}
    if public:
        codes -= _NEEDS_TOKEN | (_NEEDS_STORE - set(operation["errors"]))
    if "requestBody" not in route.operation:
        codes -= _NEEDS_BODY
    wanted: dict[str, set[str]] = {}
    for code in codes:
        entry = spec.errors["codes"][code]
        for status in as_list(entry["status"]) if "http" in entry["doors"] else ():
            wanted.setdefault(str(status), set()).add(code)
    return wanted


# --- fields -------------------------------------------------------------------------------------------------------


def _fields(spec: Spec, document: dict[str, Any], route: Route) -> Iterator[str]:
    command = route.operation["x-command"]
    wanted = {
        name: field
        for name, field in spec.fields(spec.wire["operations"][command]).items()
        if name not in _WITHOUT.get(route.id, ())
    }
    found = _parameters(document, route)
    body = _body(document, route)
    found |= body.get("properties", {})
    yield from _same_names(route.where, wanted, found)
    for name in sorted(set(wanted) & set(found)):
        yield from _same_field(spec, document, f"{route.where}.{name}", wanted[name], found[name])
    yield from _same_required(route, wanted, body)
    if body and not _closed(body):
        yield f"{route.where}: its body lets unknown fields in"


def _parameters(document: dict[str, Any], route: Route) -> dict[str, Any]:
    parameters = [
        resolve(document, each["$ref"]) if "$ref" in each else each
        for each in route.operation.get("parameters", [])
    ]
    return {each["name"]: {**each["schema"], "required here": True} for each in parameters}


def _body(document: dict[str, Any], route: Route) -> dict[str, Any]:
    content = route.operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    schema = content["application/json"]["schema"]
    if "oneOf" in schema:  # push: one item, or an array of them
        schema = schema["oneOf"][0]
    return _object(document, schema)


def _object(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its references followed and the properties of allOf beside its own."""
    if "$ref" in schema:
        schema = {
            **_object(document, resolve(document, schema["$ref"])),
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    properties = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []):
        properties |= _object(document, part)["properties"]
    return {**schema, "properties": properties}


def _closed(schema: dict[str, Any]) -> bool:
    return (
        schema.get("additionalProperties") is False
        or schema.get("unevaluatedProperties") is False
        or schema.get("maxProperties") == 0
    )


def _same_names(where: str, wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name in sorted(set(wanted) - set(found)):
        yield f"{where} lacks the field {name}"
    for name in sorted(set(found) - set(wanted)):
        yield f"{where} has the field {name}, which wire.yaml does not"


def _same_required(route: Route, wanted: dict[str, Any], body: dict[str, Any]) -> Iterator[str]:
    required = {name for name, field in wanted.items() if field.get("required")}
    required = (required | _REQUIRED_OVER_HTTP.get(route.id, frozenset())) & set(
        body.get("properties", {})
    )
    for name in sorted(required ^ set(body.get("required", []))):
        yield f"{route.where}: {name} is required in one of openapi.yaml and wire.yaml only"


def _same_field(
    spec: Spec, document: dict[str, Any], where: str, field: dict[str, Any], schema: dict[str, Any]
) -> Iterator[str]:
    wanted, found = _wanted_limits(spec, field), _found_limits(document, schema)
    if schema.get("required here"):
        found.pop("nullable", None)
        wanted.pop("nullable", None)
    if "default" not in found and where.endswith("fail.error"):
        wanted.pop("default", None)  # required over HTTP, so it has none there
        wanted.pop("nullable", None)
    for key in sorted(set(wanted) | set(found)):
        if wanted.get(key) != found.get(key):
            yield f"{where}: {key} is {found.get(key)!r}, and {wanted.get(key)!r} in wire.yaml"


def _wanted_limits(spec: Spec, field: dict[str, Any]) -> dict[str, Any]:
    """What wire.yaml says of a field, in the words of _found_limits."""
    kind = field["type"]
    inner = kind.removeprefix("list<").removesuffix(">")
    number: dict[str, Any] = {
        key: spec.limit(field[key])
        for key in ("min", "max", "max_bytes", "max_items")
        if key in field
    }
    said: dict[str, Any] = {"type": inner, "list": kind.startswith("list<"), **number}
    if inner == "json":
        said["max_depth"] = spec.wire["limits"]["json_depth"]
    elif not field.get("required"):
        said["nullable"] = True
    for key in ("enum", "default", "pattern"):
        if key in field:
            said[key] = field[key]
    return said


def _found_limits(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema says of a field, in the words of wire.yaml."""
    plain, nullable = _without_null(schema)
    is_list = plain.get("type") == "array"
    inner = plain["items"] if is_list else plain
    said: dict[str, Any] = {"type": _kind(document, inner), "list": is_list}
    inner = resolve(document, inner["$ref"]) if said["type"] == "uuid" else inner
    names = {
        "minimum": "min",
        "maximum": "max",
        "x-max-bytes": "max_bytes",
        "x-max-depth": "max_depth",
    }
    said |= {names[key]: inner[key] for key in names if key in inner}
    if "maxItems" in plain:
        said["max_items"] = plain["maxItems"]
    if nullable:
        said["nullable"] = True
    if "enum" in inner:
        said["enum"] = [value for value in inner["enum"] if value is not None]
    for key in {"default", "x-default"} & schema.keys():
        said["default"] = schema[key]
    if "pattern" in inner and said["type"] == "string":
        said["pattern"] = inner["pattern"].removeprefix("^").removesuffix("$")
    return said


def _without_null(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    choices = schema.get("anyOf")
    if choices is not None:
        return next(each for each in choices if each != _NULL), _NULL in choices
    kinds = as_list(schema.get("type"))
    plain = [kind for kind in kinds if kind not in ("null", None)]
    return ({**schema, "type": plain[0]} if plain else schema), "null" in kinds


def _kind(document: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name: str = schema["$ref"].rsplit("/", 1)[-1]
        return "uuid" if name == "JobId" else f"object {name}"
    if schema.get("format") == "date-time":
        return "time"
    names = {"integer": "int", "boolean": "bool", None: "json"}
    kind = as_list(schema.get("type"))[0]
    return names.get(kind, str(kind))


# --- answers ------------------------------------------------------------------------------------------------------


def _answers(spec: Spec, document: dict[str, Any], route: Route) -> Iterator[str]:
    """The members of the good answers are those of wire.yaml's `answer`."""
    command = route.operation["x-command"]
    answer = spec.wire["operations"][command]["answer"]
    if isinstance(answer, str):
        return
    wanted = set(answer)
    if command == "push":  # an array as its body is a push_batch
        wanted |= set(spec.wire["operations"]["push_batch"]["answer"])
    found: set[str] = set()
    for status, response in route.operation["responses"].items():
        if status < "400":
            found |= _members(document, response["content"]["application/json"]["schema"])
    for name in sorted(wanted ^ (found - {"ok"})):
        yield f"{route.where}: one of openapi.yaml and wire.yaml lacks {name} in the answer"


def _members(document: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    schema = resolve(document, schema["$ref"]) if "$ref" in schema else schema
    found = set(schema.get("properties", {}))
    for choice in schema.get("oneOf", []):
        found |= _members(document, choice)
    return found


# --- shared schemas -----------------------------------------------------------------------------------------------


def _objects(spec: Spec, document: dict[str, Any]) -> Iterator[str]:
    """The objects of wire.yaml are schema files with the same fields."""
    for name in spec.wire["objects"]:
        schema = document["components"]["schemas"].get(name)
        if schema is None:
            yield f"schemas/{name}.yaml is missing"
            continue
        where, wanted = f"schemas/{name}.yaml", spec.object_fields(name)
        found = _object(document, schema)
        yield from _same_names(where, wanted, found["properties"])
        for field in sorted(set(wanted) & set(found["properties"])):
            yield from _same_field(
                spec, document, f"{where}.{field}", wanted[field], found["properties"][field]
            )
        if name != "JobOptions" and not _closed(found):
            yield f"{where} lets unknown fields in"


def _enums(spec: Spec, document: dict[str, Any]) -> Iterator[str]:
    """Lists of words that stand in lifecycle.yaml and in a schema."""
    schemas = document["components"]["schemas"]
    job, counts = schemas["Job"]["properties"], schemas["QueueCounts"]["properties"]
    states, reasons = set(spec.lifecycle["states"]), {*spec.lifecycle["reasons"], None}
    pairs = {
        "schemas/JobState.yaml": (set(schemas["JobState"]["enum"]), states),
        "schemas/Job.yaml.reason": (set(job["reason"]["enum"]), reasons),
        "schemas/JobError.yaml.kind": (
            set(schemas["JobError"]["properties"]["kind"]["enum"]),
            set(spec.lifecycle["error_kinds"]),
        ),
        "schemas/QueueCounts.yaml": (set(counts), states | {"failed"}),
    }
    for where, (found, wanted) in pairs.items():
        if found != wanted:
            yield f"{where} has {sorted(map(str, found))}, and lifecycle.yaml {sorted(map(str, wanted))}"
