"""One shape for every error, whoever raised it."""

from __future__ import annotations

import pytest
from tests.http_api.conftest import Serve, Served
from tests.http_api.route_requests import PAGES, body_of, path_of

from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.errors import JobwireError
from jobwire_server.http_api.answers import prefers_problem
from jobwire_server.http_api.app import ROUTES
from jobwire_server.http_api.routing import Route

HTTP_CODES = sorted(code for code, info in ERROR_CODES.items() if "http" in info.doors)
WITH_BODY = [route for route in ROUTES if route.method in ("POST", "PATCH")]

# What can be wrong with any request, as (headers, body, code).
BAD_BODIES: list[tuple[dict[str, str], bytes, str]] = [
    ({}, b"{", "PARSE_ERROR"),
    ({}, b"\xff", "PARSE_ERROR"),
    ({}, b'{"a":1,"a":2}', "PARSE_ERROR"),
    ({}, b"NaN", "PARSE_ERROR"),
    ({}, b"[" * 100_000, "PARSE_ERROR"),
    ({}, b'"text"', "VALIDATION_ERROR"),
    ({}, b'{"colour":"red"}', "VALIDATION_ERROR"),
    ({"Content-Type": "text/plain"}, b"{}", "UNSUPPORTED_MEDIA_TYPE"),
    ({"Content-Encoding": "gzip"}, b"{}", "UNSUPPORTED_MEDIA_TYPE"),
    ({"Content-Length": "4194305"}, b"{}", "PAYLOAD_TOO_LARGE"),
]


@pytest.mark.parametrize("code", HTTP_CODES)
async def test_an_error_of_the_operations_has_the_status_of_the_catalogue(
    served: Served, code: str
) -> None:
    details = {"limit": 1, "allow": ["GET"]}
    served.operations.answers["queues"] = JobwireError(code, "why", details, retry_after_ms=1001)

    answer = await served.ask("GET", "/queues")

    assert (answer.status, answer.code) == (ERROR_CODES[code].status, code)
    assert answer.headers["retry-after"] == "2"
    assert answer.json["error"] == {
        "code": code,
        "message": "why",
        "details": details,
        "retryable": ERROR_CODES[code].retryable,
        "retry_after_ms": 1001,
    }


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
async def test_every_route_refuses_a_bad_body_in_the_one_shape(
    served: Served, route: Route
) -> None:
    path = path_of(route)
    for headers, body, code in BAD_BODIES:
        answer = await served.ask(route.method, path, body, headers=headers)
        assert (answer.code, answer.status) == (code, answer.status), (headers, body[:20], answer)
        assert answer.status in ERROR_CODES[code].statuses
    assert served.operations.calls == []


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_every_route_answers_405_and_401_in_the_one_shape(serve: Serve, route: Route) -> None:
    served = await serve(tokens=("secret",))
    path = path_of(route)
    token = {"Authorization": "Bearer secret"}

    wrong_method = await served.ask("PUT", path, headers=token)
    no_token = await served.ask("PUT", path)

    assert (wrong_method.status, wrong_method.code) == (405, "METHOD_NOT_ALLOWED")
    assert (no_token.status, no_token.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("route", [r for r in ROUTES if r.command not in PAGES], ids=str)
async def test_a_bug_is_an_internal_error_with_a_request_id_and_no_trace(
    served: Served, route: Route
) -> None:
    served.operations.answers[route.command] = RuntimeError("the password is hunter2")

    answer = await served.ask(
        route.method,
        path_of(route),
        body_of(route),
        headers={"X-Request-Id": "trace-7"},
    )

    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert "trace-7" in answer.json["error"]["message"]
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body
    [entry] = [line for line in served.log.entries if line["event"] == "http.failed"]
    assert entry["request_id"] == "trace-7"
    assert entry["exc_info"]


async def test_a_problem_is_sent_to_who_asks_for_one(served: Served) -> None:
    answer = await served.ask(
        "GET", "/nowhere", headers={"Accept": "application/problem+json, application/json"}
    )

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    assert (body["status"], body["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("application/problem+json", True),
        ("Application/Problem+JSON;q=0.5", True),
        ("application/json, application/problem+json", True),
        ("application/json;q=0.9, application/problem+json;q=0.8", False),
        ("application/json;q=0.8, application/problem+json;q=0.9", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=high", False),
        (",;q=,;;,", False),
    ],
)
def test_which_accept_headers_ask_for_a_problem(accept: str | None, expected: bool) -> None:
    assert prefers_problem(accept) is expected


@pytest.mark.parametrize("given", ["a", "0af7651916cd43dd8448eb211c80319c", "a.b_c:d-e", "x" * 128])
async def test_a_request_id_is_echoed(served: Served, given: str) -> None:
    answer = await served.ask("GET", "/queues", headers={"X-Request-Id": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\x1b[31m", "ü"])
async def test_a_request_id_that_could_harm_a_log_is_replaced(served: Served, given: str) -> None:
    answer = await served.ask("GET", "/queues", headers={"X-Request-Id": given})

    # A control character is refused by the parser already; the id is new there too.
    assert answer.status in (200, 400)
    made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 36


async def test_requests_are_counted_by_method_and_class(served: Served) -> None:
    await served.ask("GET", "/queues")
    await served.ask("BREW", "/queues")
    await served.ask("GET", "/nowhere")

    text = served.metrics.render().decode()
    for labels in (
        'method="GET",status_class="2xx"',
        'method="GET",status_class="4xx"',
        'method="OTHER",status_class="4xx"',
    ):
        assert f"rustqueue_http_requests_total{{{labels}}} 1.0" in text
