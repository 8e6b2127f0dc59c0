"""The request structs have exactly the fields and limits of spec/wire.yaml."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.vectors import spec

from jobwire_server.errors import JobwireError
from jobwire_server.wire import limits
from jobwire_server.wire.commands import COMMANDS
from jobwire_server.wire.requests import TCP_COMMANDS, TYPES, BadRequest, Options, parse_line

NOT_COMMANDS = {"metrics", "openapi", "docs"}
LINE = {"cmd", "rid"}
GOOD: dict[str, Any] = {
    "id": "019b0000-0000-7000-8000-00000000000a",
    "queue": "q",
    "name": "n",
    "jobs": [],
    "items": [],
    "progress": 1,
    "flow_id": "f",
    "token": "t",
    "v": [1],
    "target": 1,
}


def fields_of(kind: type[msgspec.Struct]) -> set[str]:
    return set(kind.__struct_fields__) - LINE


def test_there_is_a_struct_for_every_operation() -> None:
    assert set(TYPES) == set(COMMANDS) - NOT_COMMANDS
    assert {name for name, info in COMMANDS.items() if info.wire is not None} == TCP_COMMANDS


@pytest.mark.parametrize("command", TYPES)
def test_a_request_has_the_fields_of_the_spec(command: str) -> None:
    assert fields_of(TYPES[command]) == set(COMMANDS[command].fields)


def test_the_options_are_those_of_the_spec() -> None:
    assert fields_of(Options) == set(spec("wire")["objects"]["JobOptions"])


def code_of(command: str, **fields: Any) -> tuple[str, str] | None:
    """(code, pointer) of the refusal of a line; None when it is accepted."""
    required = {name: GOOD[name] for name in COMMANDS[command].required}
    if command == "pull":
        required = {"queue": "q"}
    if command == "ack_batch":
        required = {"ids": []}
    if command == "queue_update" or command.startswith("dlq"):
        required = {"queue": "q"}
    try:
        parse_line(json.dumps({"cmd": command, **required, **fields}).encode())
    except BadRequest as bad:
        return bad.error.code, (bad.error.details or {}).get("pointer", "")
    return None


@pytest.mark.parametrize("command", sorted(TCP_COMMANDS))
def test_the_required_fields_are_enough_and_each_is_needed(command: str) -> None:
    assert code_of(command) is None
    required = {name: GOOD[name] for name in COMMANDS[command].required}
    for name in required:
        left = {key: value for key, value in required.items() if key != name}
        with pytest.raises(BadRequest) as caught:
            parse_line(json.dumps({"cmd": command, **left}).encode())
        assert caught.value.error.details == {"pointer": f"/{name}"}
        assert caught.value.error.status == 422


@pytest.mark.parametrize("command", sorted(TCP_COMMANDS))
def test_a_field_that_is_not_known_is_refused_and_named(command: str) -> None:
    assert code_of(command, nonsense=1) == ("VALIDATION_ERROR", "/nonsense")


def number(value: Any) -> int:
    """A bound of wire.yaml: a number, or the name of a limit."""
    return spec("wire")["limits"][value] if isinstance(value, str) else value


def bounded() -> list[tuple[str, str, str, dict[str, Any]]]:
    """(command, pointer, field, rule) of every bounded field of every command."""
    objects, found = spec("wire")["objects"], []
    for command, operation in spec("wire")["operations"].items():
        if command not in TCP_COMMANDS:
            continue
        fields = dict(operation["fields"])
        extra = fields.pop("...", None)
        if extra is not None:
            fields.update(objects[extra.split()[-1]])
        if command == "push":
            fields.update(objects["JobOptions"])
        for field, rule in fields.items():
            if not isinstance(rule, dict) or field in ("options", "worker", "client", "jobs"):
                continue
            if {"min", "max", "max_bytes", "max_items"} & set(rule):
                found.append((command, f"/{field}", field, rule))
    return found


def samples(rule: dict[str, Any]) -> list[tuple[Any, bool]]:
    """(value, whether it is accepted) at the bounds of a rule."""
    kind = rule["type"]
    if kind in ("int", "number"):
        pairs = []
        for bound, step in (("min", -1), ("max", 1)):
            if bound in rule:
                at = number(rule[bound])
                pairs += [(at, True), (at + step, False)]
        return pairs
    if kind == "string":
        limit = number(rule["max_bytes"])
        fill = "a" if "pattern" in rule else "é"
        size = limit if "pattern" in rule else limit // 2
        return [(fill * size, True), (fill * (size + 1), False)]
    if kind == "json":
        limit = number(rule["max_bytes"])
        return [("x" * (limit - 2), True), ("x" * (limit - 1), False)]
    if kind.startswith("list<"):
        limit = number(rule["max_items"])
        inside = kind[5:-1]
        if inside not in ("uuid", "string", "int") or "enum" in rule:
            return []
        one = {
            "uuid": lambda n: f"019b0000-0000-7000-8000-{n:012x}",
            "string": lambda n: "a",
            "int": lambda n: 1,
        }[inside]
        return [([one(n) for n in range(limit)], True), ([one(n) for n in range(limit + 1)], False)]
    raise AssertionError(f"unknown kind {kind}")


@pytest.mark.parametrize(
    ("command", "pointer", "field", "rule"),
    bounded(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_at_its_limit_is_accepted_and_one_over_it_refused(
    command: str, pointer: str, field: str, rule: dict[str, Any]
) -> None:
    extra: dict[str, Any] = {}
    if field in ("unique_for_ms", "on_conflict"):
        extra["unique_key"] = "k"
    for value, accepted in samples(rule):
        said = {field: value, **extra}
        if field == "weights":
            said |= {"queue": None, "queues": ["q"] * len(value)}
        if field == "queues":
            said |= {"queue": None}
        if field == "wait_ms" and command == "heartbeat_batch":
            said |= {"worker": {"id": "w"}}
        verdict = code_of(command, **said)
        if accepted:
            assert verdict is None, (field, str(value)[:50])
        else:
            assert verdict is not None
            assert verdict[0] == "VALIDATION_ERROR"
            assert verdict[1] in (pointer, "/queues")


def test_a_refusal_over_a_limit_names_the_limit() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_line(b'{"cmd":"pull","queue":"q","count":1001}')
    assert caught.value.error.details == {"pointer": "/count", "limit": 1000}

    with pytest.raises(BadRequest) as caught:
        parse_line(b'{"cmd":"push","queue":"q","name":"n","custom_id":"%b"}' % (b"x" * 1025))
    assert caught.value.error.details == {"pointer": "/custom_id", "limit": limits.KEY_BYTES}


def test_every_pointer_in_a_batch_names_its_item() -> None:
    for fields, pointer in [
        ({"jobs": [{"name": "a"}, {"name": "b c"}]}, "/jobs/1/name"),
        ({"jobs": [{"name": "a"}, {}]}, "/jobs/1/name"),
        ({"jobs": [{"name": "a", "priority": "x"}]}, "/jobs/0/priority"),
        ({"jobs": [{"name": "a", "options": {"tags": [1]}}]}, "/jobs/0/options/tags/0"),
        (
            {"jobs": [{"name": "a", "options": {"run_at": "2030-01-01T00:00:00Z", "delay_ms": 1}}]},
            "/jobs/0/options/run_at",
        ),
        ({"jobs": [{"name": "a", "depends_on": ["x"]}]}, "/jobs/0/depends_on/0"),
        ({"jobs": [{"name": "a", "tags": ["x" * 257]}]}, "/jobs/0/tags/0"),
        ({"jobs": [3]}, "/jobs/0"),
    ]:
        assert code_of("push_batch", **fields) == ("VALIDATION_ERROR", pointer)


def test_the_error_of_a_wrong_type_is_422_and_of_a_wrong_value_400() -> None:
    for fields, status in [
        ({"priority": "x"}, 422),
        ({"priority": 2**31}, 400),
        ({"backoff": "cubic"}, 400),
        ({"priorty": 1}, 422),
        ({"jitter": 2}, 400),
        ({"run_at": "tomorrow"}, 400),
        ({"run_at": "2030-01-01T00:00:00"}, 400),
        ({"id": "x"}, 400),
    ]:
        with pytest.raises(BadRequest) as caught:
            parse_line(json.dumps({"cmd": "push", "queue": "q", "name": "n", **fields}).encode())
        assert caught.value.error.status in ((status,) if status == 422 else (None, status)), fields


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("delay", "delay_ms"), ("priorty", "priority"), ("uniquekey", "unique_key")],
)
def test_the_nearest_field_is_suggested(wrong: str, right: str) -> None:
    with pytest.raises(BadRequest, match=f"did you mean '{right}'"):
        parse_line(json.dumps({"cmd": "push", "queue": "q", "name": "n", wrong: 1}).encode())
    with pytest.raises(BadRequest, match=f"did you mean '{right}'"):
        parse_line(
            json.dumps(
                {"cmd": "push_batch", "queue": "q", "jobs": [{"name": "n", "options": {wrong: 1}}]}
            ).encode()
        )


def test_the_nearest_command_is_suggested() -> None:
    with pytest.raises(BadRequest, match="did you mean 'heartbeat'") as caught:
        parse_line(b'{"cmd":"hearbeat","rid":7}')

    assert (caught.value.error.code, caught.value.rid) == ("UNKNOWN_COMMAND", 7)


def test_a_message_stays_short_whatever_was_sent() -> None:
    long = "x" * 100_000
    for line in (
        {"cmd": long},
        {"cmd": "push", "queue": "q", "name": "n", long: 1},
        {"cmd": "push", "queue": "q", "name": "n", "backoff": long},
        {"cmd": "find", "state": [long]},
    ):
        with pytest.raises(BadRequest) as caught:
            parse_line(json.dumps(line).encode())
        error: JobwireError = caught.value.error
        assert len(error.message) + len(str(error.details)) < 1_000


def test_a_flood_of_unknown_fields_looks_at_the_type_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    real = msgspec.inspect.type_info
    monkeypatch.setattr(msgspec.inspect, "type_info", lambda kind: looks.append(kind) or real(kind))

    for number in range(100):
        with pytest.raises(BadRequest, match="unknown field"):
            parse_line(b'{"cmd":"push","queue":"q","name":"n","x%d":1}' % number)

    assert len(looks) <= 1
