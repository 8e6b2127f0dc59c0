"""Writes the Python SDK's table of error codes and job states."""

from __future__ import annotations

from typing import Any

from python_text import python_file, string_set, string_tuple
from source import Spec, as_list

PATH = "sdk-python/src/jobwire/_error_codes.py"

_HEAD = '''\
"""The error codes of servers and clients, and the states of a job, as the specification lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ErrorInfo(NamedTuple):
    """What the catalogue says of a code: it picks the exception, and whether a repeat may help.

    `status` is the HTTP status, None for the codes that a client makes itself.
    """

    category: str
    status: int | None
    retryable: bool


'''


def outputs(spec: Spec) -> dict[str, str]:
    """The one file of this module: path → text."""
    sources = ("errors.yaml", "lifecycle.yaml")
    body = _HEAD + _codes(spec.errors) + _categories(spec.errors) + _states(spec.lifecycle)
    return {PATH: python_file(body, sources=sources, digest=spec.digest(*sources))}


def _codes(errors: dict[str, Any]) -> str:
    rows = "".join(
        f"{code!r}: {_info(entry)},\n"
        for table in ("codes", "client_codes")
        for code, entry in errors[table].items()
    )
    return f"ERROR_CODES: Final[Mapping[str, ErrorInfo]] = {{\n{rows}}}\n"


def _info(entry: dict[str, Any]) -> str:
    status = as_list(entry.get("status"))[0]
    return f"ErrorInfo({entry['category']!r}, {status}, {entry['retryable']})"


def _categories(errors: dict[str, Any]) -> str:
    rows = "".join(f"{name!r}: {entry['sdk']!r},\n" for name, entry in errors["categories"].items())
    return (
        "\n# The exception of each category.\n"
        f"CATEGORIES: Final[Mapping[str, str]] = {{\n{rows}}}\n"
    )


def _states(lifecycle: dict[str, Any]) -> str:
    states = lifecycle["states"]
    terminal = [state for state, entry in states.items() if entry["terminal"]]
    return (
        f"\nSTATES: Final = {string_tuple(list(states))}\n"
        f"TERMINAL_STATES: Final = {string_set(terminal)}\n"
    )
