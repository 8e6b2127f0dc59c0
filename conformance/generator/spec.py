"""The spec as the generator reads it: routes of openapi.yaml, operations and fields of wire.yaml, codes of errors.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

SPEC: Final = Path(__file__).parents[2] / "spec"
METHODS: Final = ("get", "post", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of openapi.yaml. `codes` are the error codes by status, `methods` all that its path has."""

    operation_id: str
    command: str
    method: str
    path: str
    public: bool
    codes: dict[int, tuple[str, ...]]
    methods: tuple[str, ...]

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PATCH")


@cache
def document(name: str) -> dict[str, Any]:
    """A YAML file of spec/, such as "wire"."""
    loaded: dict[str, Any] = yaml.safe_load((SPEC / f"{name}.yaml").read_text())
    return loaded


@cache
def routes() -> tuple[Route, ...]:
    """Every operation of openapi.yaml, in its order."""
    paths = document("openapi")["paths"]
    return tuple(
        _route(path, verb, item) for path, item in paths.items() for verb in METHODS if verb in item
    )


def _route(path: str, verb: str, item: dict[str, Any]) -> Route:
    operation = item[verb]
    codes = {int(status): _codes(answer) for status, answer in operation["responses"].items()}
    return Route(
        operation_id=operation["operationId"],
        command=operation["x-command"],
        method=verb.upper(),
        path=path,
        public=operation.get("security") == [],
        codes={status: found for status, found in codes.items() if found},
        methods=tuple(verb.upper() for verb in METHODS if verb in item),
    )


def _codes(answer: dict[str, Any]) -> tuple[str, ...]:
    if "$ref" in answer:
        answer = document("openapi")["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    return tuple(answer.get("x-error-codes", ()))


def operations() -> dict[str, dict[str, Any]]:
    """The rows of wire.yaml by command."""
    found: dict[str, dict[str, Any]] = document("wire")["operations"]
    return found


def limit(value: int | str) -> int:
    """A bound of a field: a number, or the name of one of wire.yaml's limits."""
    return int(document("wire")["limits"][value] if isinstance(value, str) else value)


def retryable(code: str) -> bool:
    return bool(document("errors")["codes"][code]["retryable"])


def has_details(code: str) -> bool:
    """Whether errors.yaml lists any member of `details` for the code."""
    return bool(document("errors")["codes"][code]["details"])
