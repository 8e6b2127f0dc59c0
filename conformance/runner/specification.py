"""The files of spec/ as the runner needs them: HTTP operations with their answers, TCP commands, codes, requirements.

Rule: nothing here is written down twice. What the suite expects comes from the files, which `make verify` checks.
"""

from __future__ import annotations

import functools
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
METHODS: Final = ("get", "post", "patch", "put", "delete")

# On a response: {code or media type: reason}; on an operation the same behind a status, '400 VALIDATION_ERROR'.
UNREACHABLE: Final = "x-unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One documented status of an operation. `content` is media type → schema, `headers` name in lower case → Header."""

    status: int
    codes: frozenset[str]
    content: dict[str, dict[str, Any]]
    headers: dict[str, dict[str, Any]]
    unreachable: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOperation:
    """One operation of openapi.yaml. `path` is below the base path, with its parameters as `{name}`."""

    id: str
    method: str
    path: str
    command: str
    responses: dict[int, Response]
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None  # the schema of a JSON body
    unreachable: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One normative sentence; `level` is its word of RFC 2119 without a NOT."""

    id: str
    level: str
    text: str
    page: str


class Specification:
    """What spec/ of one checkout says. Each part is read when it is first asked for."""

    def __init__(self, repository: Path = REPOSITORY) -> None:
        self.repository = repository
        self._files = codegen("source").Spec(repository)

    @functools.cached_property
    def openapi(self) -> dict[str, Any]:
        """openapi.yaml in one document, every reference inside it."""
        document: dict[str, Any] = codegen("bundle").bundled(self._files)
        return document

    @functools.cached_property
    def wire(self) -> dict[str, Any]:
        table: dict[str, Any] = self._files.wire
        return table

    @functools.cached_property
    def codes(self) -> dict[str, dict[str, Any]]:
        """errors.yaml's codes."""
        table: dict[str, dict[str, Any]] = self._files.errors["codes"]
        return table

    @functools.cached_property
    def categories(self) -> dict[str, dict[str, Any]]:
        """errors.yaml's categories, which name the error classes of the SDKs."""
        table: dict[str, dict[str, Any]] = self._files.errors["categories"]
        return table

    @functools.cached_property
    def base_path(self) -> str:
        path: str = self.openapi["servers"][0]["url"]
        return path

    @functools.cached_property
    def http(self) -> tuple[HttpOperation, ...]:
        """Every operation of openapi.yaml, in its order."""
        return tuple(
            self._operation(method, path, item[method])
            for path, item in self.openapi["paths"].items()
            for method in METHODS
            if method in item
        )

    @functools.cached_property
    def commands(self) -> dict[str, dict[str, Any]]:
        """The operations of wire.yaml that TCP has."""
        operations: dict[str, dict[str, Any]] = self.wire["operations"]
        return {name: each for name, each in operations.items() if "wire" in each}

    @functools.cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        tool = codegen("requirements")
        return tuple(
            Requirement(
                id=each.id,
                level=tool.KEYWORD.findall(each.text)[0].split(" ")[0],
                text=each.text,
                page=each.page,
            )
            for each in tool.requirements(self._files)
        )

    def fields(self, command: str) -> dict[str, dict[str, Any]]:
        """The fields of an operation of wire.yaml, those of an object that it spreads among them."""
        found: dict[str, dict[str, Any]] = self._files.fields(self.wire["operations"][command])
        return found

    def digest(self) -> str:
        """Sixteen hex digits that change when the specification does."""
        names = ("openapi.yaml", "wire.yaml", "errors.yaml", "lifecycle.yaml")
        found: str = self._files.digest(*names, "wire.md", "lifecycle.md")
        return found

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node itself, or what its reference points at."""
        while "$ref" in node:
            node = codegen("bundle").resolve(self.openapi, node["$ref"])
        return node

    def _operation(self, method: str, path: str, node: dict[str, Any]) -> HttpOperation:
        body = node.get("requestBody", {}).get("content", {}).get("application/json")
        return HttpOperation(
            id=node["operationId"],
            method=method.upper(),
            path=path,
            command=node["x-command"],
            responses={
                int(status): self._response(int(status), self.resolved(response))
                for status, response in node["responses"].items()
            },
            parameters=tuple(self.resolved(each) for each in node.get("parameters", ())),
            body=body["schema"] if body else None,
            unreachable=node.get(UNREACHABLE, {}),
        )

    def _response(self, status: int, node: dict[str, Any]) -> Response:
        headers = {
            name.lower(): self.resolved(header) for name, header in node.get("headers", {}).items()
        }
        return Response(
            status=status,
            codes=frozenset(node.get("x-error-codes", ())),
            content={
                kind: each.get("schema", {}) for kind, each in node.get("content", {}).items()
            },
            headers=headers,
            unreachable=node.get(UNREACHABLE, {}),
        )


@functools.cache
def codegen(name: str) -> Any:
    """A module of spec/codegen, which are scripts that import each other by their plain names."""
    folder = str(REPOSITORY / "spec" / "codegen")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


@functools.cache
def specification() -> Specification:
    """That of this checkout, read once a process."""
    return Specification()
