"""Strict reading and strict schemas: what an answer may hold, down to the last member.

Answers may gain members in a later version, so the published schemas are open. A server is held to what the specification of
today documents, so here each object that lists its members is closed; `details` is bounded by errors.yaml instead.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.runner.specification import Specification

SHOWN: Final = 200  # characters of a value that a problem repeats
_MANY_DIGITS: Final = 19  # an integer with so many digits is above every bound of the schemas
_OPEN: Final = (("ErrorBody", "details"), ("Problem", "details"))
_COMPONENT: Final = "#/components/schemas/"
_NO_SCHEMA: Final = frozenset({"example", "examples", "enum", "const", "default", "required"})


class Undocumented(Exception):  # noqa: N818 - named for what was seen
    """Something crossed a socket that the specification does not document. `problems` has a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotJson(ValueError):  # noqa: N818 - named for what was seen
    """Bytes that are not one strict JSON text."""


# --- reading ----------------------------------------------------------------------------------------------------


def read_json(data: bytes) -> Any:
    """One JSON text as JW-ERR-4 has it: UTF-8, no byte order mark, each key once, no NaN. NotJson otherwise."""
    try:
        text = data.decode()
        return json.loads(
            text, object_pairs_hook=_members, parse_constant=_no_number, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not strict JSON: {error}: {shown(data)}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return members


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _integer(digits: str) -> int:
    """Data may have integers of any length, which neither Python nor a validator likes; a schema sees a large one."""
    if len(digits) < _MANY_DIGITS:
        return int(digits)
    return -(10**18) if digits.startswith("-") else 10**18


def shown(data: bytes | str) -> str:
    """The start of some bytes, for people."""
    text = data.decode(errors="backslashreplace") if isinstance(data, bytes) else data
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} in all)"


# --- schemas ----------------------------------------------------------------------------------------------------


class Schemas:
    """Compiled validators of one specification, each made once. `wire` 1 has errors without `retryable`."""

    def __init__(self, spec: Specification, *, wire: int = 2) -> None:
        self._components = closed_components(spec.openapi["components"]["schemas"], wire=wire)
        self._compiled: dict[str, jsonschema_rs.Draft202012Validator] = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._components)

    def problems(self, name: str, schema: dict[str, Any], value: Any) -> list[str]:
        """Why `value` does not fit `schema`, a sentence each. `name` is the schema's, and the key of its validator."""
        validator = self._compiled.get(name)
        if validator is None:
            validator = self._compiled[name] = self._compile(schema)
        if validator.is_valid(value):
            return []
        return [f"{name}: {_told(error)}" for error in validator.iter_errors(value)]

    def _compile(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        needed: dict[str, Any] = {}
        self._gather(schema, needed)
        return jsonschema_rs.Draft202012Validator(
            {**closed(schema), "components": {"schemas": needed}}, validate_formats=True
        )

    def _gather(self, node: Any, needed: dict[str, Any]) -> None:
        """Put the components that a schema refers to, near and far, into `needed`: with all of them it takes five times as long."""
        for name in _referred(node):
            if name not in needed:
                needed[name] = self._components[name]
                self._gather(needed[name], needed)


def _referred(node: Any) -> Iterator[str]:
    """The names of the components that a schema refers to itself."""
    if isinstance(node, list):
        for each in node:
            yield from _referred(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(_COMPONENT)
            else:
                yield from _referred(value)


def closed_components(schemas: dict[str, Any], *, wire: int) -> dict[str, Any]:
    """The component schemas, each object closed but `details` of an error."""
    components: dict[str, Any] = {name: closed(schema) for name, schema in schemas.items()}
    for name, member in _OPEN:
        components[name]["properties"][member].pop("unevaluatedProperties", None)
    if wire == 1:  # JW-ERR-2
        components["ErrorBody"]["required"].remove("retryable")
    return components


def closed(schema: Any) -> Any:
    """A copy in which each schema that lists properties, and says nothing of others, refuses them."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        key: list(value) if key == "required" else value if key in _NO_SCHEMA else closed(value)
        for key, value in schema.items()
    }
    if "properties" in schema and not {"additionalProperties", "unevaluatedProperties"} & set(
        schema
    ):
        copy["unevaluatedProperties"] = False
    return copy


def _told(error: jsonschema_rs.ValidationError) -> str:
    """Where and what; of alternatives the one that came nearest, which is the one with the fewest complaints."""
    context = getattr(error.kind, "context", None)
    where = "/" + "/".join(str(step) for step in error.instance_path)
    if context:
        nearest = min((each for each in context if each), key=len)
        return f"{where}: {'; '.join(_told(each) for each in nearest)}"
    return f"{where}: {shown(error.message)}"


# --- errors -----------------------------------------------------------------------------------------------------


def error_problems(
    spec: Specification, error: dict[str, Any], *, door: str, retryable: bool = True
) -> list[str]:
    """What errors.yaml does not know of the `error` of an answer. `retryable` says whether it has to be there."""
    code = error.get("code")
    entry = spec.codes.get(str(code))
    if entry is None:
        return [f"the code {code!r} is not in errors.yaml"]
    problems = []
    if door not in entry["doors"]:
        problems.append(f"errors.yaml does not have {code} over {door}")
    unknown = sorted(set(error.get("details") or {}) - set(entry["details"]))
    if unknown:
        problems.append(f"errors.yaml has no details {', '.join(unknown)} for {code}")
    if error.get("retryable", None if retryable else entry["retryable"]) != entry["retryable"]:
        problems.append(f"retryable of {code} is {error.get('retryable')!r}")
    return problems


def item_problems(
    spec: Specification, answer: dict[str, Any], *, door: str, retryable: bool = True
) -> list[str]:
    """The same for the errors of the items of a batch."""
    results = answer.get("results")
    errors = (
        [each.get("error") for each in results if isinstance(each, dict)]
        if isinstance(results, list)
        else []
    )
    return [
        problem
        for error in errors
        if isinstance(error, dict)
        for problem in error_problems(spec, error, door=door, retryable=retryable)
    ]
