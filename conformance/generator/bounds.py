"""
Both sides of every bound of every field of wire.yaml, over both doors: what is past it is refused with its pointer, the same
over TCP as over HTTP (JW-ERR-3), and what is at it is accepted (JW-LIMIT-1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance.generator import setups
from conformance.generator.http_requests import in_both_types, request
from conformance.generator.spec import Route, document, operations, routes
from conformance.generator.tcp_cells import HELLO, commands
from conformance.generator.values import Wrong, good_values, listed, wrong_values

if TYPE_CHECKING:
    from collections.abc import Iterator

Case: TypeAlias = dict[str, Any]
Fields: TypeAlias = dict[str, dict[str, Any]]

# Fields that wait or are looked up before they could be accepted: cases/tcp/limits.yaml has their upper ends.
NOT_ALONE: Final = frozenset(
    {"wait_ms", "cursor", "id", "ids", "depends_on", "token", "target", "v"}
)
# What a field needs beside it to be accepted, and what it may not stand with.
NEEDS: Final[dict[str, dict[str, Any]]] = {
    "unique_for_ms": {"unique_key": "{{uuid}}"},
    "on_conflict": {"unique_key": "{{uuid}}"},
    "weights": {"queue": None, "queues": ["{{queue}}"]},
    "queues": {"queue": None},
}
# How an operation answers a good request here: most find no such job, which is said only once the fields are judged.
NO_JOB: Final = frozenset({"ack", "fail", "release", "heartbeat", "progress"})
CREATED: Final = frozenset({"push", "push_batch"})


def suites() -> dict[str, list[Case]]:
    """The cases: what is refused, and what is accepted."""
    return {
        "http/bounds": [case for route in _routes() for case in _over_http(route)],
        "tcp/bounds": [case for name in commands() for case in _over_tcp(name)],
        "http/at-the-bounds": [
            case for route in _routes() if route.has_body for case in _accepted(route)
        ],
    }


def _routes() -> list[Route]:
    """One route for each command with fields: of several the one that takes most of them, which is the first with a body."""
    found: dict[str, Route] = {}
    for route in sorted(routes(), key=lambda route: (not route.has_body, route.path.count("/"))):
        if operations()[route.command]["fields"]:
            found.setdefault(route.command, route)
    return list(found.values())


def fields_of(command: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """
    (where, name, field) of each field, those of nested objects too: `where` is "" or the pointer of the object that it stands in.
    """
    yield from _fields(operations()[command]["fields"], "")


def _fields(rows: dict[str, Any], where: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    objects: dict[str, Fields] = document("wire")["objects"]
    for name, row in rows.items():
        if name == "...":
            yield from _fields(objects[row.split()[-1]], where)
            if row.endswith("PushItem"):
                yield from _fields(objects["JobOptions"], where)
            continue
        yield where, name, row
        kind = row["type"].removeprefix("list<").removesuffix(">")
        if kind.removeprefix("object ") in objects:
            at = f"{where}/{name}/0" if row["type"].startswith("list") else f"{where}/{name}"
            yield from _fields(objects[kind.removeprefix("object ")], at)


def placed(where: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A request in which `fields` stand in the object that the pointer `where` leads to."""
    if not where:
        return fields
    head, *tail = where.split("/")[1:]
    listed = tail[:1] == ["0"]
    below = "".join("/" + step for step in (tail[1:] if listed else tail))
    inner = {**_beside(head), **placed(below, fields)}
    return {head: [inner] if listed else inner}


def _needed(where: str, name: str) -> dict[str, Any]:
    """NEEDS of a field of a pull or a push; a report of a worker has a field of the same name."""
    return NEEDS.get(name, {}) if where in ("", "/jobs/0") else {}


def _beside(step: str) -> dict[str, Any]:
    """What an object of a list needs besides the field that is tried."""
    return {"jobs": {"name": "n"}, "items": {"id": setups.JOB}, "worker": {"id": "w"}}.get(step, {})


# --- past the bounds -----------------------------------------------------------------------------------------------


def _over_http(route: Route) -> Iterator[Case]:
    for where, name, field in fields_of(route.command):
        steps = [
            step for wrong in wrong_values(field) for step in _http_step(route, where, name, wrong)
        ]
        if steps:
            yield _case("HTTP", route.command, where, name, "raw-http", steps)


