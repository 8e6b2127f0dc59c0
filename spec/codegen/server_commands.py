"""Writes the server's table of operations: their doors, fields and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_text import python_file, string_set, string_tuple

if TYPE_CHECKING:
    from source import Spec

PATH = "server/src/jobwire_server/wire/commands.py"

_HEAD = '''\
"""The operations of the wire, as spec/wire.yaml lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Retry: TypeAlias = Literal["safe", "with_id", "never"]


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One operation.

    `wire` is the first TCP version that has the command, None for HTTP only. `http` holds its routes as
    `METHOD /path` below /api/v1. `errors` are its own codes, without those of its door. `fields` names every
    field that a request may have, and `required` those that it must.
    """

    operation_id: str | None
    wire: int | None
    http: tuple[str, ...]
    auth: bool
    retry: Retry
    errors: tuple[str, ...]
    fields: tuple[str, ...]
    required: frozenset[str]


'''


def outputs(spec: Spec) -> dict[str, str]:
    """The one file of this module: path → text."""
    sources = ("wire.yaml",)
    body = _HEAD + _commands(spec) + _objects(spec) + _common(spec)
    return {PATH: python_file(body, sources=sources, digest=spec.digest(*sources))}


def _commands(spec: Spec) -> str:
    rows = "".join(
        f"{name!r}: {_info(spec, operation)},\n"
        for name, operation in spec.wire["operations"].items()
    )
    return f"COMMANDS: Final[dict[str, CommandInfo]] = {{\n{rows}}}\n"


def _info(spec: Spec, operation: dict[str, Any]) -> str:
    fields = spec.fields(operation)
    required = [name for name, field in fields.items() if field.get("required")]
    return (
        f"CommandInfo(operation_id={operation.get('operation_id')!r},"
        f" wire={operation.get('wire')}, http={string_tuple(operation.get('http', []))},"
        f" auth={operation.get('auth', True)}, retry={operation['retry']!r},"
        f" errors={string_tuple(operation['errors'])}, fields={string_tuple(list(fields))},"
        f" required={string_set(required)},)"
    )


def _objects(spec: Spec) -> str:
    rows = "".join(
        f"{name!r}: {string_tuple(list(spec.object_fields(name)))},\n"
        for name in spec.wire["objects"]
    )
    return (
        "\n# The fields of the objects that stand in lists or inside other fields.\n"
        f"OBJECT_FIELDS: Final[dict[str, tuple[str, ...]]] = {{\n{rows}}}\n"
    )


def _common(spec: Spec) -> str:
    common = spec.wire["common_errors"]
    return (
        "\n# Codes that any request of a door can be answered with, besides the operation's own.\n"
        f"COMMON_HTTP_ERRORS: Final = {string_tuple(common['http'])}\n"
        f"COMMON_TCP_ERRORS: Final = {string_tuple(common['tcp'])}\n"
    )
