"""What crossed a socket, as plain data: one HTTP exchange, and what the rules found in an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

Headers = tuple[tuple[str, str], ...]


class _Message(Protocol):
    @property
    def headers(self) -> Headers: ...

    @property
    def body(self) -> bytes: ...


class Asked(_Message, Protocol):
    """A request, as it was sent."""

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> str: ...


class Answered(_Message, Protocol):
    """A response, as it was received."""

    @property
    def status(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """
    One HTTP request and its answer, whoever made it. Names of headers are in lower case; `headers_of` makes them so.

    `method` and `target` are empty for bytes that are no request. `by` says who asked: runner, sdk:python, witness, fuzz.
    """

    method: str
    target: str  # path and query as they were sent
    request_headers: Headers = ()
    request_body: bytes = b""
    status: int
    headers: Headers = ()
    body: bytes = b""
    by: str = "runner"
    connection: str = ""

    @classmethod
    def between(cls, asked: Asked, answered: Answered, **more: str) -> Self:
        """Of a request and its response; `more` are `by` and `connection`."""
        return cls(
            method=asked.method,
            target=asked.target,
            request_headers=asked.headers,
            request_body=asked.body,
            status=answered.status,
            headers=answered.headers,
            body=answered.body,
            **more,
        )

    def request_header(self, name: str) -> str | None:
        return _first(self.request_headers, name)

    def header(self, name: str) -> str | None:
        return _first(self.headers, name)


@dataclass(slots=True, kw_only=True)
class Finding:
    """
    What the rules make of one answer. `operations` are the ids of the HTTP operations it counts for, or the one TCP command;
    `code` is the error code, empty for an answer that is ok; `features` are the members and words that it showed.
    """

    operations: tuple[str, ...] = ()
    code: str = ""
    media_type: str = ""
    problems: list[str] = field(default_factory=list)
    features: set[str] = field(default_factory=set)


def headers_of(headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]) -> Headers:
    """Headers of any library as pairs of text, names in lower case."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((_text(name).lower(), _text(value)) for name, value in pairs)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _first(headers: Headers, name: str) -> str | None:
    return next((value for each, value in headers if each == name), None)