def _http_step(route: Route, where: str, name: str, wrong: Wrong) -> list[dict[str, Any]]:
    in_path = "{" + name + "}" in route.path and not where
    if in_path and not (isinstance(wrong.value, str) and wrong.value):
        return []  # a path has text only, and no empty segment
    status = wrong.status if route.has_body else 400  # JW-HTTP-11
    fields = placed(where, {**_needed(where, name), name: wrong.value})
    if not route.has_body and not in_path and (isinstance(wrong.value, list) or wrong.value == "1"):
        return []  # in a query there are no lists, and a number is text
    if not route.has_body and wrong.status == 422 and "string" in field_type(route.command, name):
        return []  # in a query every value is text
    pointer = f"{where}/{name}{wrong.below}"
    step = in_both_types(request(route, fields), status, "VALIDATION_ERROR", {"pointer": pointer})[
        0
    ]
    return [{"name": f"{pointer}: {wrong.why}", **step}]


def field_type(command: str, name: str) -> str:
    return next(str(field["type"]) for _, found, field in fields_of(command) if found == name)


def _over_tcp(command: str) -> Iterator[Case]:
    for where, name, field in fields_of(command):
        wrongs = wrong_values(field)
        if not wrongs:
            continue
        steps = [_tcp_step(command, where, name, wrong) for wrong in wrongs]
        yield _case("TCP", command, where, name, "raw-tcp", [_greeting(command), *steps])


def _greeting(command: str) -> dict[str, Any]:
    """A connection of version 2; of version 1 where hello itself is tried."""
    if command == "hello":
        return {"tcp": {"connect": "c", "send": [{"cmd": "ping"}]}, "expect": [{"$.ok": True}]}
    return {"tcp": {"connect": "c", "send": [HELLO]}, "expect": [{"$.ok": True, "$.v": 2}]}


def _tcp_step(command: str, where: str, name: str, wrong: Wrong) -> dict[str, Any]:
    line = {
        "cmd": command,
        **setups.LEAST[command],
        **placed(where, {**_needed(where, name), name: wrong.value}),
    }
    pointer = f"{where}/{name}{wrong.below}"
    refused = {
        "$.ok": False,
        "$.error.code": "VALIDATION_ERROR",
        "$.error.details.pointer": pointer,
    }
    return {
        "name": f"{pointer}: {wrong.why}",
        "tcp": {"connect": "c", "send": [line]},
        "expect": [refused],
    }


def _case(
    door: str, command: str, where: str, name: str, transport: str, steps: list[dict[str, Any]]
) -> Case:
    inner = "".join("_" + part for part in where.split("/") if part not in ("", "0"))
    return {
        "id": f"{door}-BOUNDS-{command}{inner}_{name}",
        "title": f"{command} refuses {where}/{name} of another type or past a bound, and points at it",
        "covers": ["JW-ERR-3", "JW-ERR-5", "JW-ERR-6", "JW-ERR-9", "JW-LIMIT-1", "JW-LIMIT-2"],
        "transports": [transport],
        "steps": steps,
    }


# --- at the bounds -------------------------------------------------------------------------------------------------


def _accepted(route: Route) -> Iterator[Case]:
    for where, name, field in fields_of(route.command):
        if name in NOT_ALONE or "{" + name + "}" in route.path or "/options" in where:
            continue
        steps = [_good_step(route, where, name, why, value) for why, value in good_values(field)]
        if steps:
            yield {
                **_case("HTTP", route.command, where, name, "raw-http", steps),
                "id": f"HTTP-AT-{route.command}{where.replace('/0', '').replace('/', '_')}_{name}",
                "title": f"{route.command} accepts {where}/{name} at its bounds",
                "covers": ["JW-LIMIT-1", "JW-LIMIT-2"],
            }


def _good_step(route: Route, where: str, name: str, why: str, value: Any) -> dict[str, Any]:
    fields = placed(where, {**_needed(where, name), name: value})
    if name == "weights" and isinstance(value, dict):  # one for each queue
        fields["queues"] = listed("{{queue}}", value["$list"]["times"])
    return {
        "name": f"{where}/{name}: {why}",
        "http": request(route, fields),
        "expect": _good_answer(route.command, fields),
    }


def _good_answer(command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """With a member of its own, since a server that answers ok to everything accepts everything."""
    if command in NO_JOB:
        return {"status": 404, "body": {"$.error.code": "JOB_NOT_FOUND"}}
    member = next(iter(operations()[command]["answer"]))
    if command == "pull" and fields.get("count", 1) != 1:
        member = "jobs"
    body = {"$.ok": True, f"$.{member}": {"not": ""}}
    return {"status": 201 if command in CREATED else 200, "body": body}
