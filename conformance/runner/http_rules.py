"""What openapi.yaml allows an HTTP answer to be: status, media type, headers, body and code, for the operation that was asked.

An answer counts for the operation of its method and path. A method that the path lacks counts for all operations of the path,
since that is where METHOD_NOT_ALLOWED is documented; a path of no operation, and bytes that are no request, count for none.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from conformance.runner.exchange import Exchange, Finding
from conformance.runner.features import asked_with, fields_of, seen_in
from conformance.runner.validating import (
    NotJson,
    Schemas,
    error_problems,
    item_problems,
    read_json,
)

if TYPE_CHECKING:
    from conformance.runner.specification import HttpOperation, Response, Specification

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_ERROR_SCHEMAS: Final = {JSON: "Error", PROBLEM: "Problem"}
_REFUSED_PROBLEM: Final = re.compile(r"application/problem\+json\s*;[^,]*q=0(\.0*)?(\s*[;,]|\s*$)")
# Said before the headers are known, and so before what they accept (JW-HTTP-2 has nothing to look at).
_BEFORE_HEADERS: Final = frozenset({"BAD_REQUEST", "OVERLOADED"})


class HttpRules:
    """The rules of one specification; `check` judges one exchange."""

    def __init__(self, spec: Specification) -> None:
        self._spec = spec
        self._schemas = Schemas(spec)
        self._paths = [(_pattern(spec.base_path + op.path), op) for op in spec.http]

    def check(self, exchange: Exchange) -> Finding:
        """What is wrong with the answer, and what it counts for."""
        asked = self._answerable(exchange)
        finding = Finding(
            operations=tuple(each.id for each in asked),
            media_type=(exchange.header("content-type") or "").partition(";")[0].strip(),
        )
        if exchange.header("x-request-id") is None:
            finding.problems.append("JW-HTTP-17: there is no X-Request-Id header")
        if exchange.method == "OPTIONS" and exchange.status == 204:
            self._check_options(exchange, finding)
        elif exchange.method == "HEAD":
            self._check_head(exchange, asked, finding)
        elif asked:
            self._check_documented(exchange, asked[0], finding)
        else:
            self._check_unknown(exchange, finding)
        return finding

    def operations(self, exchange: Exchange) -> list[HttpOperation]:
        """The operations that an exchange counts for."""
        path = exchange.target.partition("?")[0]
        if (
            len(path) > 1
        ):  # ROUTE_NOT_FOUND of an operation is that of its path with a slash behind it
            path = path.removesuffix("/")
        found = [op for pattern, op in self._paths if pattern.fullmatch(path)]
        # A literal segment wins over a parameter: /jobs/ack is not the job `ack`.
        literal = [op for op in found if "{" not in op.path.rsplit("/", 1)[-1]]
        found = literal or found
        method = "GET" if exchange.method == "HEAD" else exchange.method
        return [op for op in found if op.method == method] or found

    def _answerable(self, exchange: Exchange) -> list[HttpOperation]:
        """Those that the answer can count for: another method or path is only asked for its own error."""
        asked = self.operations(exchange)
        method = "GET" if exchange.method == "HEAD" else exchange.method
        if any(op.method != method for op in asked) and exchange.status != 405:
            return []
        is_own_path = not exchange.target.partition("?")[0].endswith("/")
        return asked if is_own_path or exchange.status == 404 else []

    # --- by operation -------------------------------------------------------------------------------------------

    def _check_documented(
        self, exchange: Exchange, operation: HttpOperation, finding: Finding
    ) -> None:
        response = operation.responses.get(exchange.status)
        if response is None:
            finding.problems.append(f"{operation.id}: the status {exchange.status} is undocumented")
            return
        finding.problems += _header_problems(exchange, response)
        if finding.media_type not in response.content:
            finding.problems.append(
                f"{operation.id} {exchange.status}: the media type {finding.media_type!r} is undocumented"
            )
            return
        if "json" not in finding.media_type:
            return
        name = f"{operation.id} {exchange.status} {finding.media_type}"
        schema = response.content[finding.media_type]
        body = self._body(name, schema, exchange, finding)
        if body is None:
            return
        if exchange.status >= 400:
            self._check_error(exchange, body, finding)
            if finding.code not in response.codes:
                finding.problems.append(
                    f"{operation.id}: {finding.code} is not documented for {exchange.status}"
                )
        else:
            finding.problems += item_problems(self._spec, body, door="http")
        finding.features = seen_in(self._spec, schema, body)
        finding.features |= asked_with(
            operation.command, _fields(exchange), body.get("error", body)
        )

    def _body(
        self, name: str, schema: dict[str, Any], exchange: Exchange, finding: Finding
    ) -> Any | None:
        """The body when it fits its schema; None, with problems, when it does not."""
        try:
            body = read_json(exchange.body)
        except NotJson as error:
            finding.problems.append(f"{name}: {error}")
            return None
        problems = self._schemas.problems(name, schema, body)
        finding.problems += problems
        return None if problems else body

    # --- without an operation -------------------------------------------------------------------------------------

    def _check_unknown(self, exchange: Exchange, finding: Finding) -> None:
        """A path that nothing serves, or no request at all: an error that any route can have."""
        if finding.media_type not in _ERROR_SCHEMAS:
            finding.problems.append(f"JW-HTTP-1: the media type is {finding.media_type!r}")
            return
        schema = {"$ref": f"#/components/schemas/{_ERROR_SCHEMAS[finding.media_type]}"}
        body = self._body(f"an error as {finding.media_type}", schema, exchange, finding)
        if body is None:
            return
        self._check_error(exchange, body, finding)
        if finding.code not in self._spec.wire["common_errors"]["http"]:
            finding.problems.append(
                f"{finding.code} is not for a request without an operation (wire.yaml, common_errors)"
            )

    def _check_options(self, exchange: Exchange, finding: Finding) -> None:
        finding.operations = ()
        if exchange.header("allow") is None:
            finding.problems.append("OPTIONS: there is no Allow header")
        if exchange.body:
            finding.problems.append("OPTIONS: a 204 has no body")

    def _check_head(self, exchange: Exchange, asked: list[HttpOperation], finding: Finding) -> None:
        """The headers of a GET; it shows no body, so it covers nothing."""
        if exchange.body:
            finding.problems.append("HEAD: the answer has a body")
        statuses = {status for each in asked for status in each.responses} or {400, 401, 403, 404}
        if exchange.status not in statuses:
            finding.problems.append(f"HEAD: the status {exchange.status} is undocumented")
        finding.operations = ()

    # --- errors ---------------------------------------------------------------------------------------------------

    def _check_error(self, exchange: Exchange, body: dict[str, Any], finding: Finding) -> None:
        error = body if finding.media_type == PROBLEM else body["error"]
        finding.code = error["code"]
        finding.problems += error_problems(self._spec, error, door="http")
        finding.problems += _status_problems(self._spec, exchange, body, finding)
        finding.problems += _wait_problems(exchange, error)


def _status_problems(
    spec: Specification, exchange: Exchange, body: dict[str, Any], finding: Finding
) -> list[str]:
    problems = []
    statuses = spec.codes.get(finding.code, {}).get("status", exchange.status)
    if exchange.status not in (statuses if isinstance(statuses, list) else [statuses]):
        problems.append(f"errors.yaml does not have {finding.code} with {exchange.status}")
    if finding.media_type == PROBLEM and body["status"] != exchange.status:
        problems.append(f"the problem's status is {body['status']}, and not {exchange.status}")
    if finding.code in _BEFORE_HEADERS or not exchange.method:
        return problems
    if finding.media_type != (PROBLEM if _accepts_problem(exchange) else JSON):
        problems.append(f"JW-HTTP-2: an error as {finding.media_type} was not asked for")
    return problems


def _accepts_problem(exchange: Exchange) -> bool:
    accept = (exchange.request_header("accept") or "").lower()
    return PROBLEM in accept and not _REFUSED_PROBLEM.search(accept)


def _wait_problems(exchange: Exchange, error: dict[str, Any]) -> list[str]:
    """JW-HTTP-4: Retry-After has the seconds of retry_after_ms, rounded up."""
    wait, header = error.get("retry_after_ms"), exchange.header("retry-after")
    if wait is None:
        return []
    wanted = str(math.ceil(wait / 1000))
    return [] if header == wanted else [f"JW-HTTP-4: Retry-After is {header!r}, and not {wanted}"]


def _header_problems(exchange: Exchange, response: Response) -> list[str]:
    """Required headers are there, and those that are documented have a value of their schema."""
    problems = []
    for name, header in response.headers.items():
        value = exchange.header(name)
        if value is None:
            if header.get("required"):
                problems.append(f"{response.status}: the header {name} is missing")
        elif header["schema"].get("type") == "integer" and not value.isdecimal():
            problems.append(f"{response.status}: the header {name} is {value!r}, no integer")
    return problems


def _fields(exchange: Exchange) -> frozenset[str]:
    """What a request gave, in its query and in its body."""
    query = parse_qsl(exchange.target.partition("?")[2], keep_blank_values=True)
    given = frozenset(name for name, _ in query)
    try:
        return given | fields_of(read_json(exchange.request_body))
    except NotJson:
        return given


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
