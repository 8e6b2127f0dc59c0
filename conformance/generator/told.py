"""What a server tells of itself: its limits and defaults as wire.yaml has them, and a document of every route."""

from __future__ import annotations

from typing import Any, TypeAlias

from conformance.generator.spec import document, routes
from conformance.generator.tcp_cells import HELLO

Case: TypeAlias = dict[str, Any]


def suites() -> dict[str, list[Case]]:
    """One suite for each door."""
    return {"http/cells-told": [_capabilities(), _routes()], "tcp/cells-told": [_hello()]}


def _values() -> dict[str, Any]:
    wire = document("wire")
    return {
        **{f"$.limits.{name}": value for name, value in wire["limits"].items()},
        **{f"$.defaults.{name}": value for name, value in wire["defaults"].items()},
    }


def _capabilities() -> Case:
    expected = {"status": 200, "type": "application/json", "body": _values()}
    return {
        "id": "HTTP-TOLD-limits",
        "title": "The capabilities name every limit and default of wire.yaml with its value",
        "covers": ["JW-LIMIT-6"],
        "transports": ["raw-http"],
        "steps": [{"http": {"method": "GET", "path": "/capabilities"}, "expect": expected}],
    }


def _hello() -> Case:
    return {
        "id": "TCP-TOLD-limits",
        "title": "The answer of a hello names every limit and default of wire.yaml with its value",
        "covers": ["JW-LIMIT-6"],
        "transports": ["raw-tcp"],
        "steps": [{"tcp": {"send": [HELLO]}, "expect": [{"$.v": 2, **_values()}]}],
    }


def _routes() -> Case:
    paths: dict[str, Any] = {}
    for route in routes():
        paths.setdefault(route.path, {})[route.method.lower()] = {"operationId": route.operation_id}
    body: dict[str, Any] = {"$.openapi": "3.1.0", "$.paths": paths}
    return {
        "id": "HTTP-TOLD-routes",
        "title": "The document that the server serves describes every route",
        "covers": ["JW-HTTP-16"],
        "transports": ["raw-http"],
        "steps": [
            {
                "http": {"method": "GET", "path": "/openapi.json"},
                "expect": {"status": 200, "type": "application/json", "body": body},
            }
        ],
    }
