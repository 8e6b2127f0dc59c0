"""The abstract operations of spec/wire.yaml, and how each is asked over HTTP: route, query, body, and the answer back again."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from conformance.runner.model import SuiteError
from conformance.runner.specification import specification
from conformance.runner.values import Nest

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_WITHOUT_BODY: Final = frozenset({"GET", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of wire.yaml. `method` and `path` are those of its first route, empty without one; `wire` is 0 without a command."""

    name: str
    method: str
    path: str
    wire: int

    @property
    def doors(self) -> frozenset[str]:
        """Where it can be asked: of http, tcp1 and tcp2."""
        doors = {"http"} if self.path else set()
        doors |= {1: {"tcp1", "tcp2"}, 2: {"tcp2"}}.get(self.wire, set())
        return frozenset(doors)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request below the base path. `body` is None when it has none."""

    method: str
    target: str
    body: bytes | None


@functools.cache
def operations() -> Mapping[str, Operation]:
    """Every operation of wire.yaml by its name."""
    return {name: _operation(name, row) for name, row in specification().wire["operations"].items()}


def _operation(name: str, row: Mapping[str, Any]) -> Operation:
    method, _, path = (row.get("http") or [""])[0].partition(" ")
    return Operation(name=name, method=method, path=path, wire=row.get("wire", 0))


def encode(value: Any) -> bytes:
    """JSON as the runner sends it: UTF-8, no spaces."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_mark)
    return _MARK.sub(lambda found: "[" * int(found[1]) + "]" * int(found[1]), text).encode()


_MARK: Final = re.compile(r'"\\u0000nest ([0-9]+)\\u0000"')


def _mark(value: Any) -> str:
    """A place for what json cannot write."""
    if isinstance(value, Nest):
        return f"\0nest {value.depth}\0"
    raise TypeError(f"{value!r} is no JSON")


def http_request(operation: Operation, fields: Mapping[str, Any]) -> HttpRequest:
    """
    The request for an operation with its abstract fields. Fields that are named in the path leave the body or the query.

    Raises SuiteError when a field of the path has no value that a path can have; such a request is a raw `http:` step.
    """
    left = dict(fields)

    def fill(found: re.Match[str]) -> str:
        value = left.pop(found[1], None)
        if not isinstance(value, str) or not value:
            raise SuiteError(
                f"over HTTP `{found[1]}` of {operation.name} stands in the path; {value!r} cannot. Use an http: step"
            )
        return quote(value, safe="")

    target = _PLACE.sub(fill, operation.path)
    if operation.method not in _WITHOUT_BODY:
        return HttpRequest(method=operation.method, target=target, body=encode(left))
    query = urlencode(
        {name: _query_value(value) for name, value in left.items() if value is not None}
    )
    return HttpRequest(
        method=operation.method, target=f"{target}?{query}" if query else target, body=None
    )


def _query_value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_query_value(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What came back, in the abstract shape of wire.yaml: `fields` without the envelope when `error` is None, else the error object.

    `lost` says why when no answer came at all. `status` is 0 over TCP.
    """

    fields: Mapping[str, Any]
    error: Mapping[str, Any] | None = None
    lost: str | None = None
    status: int = 0

    @property
    def ok(self) -> bool:
        return self.error is None and self.lost is None

    def as_result(self) -> dict[str, Any]:
        """One value for assertions over several answers: {ok, …fields} or {ok, error}."""
        if self.lost is not None:
            return {"ok": False, "lost": self.lost}
        if self.error is not None:
            return {"ok": False, "error": dict(self.error)}
        return {"ok": True, **self.fields}


class WrongAnswer(AssertionError):  # noqa: N818 - named for what it says
    """An answer that no rule of the specification allows, whatever the case expects."""


def http_answer(operation: Operation, status: int, media_type: str, body: bytes) -> Answer:
    """The abstract answer of an HTTP response. Raises WrongAnswer when envelope and status do not agree."""
    if "json" not in media_type or operation.name == "openapi":
        if status != 200:
            raise WrongAnswer(f"{operation.name} answered {status} with {media_type}")
        return Answer(fields={"text": body.decode()}, status=status)
    parsed = parse(body)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("ok"), bool):
        raise WrongAnswer(f"{operation.name} answered {status} without an envelope: {body[:200]!r}")
    if parsed["ok"] != (200 <= status < 300):
        raise WrongAnswer(f"{operation.name} answered {status} with ok {parsed['ok']}")
    if not parsed["ok"]:
        return Answer(fields={}, error=parsed.get("error") or {}, status=status)
    fields = {name: value for name, value in parsed.items() if name != "ok"}
    _check_created(operation, status, fields)
    if operation.name == "fail":  # left out over HTTP when there is none, says wire.yaml
        fields.setdefault("next_attempt_at", None)
    return Answer(fields=fields, status=status)


def _check_created(operation: Operation, status: int, fields: Mapping[str, Any]) -> None:
    """JW-HTTP-3, for every push of every case."""
    outcomes = {"push": [fields.get("outcome")], "push_batch": fields.get("outcomes")}
    if operation.name not in outcomes:
        if status != 200:
            raise WrongAnswer(f"{operation.name} answered {status}")
        return
    made = {"created", "replaced"} & {each for each in outcomes[operation.name] or () if each}
    if outcomes[operation.name] and status != (201 if made else 200):
        raise WrongAnswer(f"{operation.name} answered {status} for {outcomes[operation.name]}")


def tcp_answer(operation: Operation, line: Mapping[str, Any], *, wire: int) -> Answer:
    """The abstract answer of a TCP line. In version 1 a batch of acks with refused items is an answer, as in version 2."""
    fields = {name: value for name, value in line.items() if name not in ("ok", "rid", "error")}
    error = line.get("error")
    if line.get("ok") is True and error is None:
        return Answer(fields=fields)
    if line.get("ok") is not False or not isinstance(error, dict):
        raise WrongAnswer(f"{operation.name} was answered without an envelope: {line!r:.200}")
    if wire == 1 and operation.name == "ack_batch" and error.get("code") == "PARTIAL_FAILURE":
        return Answer(fields=fields)  # JW-TCP-17
    return Answer(fields={}, error=error)


def parse(body: bytes) -> Any:
    """A JSON text as it stands, integers of any length too. WrongAnswer when it is none."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise WrongAnswer(f"not JSON: {body[:200]!r}") from error
