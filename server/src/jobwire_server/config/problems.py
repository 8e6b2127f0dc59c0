"""
What is wrong with a configuration, and what to write in its place: `ConfigError`, its problems, and their sentences.

Nothing here reads a source or decides what is allowed; it puts into words what others found.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from jobwire_server.config.names import catalogue
from jobwire_server.config.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError

# What pydantic found, as a sentence that says what to write. {…} are members of the error's context.
_SENTENCES: Final = {
    "greater_than_equal": "too small; set {ge} or more",
    "less_than_equal": "too large; set {le} or less",
    "int_parsing": "give a whole number, such as {default}",
    "int_type": "give a whole number, such as {default}",
    "int_from_float": "give a whole number, such as {default}",
    "float_parsing": "give a number, such as {default}",
    "float_type": "give a number, such as {default}",
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "literal_error": "give one of {expected}",
    "string_type": "give a text in quotes",
    "tuple_type": "give a list",
    "path_type": "give the path of a file in quotes",
    "value_error": "{error}",
}


class Problem(NamedTuple):
    """One thing that is wrong: the setting, where its value came from, and what to do."""

    key: str
    origin: str
    message: str

    def __str__(self) -> str:
        return f"{self.key} ({self.origin}): {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has all that is wrong with it. `jobwire` exits 2."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def problems_of(error: ValidationError, origins: Mapping[str, str]) -> Iterator[Problem]:
    """What pydantic refused, each under its dotted key."""
    known = catalogue()
    for found in error.errors(include_url=False, include_input=False):
        key = ".".join(part for part in found["loc"] if isinstance(part, str))
        context = {"default": known[key].default, **found.get("ctx", {})}
        sentence = _SENTENCES.get(found["type"], found["msg"].replace("{", "{{").replace("}", "}}"))
        yield Problem(key, origins[key], sentence.format(**context))


def unknown_name(name: str, origin: str, candidates: Sequence[str]) -> Problem:
    """A name that no setting has, with the one that was probably meant."""
    guess = _suggestion(name, candidates)
    hint = f"did you mean {guess}?" if guess else "`jobwire config show` lists every setting"
    return Problem(name, origin, f"there is no such setting; {hint}")


def _suggestion(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that is most like a misspelt name: in spelling, or in its part after the section."""
    spelled = {candidate.lower(): candidate for candidate in candidates}
    last = {_last(candidate): candidate for candidate in reversed(candidates)}
    for word, places, cutoff in (
        (name.lower(), spelled, 0.75),
        (_last(name), last, 0.75),
        (name.lower(), spelled, 0.6),
    ):
        if near := difflib.get_close_matches(word, places, n=1, cutoff=cutoff):
            return places[near[0]]
    return None


def _last(name: str) -> str:
    """The part after the section, in lower case."""
    return re.split(r"\.|__", name.removeprefix(PREFIX))[-1].lower()
