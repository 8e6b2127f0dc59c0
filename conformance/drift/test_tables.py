"""
The tables of the server are those of the specification, both ways.

The server's own tests hold its tables against wire.yaml, of which they are made; here they are held against openapi.yaml and the
list of commands themselves, without the code that is generated in between.
"""

from __future__ import annotations

from jobwire_server.http_api.app import PREFIX, ROUTES
from jobwire_server.wire.requests import TCP_COMMANDS
from jobwire_server.wire.tcp_verdicts import FIRST_VERSION

from conformance.runner.specification import METHODS, specification

SPEC = specification()


def documented() -> set[tuple[str, str, str]]:
    """(method, path, command) of every operation."""
    return {
        (method.upper(), path, item[method]["x-command"])
        for path, item in SPEC.openapi["paths"].items()
        for method in METHODS
        if method in item
    }


def differences(
    table: set[tuple[str, str, str]], document: set[tuple[str, str, str]]
) -> dict[str, set[tuple[str, str, str]]]:
    return {"undocumented": table - document, "not served": document - table}


def test_the_route_table_is_openapi_yaml() -> None:
    table = {(each.method, each.path.removeprefix(PREFIX), each.command) for each in ROUTES}

    assert SPEC.base_path == PREFIX
    assert differences(table, documented()) == {"undocumented": set(), "not served": set()}


def test_the_command_table_is_wire_yaml() -> None:
    versions = {name: each["wire"] for name, each in SPEC.commands.items()}

    assert set(TCP_COMMANDS) == set(versions)
    assert versions == FIRST_VERSION


def test_a_route_too_many_and_one_too_few_are_told_apart() -> None:
    row, other = ("GET", "/a", "a"), ("GET", "/b", "b")

    assert differences({row}, {other}) == {"undocumented": {row}, "not served": {other}}
