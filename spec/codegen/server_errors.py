"""Writes the server's table of error codes."""

from __future__ import annotations

from typing import Any

from python_text import python_file, string_tuple
from source import Spec, as_list

PATH = "server/src/jobwire_server/error_codes.py"

_HEAD = '''\
"""The error codes that the server answers, as spec/errors.yaml lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What the catalogue says of a code.

    `status` is its HTTP status; `statuses` has it first and then those that apply in special cases.
    """

    status: int
    category: str
    retryable: bool
    meaning: str
    fix: str
    statuses: tuple[int, ...]
    details: tuple[str, ...]
    doors: tuple[str, ...]


'''


def outputs(spec: Spec) -> dict[str, str]:
    """The one file of this module: path → text."""
    rows = "".join(_row(code, entry) for code, entry in spec.errors["codes"].items())
    body = f"{_HEAD}ERROR_CODES: Final[dict[str, ErrorInfo]] = {{\n{rows}}}\n"
    sources = ("errors.yaml",)
    return {PATH: python_file(body, sources=sources, digest=spec.digest(*sources))}


def _row(code: str, entry: dict[str, Any]) -> str:
    statuses = as_list(entry["status"])
    shown = ", ".join(map(str, statuses))
    return (
        f"{code!r}: ErrorInfo(status={statuses[0]}, category={entry['category']!r},"
        f" retryable={entry['retryable']}, meaning={entry['meaning']!r}, fix={entry['fix']!r},"
        f" statuses=({shown},), details={string_tuple(entry['details'])},"
        f" doors={string_tuple(entry['doors'])},),\n"
    )
