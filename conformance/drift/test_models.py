"""
What openapi.yaml calls a good request and what the server's models do are the same, instance by instance.

Instances differ from a good one in one place, so that one rule decides about each. Rules that JSON Schema has no words for are
kept satisfied: `completed` puts beside a field what it needs.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
from jobwire_server.errors import JobwireError
from jobwire_server.http_api.handlers import read_query
from jobwire_server.wire import requests

from conformance.drift.instances import UUID, Instances
from conformance.runner.specification import HttpOperation, specification

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = specification()
INSTANCES = Instances(SPEC.resolved)
GIVEN = {"queue": "q", "id": UUID, "flow_id": "f"}

BODIES = [each for each in SPEC.http if each.body is not None]
QUERIES = [each for each in SPEC.http if any(p["in"] == "query" for p in each.parameters)]


def schema_of(operation: HttpOperation) -> dict[str, Any]:
    """Of a body; of push the object, since its array is the list of push_batch."""
    body: dict[str, Any] = operation.body or {}
    return body["oneOf"][0] if operation.id == "push" else body


def fits(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": SPEC.openapi["components"]}, validate_formats=True
    )


def completed(operation: HttpOperation, instance: Any) -> Any:
    """The instance with what its fields need beside them (JW-PUSH-12, JW-PULL-15, JW-ACK-7, JW-HB-6)."""
    if not isinstance(instance, dict):
        return instance
    whole = _with_keys(instance)
    if operation.id == "pull":
        weights = whole.get("weights")
        if isinstance(weights, list) and weights:
            whole["queues"] = ["q"] * min(len(weights), 64)
        if whole.get("queues") is None:
            whole.setdefault("queue", "q")
    if operation.id == "ackBatch":
        whole.setdefault("ids", [])
    if operation.id == "heartbeatBatch" and "wait_ms" in whole:
        whole.setdefault("worker", {"id": "w"})
    return whole


def _with_keys(value: Any) -> Any:
    """A unique_key beside what needs one, wherever the options stand."""
    if isinstance(value, list):
        return [_with_keys(each) for each in value]
    if not isinstance(value, dict):
        return value
    copy = {name: _with_keys(member) for name, member in value.items()}
    if {"unique_for_ms", "on_conflict"} & set(copy):
        copy.setdefault("unique_key", "k")
    return copy


def serves(operation: HttpOperation, body: bytes | None, query: str = "") -> bool:
    """Whether the server's model takes a request; a refusal has to be VALIDATION_ERROR."""
    given = {name: value for name, value in GIVEN.items() if f"{{{name}}}" in operation.path}
    known = frozenset(each["name"] for each in operation.parameters if each["in"] == "query")
    try:
        requests.from_http(operation.command, body, given, read_query(query, known))
    except JobwireError as refusal:
        if refusal.code != "VALIDATION_ERROR":
            raise
        return False
    return True


def instances_of(operation: HttpOperation) -> Iterator[tuple[str, Any]]:
    schema = schema_of(operation)
    yield "the smallest", completed(operation, INSTANCES.fitting(schema))
    for said, instance in INSTANCES.varied(schema):
        if said != "/weights of 0":  # it has to be as long as `queues`, which cannot be empty
            yield said, completed(operation, instance)


@pytest.mark.parametrize("operation", BODIES, ids=lambda each: each.id)
def test_a_body_has_the_same_verdict_from_the_schema_and_from_the_model(
    operation: HttpOperation,
) -> None:
    schema = fits(operation.body or {})
    verdicts: dict[bool, int] = {True: 0, False: 0}
    differences = []
    for said, instance in instances_of(operation):
        good = schema.is_valid(instance)
        verdicts[good] += 1
        if serves(operation, json.dumps(instance).encode()) is not good:
            differences.append(f"{said}: the schema says {good}: {json.dumps(instance)[:200]}")

    assert differences == []
    assert min(verdicts.values()) >= 1, verdicts


# --- query parameters --------------------------------------------------------------------------------------------

_NUMBERS = [
    "0",
    "1",
    "7",
    "50",
    "1000",
    "1001",
    "-1",
    "1.0",
    "1e1",
    "x",
    "",
    " 1",
    "null",
    "99999999999999999999",
]
_TIMES = ["2026-11-22T09:00:00Z", "2026-11-22T09:00:00.5+02:00", "2026-11-22", "x", ""]
_STATES = ["waiting", "waiting,active", "lost", "waiting,lost", "WAITING"]


def texts_of(schema: dict[str, Any]) -> list[str]:
    if schema.get("type") == "integer":
        return _NUMBERS
    if schema.get("format") == "date-time":
        return _TIMES
    if schema.get("type") == "array":
        return _STATES
    most = schema["maxLength"]
    return ["n", "a b", "é", "n" * most, "n" * (most + 1)]


def value_of(schema: dict[str, Any], text: str) -> Any:
    """What OpenAPI makes of the text of a parameter."""
    if schema.get("type") == "integer" and re.fullmatch("-?[0-9]+", text):
        return int(text)
    return text.split(",") if schema.get("type") == "array" else text


@pytest.mark.parametrize("operation", QUERIES, ids=lambda each: each.id)
def test_a_query_has_the_same_verdict_from_the_schema_and_from_the_model(
    operation: HttpOperation,
) -> None:
    verdicts = set()
    for parameter in operation.parameters:
        if parameter["in"] != "query":
            continue
        schema = fits(parameter["schema"])
        for text in texts_of(parameter["schema"]):
            good = schema.is_valid(value_of(parameter["schema"], text))
            verdicts.add(good)
            query = urlencode({parameter["name"]: text})
            assert serves(operation, None, query) is good, (query[:100], good)

    assert verdicts == {True, False}
    assert not serves(operation, None, "nonsense=1")


# --- negative controls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation_id", "change"),
    [
        ("push", {"properties": {"colour": {"type": "string", "maxLength": 9}}}),
        (
            "progress",
            {"properties": {"progress": {"type": "integer", "maximum": 256, "minimum": 0}}},
        ),
        ("fail", {"required": []}),
        (
            "pauseQueue",
            {"properties": {"mode": {"type": "string", "enum": ["push", "pull", "both"]}}},
        ),
        ("release", {"additionalProperties": True}),
    ],
)
def test_a_schema_that_differs_in_one_rule_is_noticed(
    operation_id: str, change: dict[str, Any]
) -> None:
    operation = next(each for each in BODIES if each.id == operation_id)
    plain = SPEC.resolved(schema_of(operation))
    properties = {**plain.get("properties", {}), **change.get("properties", {})}
    changed = {**plain, **change, "properties": properties}
    schema = fits(changed)

    verdicts = [
        (schema.is_valid(instance), serves(operation, json.dumps(instance).encode()))
        for said, given in INSTANCES.varied(changed)
        for instance in [completed(operation, given)]
    ]

    assert any(one is not two for one, two in verdicts)
