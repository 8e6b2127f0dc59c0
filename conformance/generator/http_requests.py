"""One request over HTTP as a case's step: the fields of wire.yaml put where openapi.yaml wants them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from conformance.generator.setups import LEAST
from conformance.generator.spec import Route, has_details, retryable

PREFIX: Final = "/api/v1"
PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
TOKEN: Final = "conformance-token"


def plain(value: Any) -> Any:
    """The value with every `$repeat` written out, as a path or a query needs it."""
    if isinstance(value, dict) and "$repeat" in value:
        return value["$repeat"]["text"] * value["$repeat"]["times"]
    return value


def path_of(route: Route, fields: dict[str, Any]) -> str:
    """The path below /api/v1; variables stay as they are."""
    path = route.path
    for name, value in {**LEAST.get(route.command, {}), **fields}.items():
        if isinstance(plain(value), str):
            path = path.replace("{" + name + "}", quote(plain(value), safe="{}:-._"))
    return path


def rest_of(route: Route, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that do not stand in the path."""
    return {name: value for name, value in fields.items() if "{" + name + "}" not in route.path}


def request(route: Route, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An `http` step's request: LEAST and `fields` in path, query and body; `more` replaces members of the step."""
    step: dict[str, Any] = {"method": route.method, "path": path_of(route, fields)}
    rest = rest_of(route, {**LEAST.get(route.command, {}), **fields} if route.has_body else fields)
    if route.has_body and "text" not in more and "json" not in more:
        step["json"] = rest
    elif rest and not route.has_body:
        query = {
            name: ",".join(value) if isinstance(value, list) else plain(value)
            for name, value in rest.items()
        }
        step["path"] += "?" + urlencode(query, safe="{}:,")
    return {**step, **more}


def raw(
    route: Route, fields: dict[str, Any], *headers: str, version: str = "1.1", body: str = ""
) -> str:
    """A whole request as text; Host is localhost, and nothing is added that is not asked for."""
    lines = [
        f"{route.method} {PREFIX}{path_of(route, fields)} HTTP/{version}",
        "Host: localhost",
        *headers,
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def refusal(
    status: int, code: str, details: dict[str, Any] | None, *, problem: bool, **more: Any
) -> dict[str, Any]:
    """What an error must look like, in the envelope or as a problem of RFC 9457."""
    at = "$" if problem else "$.error"
    body: dict[str, Any] = {f"{at}.code": code, f"{at}.retryable": retryable(code)}
    if problem:
        body |= {
            "$.status": status,
            "$.type": {"type": "string"},
            "$.title": {"type": "string"},
            "$.detail": {"type": "string"},
        }
    else:
        body |= {"$.ok": False, "$.error.message": {"type": "string"}}
    if details:
        body |= {f"{at}.details.{name}": value for name, value in details.items()}
    elif not has_details(code):
        body[f"{at}.details"] = None
    return {"status": status, "type": PROBLEM if problem else JSON, "body": body, **more}


def in_both_types(
    step: dict[str, Any], status: int, code: str, details: dict[str, Any] | None = None, **more: Any
) -> list[dict[str, Any]]:
    """The request as it is, and once more by a client that names the media type of problems (JW-HTTP-2)."""
    return [
        {
            "http": _accepting(step, problem),
            "expect": refusal(status, code, details, problem=problem, **more),
        }
        for problem in (False, True)
    ]


def _accepting(step: dict[str, Any], problem: bool) -> dict[str, Any]:
    if not problem:
        return step
    if "raw" in step:
        return {**step, "raw": step["raw"].replace("\r\n", f"\r\nAccept: {PROBLEM}\r\n", 1)}
    return {**step, "headers": {**step.get("headers", {}), "Accept": PROBLEM}}
