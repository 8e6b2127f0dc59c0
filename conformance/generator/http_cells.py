"""Every operation of openapi.yaml × status × error code × media type, as cases: cells C1 and C2 but for the successes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance.generator import setups
from conformance.generator.http_requests import (
    PREFIX,
    TOKEN,
    in_both_types,
    path_of,
    raw,
    request,
)
from conformance.generator.spec import Route, limit, routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Case: TypeAlias = dict[str, Any]
Steps: TypeAlias = list[dict[str, Any]]

ENVELOPE: Final = ["JW-ERR-1", "JW-ERR-2", "JW-HTTP-1", "JW-HTTP-2"]
COVERS: Final = {
    "PARSE_ERROR": ["JW-ERR-4"],
    "UNAUTHORIZED": ["JW-AUTH-1", "JW-AUTH-9"],
    "RATE_LIMITED": ["JW-AUTH-3", "JW-HTTP-4"],
    "ORIGIN_REFUSED": ["JW-HTTP-9"],
    "ROUTE_NOT_FOUND": ["JW-HTTP-5"],
    "METHOD_NOT_ALLOWED": ["JW-HTTP-5"],
    "REQUEST_TIMEOUT": ["JW-HTTP-12"],
    "PAYLOAD_TOO_LARGE": ["JW-LIMIT-4"],
    "UNSUPPORTED_MEDIA_TYPE": ["JW-HTTP-7"],
    "INVALID_STATE": ["JW-JOB-12"],
    "LEASE_LOST": ["JW-LEASE-3"],
    "LEASE_REQUIRED": ["JW-LEASE-5"],
    "ID_CONFLICT": ["JW-PUSH-4"],
    "QUEUE_FULL": ["JW-PUSH-13", "JW-HTTP-4"],
    "QUEUE_PAUSED": ["JW-QUEUE-3"],
    "STORAGE_FULL": ["JW-JOB-10"],
}
GUARDED: Final = {"auth.tokens": [TOKEN], "http.trusted_proxies": ["127.0.0.1/32"]}
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "UNAUTHORIZED": GUARDED,
    "RATE_LIMITED": GUARDED,
}
# Where a deadline of the server has to pass. A server reads on for a while behind a refusal, so that the client gets to see it.
TIMED: Final = frozenset({"REQUEST_TIMEOUT", "PAYLOAD_TOO_LARGE"})
READ_TIMEOUT_MS: Final = 30_000
DEADLINE: Final = (
    f"{READ_TIMEOUT_MS + 10_000}ms"  # and what it may be late, and for how long it reads on
)
WRONG_TOKENS: Final = 5
RESOURCES: Final = ("queues", "jobs", "pull", "flows", "workers")
MANY_QUERY_FIELDS: Final = "&".join(f"f{n}=" for n in range(33))


def suites() -> dict[str, list[Case]]:
    """The cases by resource: the first segment of the path, or `server` for the operations that need no token."""
    found: dict[str, list[Case]] = {}
    for number, route in enumerate(routes()):
        found.setdefault(f"http/cells-{resource_of(route)}", []).extend(_cases(route, number))
    return found


def resource_of(route: Route) -> str:
    if route.public:
        return "server"
    first = "dlq" if "/dlq" in route.path else route.path.split("/")[1]
    return (
        "jobs"
        if route.operation_id in ("push", "pushBatch")
        else "pull"
        if "pull" in route.operation_id
        else first
    )


def _cases(route: Route, number: int) -> Iterator[Case]:
    for status, codes in route.codes.items():
        for code in codes:
            case = _case(route, status, code, number)
            if case is not None:
                yield case


def _case(route: Route, status: int, code: str, number: int) -> Case | None:
    before, settings, steps = _steps(route, status, code, number)
    case: Case = {
        "id": f"HTTP-{route.operation_id}-{status}-{code}",
        "title": f"{route.operation_id} can be refused with {code} and {status}, in both media types",
        "covers": sorted({*ENVELOPE, *_covers(route, status, code)}),
        "transports": ["http" if before else "raw-http"],
    }
    if settings:
        case["server"] = {"settings": settings}
    if code in TIMED:
        case["time"] = True
    return {**case, "steps": [*before, *steps]}


def _covers(route: Route, status: int, code: str) -> list[str]:
    if code == "VALIDATION_ERROR":
        query = [] if route.has_body else ["JW-HTTP-11"]
        return [*query, "JW-ERR-5" if status == 422 else "JW-ERR-6"]
    if code == "DUPLICATE_KEY":
        return ["JW-RETRY-5" if route.command == "retry" else "JW-UNIQ-2"]
    return COVERS.get(code, [])


def _steps(
    route: Route, status: int, code: str, number: int
) -> tuple[Steps, dict[str, Any], Steps]:
    """Steps before, settings of the server, and the steps that meet the code."""
    setup = setups.of(route.command, code) if code not in _WRITERS else None
    if setup is not None and (code, status) != ("VALIDATION_ERROR", 422):
        more = _retry_after() if code == "QUEUE_FULL" else {}
        step = request(route, setup.fields)
        return (
            list(setup.steps),
            setup.settings,
            in_both_types(step, status, code, setup.details, **more),
        )
    if code in setups.FAULTS:
        return [], {}, _faulty(route, status, code)
    settings = SETTINGS.get(code, {})
    return [], settings, _WRITERS[code](route, status, number)


def _retry_after() -> dict[str, Any]:
    return {"headers": {"Retry-After": {"re": "^[0-9]+$"}}}


def _faulty(route: Route, status: int, code: str) -> Steps:
    """A fault for each of the two requests, so that none is left over."""
    steps: Steps = []
    for asked in in_both_types(request(route, {}), status, code):
        steps += [
            {"fault": {"op": route.command, "times": 1, "action": "error", "code": code}},
            asked,
        ]
    return steps


# --- one writer a code ---------------------------------------------------------------------------------------------


def _bad_request(route: Route, status: int, number: int) -> Steps:
    """Bytes in path or query that are not UTF-8; a version of HTTP that has no such operation, where neither is looked at."""
    if "{" in route.path:
        path = path_of(route, {}).replace("{{queue}}", "%ff").replace("{{uuid:J}}", "%ff")
        return in_both_types(request(route, {}, path=path), status, "BAD_REQUEST", closes=True)
    return in_both_types({"raw": raw(route, {}, version="2.0")}, status, "BAD_REQUEST", closes=True)


def _parse_error(route: Route, status: int, number: int) -> Steps:
    step = request(route, {}, text='{"a":1,"a":2}', headers={"Content-Type": "application/json"})
    return in_both_types(step, status, "PARSE_ERROR")


def _validation(route: Route, status: int, number: int) -> Steps:
    if status == 422:
        return in_both_types(
            request(route, {"nonsense": 1}), status, "VALIDATION_ERROR", {"pointer": "/nonsense"}
        )
    if (
        route.command not in setups.BROKEN
    ):  # an operation without fields: too many of what it does not have
        step = request(route, {}, path=f"{route.path}?{MANY_QUERY_FIELDS}")
        return in_both_types(step, status, "VALIDATION_ERROR", {"pointer": ""})
    fields, pointer = setups.BROKEN[route.command]
    return in_both_types(request(route, fields), status, "VALIDATION_ERROR", {"pointer": pointer})


def _unauthorized(route: Route, status: int, number: int) -> Steps:
    header = {"headers": {"WWW-Authenticate": {"re": "^Bearer"}}}
    own = {"X-Forwarded-For": f"192.0.2.{number}"}
    wrong = own | {"Authorization": f"Bearer {TOKEN.upper()}"}
    without, refused = (
        in_both_types(request(route, {}, headers=sent), status, "UNAUTHORIZED", **header)
        for sent in (own, wrong)
    )
    return [*without, *refused]


def _rate_limited(route: Route, status: int, number: int) -> Steps:
    """After five wrong tokens the right one is refused as well; each operation asks from an address of its own."""
    sent = {"X-Forwarded-For": f"198.51.100.{number}"}
    wrong = request(route, {}, headers={**sent, "Authorization": "Bearer wrong"})
    right = request(route, {}, headers={**sent, "Authorization": f"Bearer {TOKEN}"})
    guess = {"http": wrong, "expect": {"status": 401, "body": {"$.error.code": "UNAUTHORIZED"}}}
    return [
        *[guess] * WRONG_TOKENS,
        *in_both_types(right, status, "RATE_LIMITED", **_retry_after()),
    ]


def _origin_refused(route: Route, status: int, number: int) -> Steps:
    step = request(route, {}, headers={"Origin": "https://evil.example"})
    return in_both_types(step, status, "ORIGIN_REFUSED", {"origin": "https://evil.example"})


def _no_route(route: Route, status: int, number: int) -> Steps:
    path = path_of(route, {}) + "/"
    return in_both_types(
        request(route, {}, path=path), status, "ROUTE_NOT_FOUND", {"path": PREFIX + path}
    )


def _no_method(route: Route, status: int, number: int) -> Steps:
    header = {
        "headers": {
            "Allow": {
                "re": "".join(rf"(?=.*\b{verb}\b)" for verb in route.methods) + r"(?!.*\bPUT\b)"
            }
        }
    }
    step = {"method": "PUT", "path": path_of(route, {})}
    return in_both_types(
        step, status, "METHOD_NOT_ALLOWED", {"allow": {"contains": route.method}}, **header
    )


def _timeout(route: Route, status: int, number: int) -> Steps:
    sent = raw(route, {}, "Content-Type: application/json", "Content-Length: 10", body='{"a"')
    return in_both_types(
        {"raw": sent, "advance": DEADLINE},
        status,
        "REQUEST_TIMEOUT",
        {"limit": READ_TIMEOUT_MS},
        closes=True,
    )


def _too_large(route: Route, status: int, number: int) -> Steps:
    size = limit("line_bytes")
    sent = raw(route, {}, "Content-Type: application/json", f"Content-Length: {size + 1}")
    step = {"raw": sent, "advance": DEADLINE}
    return in_both_types(step, status, "PAYLOAD_TOO_LARGE", {"limit": size}, closes=True)


def _media_type(route: Route, status: int, number: int) -> Steps:
    text = request(route, {}, text="{}", headers={"Content-Type": "text/plain"})
    packed = request(
        route,
        {},
        text="{}",
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    return [
        step
        for asked in (text, packed)
        for step in in_both_types(asked, status, "UNSUPPORTED_MEDIA_TYPE")
    ]


_WRITERS: Final[dict[str, Callable[[Route, int, int], Steps]]] = {
    "BAD_REQUEST": _bad_request,
    "PARSE_ERROR": _parse_error,
    "VALIDATION_ERROR": _validation,
    "UNAUTHORIZED": _unauthorized,
    "RATE_LIMITED": _rate_limited,
    "ORIGIN_REFUSED": _origin_refused,
    "ROUTE_NOT_FOUND": _no_route,
    "METHOD_NOT_ALLOWED": _no_method,
    "REQUEST_TIMEOUT": _timeout,
    "PAYLOAD_TOO_LARGE": _too_large,
    "UNSUPPORTED_MEDIA_TYPE": _media_type,
}
