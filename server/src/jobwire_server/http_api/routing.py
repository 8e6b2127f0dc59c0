"""Finding the route of a path. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from jobwire_server.errors import JobwireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Route:
    """
    One row of the route table.

    `path` has parameters as `{name}`; `command` is the operation of spec/wire.yaml; `query` are the query fields it takes.
    """

    method: str
    path: str
    command: str
    query: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Place:
    """A known path: its routes by method, and the path parameters, percent-decoded."""

    methods: Mapping[str, Route]
    given: Mapping[str, str]

    def route(self, method: str) -> Route | None:
        """The route of a method; HEAD is GET, except on the legacy pull, which takes jobs (JW-HTTP-6)."""
        if method == "HEAD":
            route = self.methods.get("GET")
            return None if route is None or route.command == "pull" else route
        return self.methods.get(method)

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        methods = {*self.methods, "OPTIONS"} | ({"HEAD"} if self.route("HEAD") else set())
        return ", ".join(sorted(methods))


@dataclass(slots=True)
class _Node:
    """A path segment: what may follow it, and the routes that end here."""

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: tuple[str, _Node] | None = None
    methods: dict[str, Route] = field(default_factory=dict)


class Router:
    """A tree of path segments. A literal wins over a parameter, so /jobs/ack is not the job `ack`."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/")[1:]:
            node = _child(node, segment)
        if route.method in node.methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        node.methods[route.method] = route

    def find(self, path: str) -> Place | None:
        """
        The place of a raw (still percent-encoded) path; None when there is none. An empty segment never matches.

        An encoded slash belongs to its segment. Raises BAD_REQUEST for percent-encoding that is not UTF-8.
        """
        node = self._root
        given: dict[str, str] = {}
        for segment in path.split("/")[1:]:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.parameter is not None and segment:
                name, node = node.parameter
                given[name] = _decoded(segment)
            else:
                return None
        return Place(node.methods, given) if node.methods else None


def _child(node: _Node, segment: str) -> _Node:
    if not segment.startswith("{"):
        return node.literals.setdefault(segment, _Node())
    name = segment.strip("{}")
    if node.parameter is None:
        node.parameter = (name, _Node())
    if node.parameter[0] != name:
        raise ValueError(f"two names for one parameter: {node.parameter[0]} and {name}")
    return node.parameter[1]


def _decoded(segment: str) -> str:
    try:
        text = unquote(segment, errors="strict")
        text.encode()  # raw bytes that are not UTF-8 arrive as lone surrogates
    except UnicodeError as exc:
        raise JobwireError("BAD_REQUEST", "The path is not percent-encoded UTF-8") from exc
    return text
