"""The route table: it is the spec's, and every row reaches its command with its fields."""

from __future__ import annotations

import pytest
from tests.http_api.conftest import Served
from tests.http_api.route_requests import JOB, PAGES, body_of, path_of

from jobwire_server.http_api.app import PREFIX, ROUTES
from jobwire_server.http_api.routing import Route, Router
from jobwire_server.wire import answers
from jobwire_server.wire.commands import COMMANDS


def test_the_table_has_the_routes_of_the_spec_and_no_other() -> None:
    expected = {(row, name) for name, info in COMMANDS.items() for row in info.http}

    table = {
        (f"{route.method} {route.path.removeprefix(PREFIX)}", route.command) for route in ROUTES
    }

    assert expected == table


def test_a_query_field_of_the_table_is_a_field_of_its_command() -> None:
    for route in ROUTES:
        assert route.query <= set(COMMANDS[route.command].fields), route


@pytest.mark.parametrize("route", [r for r in ROUTES if r.command not in PAGES], ids=str)
async def test_every_route_runs_its_command(served: Served, route: Route) -> None:
    answer = await served.ask(route.method, path_of(route), body_of(route))

    assert answer.status == 200, answer
    assert answer.json == {"ok": True}
    assert answer.headers["cache-control"] == "no-store"
    [(name, request, caller)] = served.operations.calls
    assert name == route.command
    assert (caller.door, caller.peer) == ("http", "127.0.0.1")
    if "{queue}" in route.path:
        assert request.queue == "emails"
    if "{id}" in route.path:
        assert request.id == JOB


async def test_an_array_as_the_body_of_a_push_is_a_batch(served: Served) -> None:
    served.operations.answers["push_batch"] = answers.PushedBatch(ids=[JOB], outcomes=["created"])

    answer = await served.ask("POST", "/queues/emails/jobs", b'[{"name":"welcome"}]')

    assert (answer.status, answer.json["ids"]) == (201, [JOB])
    assert served.operations.names == ["push_batch"]


@pytest.mark.parametrize(
    ("outcome", "status"), [("created", 201), ("replaced", 201), ("existing", 200)]
)
async def test_a_push_answers_201_when_it_made_a_job(
    served: Served, outcome: str, status: int
) -> None:
    served.operations.answers["push"] = answers.Pushed(id=JOB, outcome=outcome)

    answer = await served.ask("POST", "/queues/emails/jobs", b'{"name":"welcome"}')

    assert (answer.status, answer.json) == (status, {"ok": True, "id": JOB, "outcome": outcome})


@pytest.mark.parametrize(
    ("path", "queue"),
    [
        ("a%2Fb", "a/b"),
        ("%C3%A9t%C3%A9", "été"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("%65mails", "emails"),
    ],
)
async def test_a_path_parameter_is_percent_decoded_once(
    served: Served, path: str, queue: str
) -> None:
    answer = await served.ask("GET", f"/queues/{path}/stats")

    assert answer.status == 200, answer
    assert served.operations.calls[0][1].queue == queue


@pytest.mark.parametrize(
    "path",
    ["/queues/%ff/stats", "/queues/%ED%A0%80/stats", "/queues/\udcff/stats", "/jobs?name=%ff"],
)
async def test_a_path_or_query_that_is_not_utf8_is_a_bad_request(served: Served, path: str) -> None:
    answer = await served.ask("GET", path)

    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert served.operations.calls == []


async def test_query_fields_reach_the_command(served: Served) -> None:
    await served.ask("GET", "/jobs?queue=emails&state=waiting,dlq&limit=7&tag=a%2Cb")
    await served.ask("GET", "/queues/emails/jobs?count=3")
    await served.ask("GET", "/queues/emails/dlq?limit=0&cursor=abc")

    (_, find, _), (_, pull, _), (_, dlq, _) = served.operations.calls
    assert (find.queue, find.state, find.limit, find.tag) == (
        "emails",
        ["waiting", "dlq"],
        7,
        "a,b",
    )
    assert (pull.queue, pull.count) == ("emails", 3)
    assert (dlq.limit, dlq.cursor) == (0, "abc")


@pytest.mark.parametrize(
    ("path", "status", "pointer"),
    [
        ("/queues/emails/jobs?count=x", 400, "/count"),
        ("/queues/emails/jobs?count=-1", 400, "/count"),
        ("/queues/emails/jobs?count=1&count=2", 400, "/count"),
        ("/queues/emails/jobs?wait_ms=5", 422, "/wait_ms"),
        ("/queues/emails/stats?queue=other", 422, "/queue"),
        ("/jobs?colour=red", 422, "/colour"),
        ("/jobs?cmd=find", 422, "/cmd"),
        ("/jobs?" + "&".join(f"f{n}=1" for n in range(40)), 400, ""),
    ],
)
async def test_a_bad_query_is_refused_by_name(
    served: Served, path: str, status: int, pointer: str
) -> None:
    answer = await served.ask("GET", path)

    assert (answer.status, answer.code) == (status, "VALIDATION_ERROR")
    assert answer.json["error"]["details"]["pointer"] == pointer


async def test_a_query_on_a_route_with_a_body_is_refused(served: Served) -> None:
    answer = await served.ask("POST", "/queues/emails/jobs?name=x", b'{"name":"welcome"}')

    assert (answer.status, answer.code) == (422, "VALIDATION_ERROR")
    assert served.operations.calls == []


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/jobs/", "/api/v1//jobs", "/api/v1/queues//stats",
             "/api/v1/../v1/jobs", "/api/v1/jobs/a/b/c", "/api/v2/jobs", "/API/V1/jobs", "/api/v1/jobs%2F"],
)  # fmt: skip
async def test_an_unknown_path_is_route_not_found(served: Served, path: str) -> None:
    answer = await served.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert (answer.status, answer.code) == (404, "ROUTE_NOT_FOUND")
    assert answer.json["error"]["details"] == {"path": path}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/queues/emails/jobs", "GET, OPTIONS, POST"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
        ("GET", "/jobs/ack", "OPTIONS, POST"),
        ("POST", f"/jobs/{JOB}", "DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_method_that_a_path_lacks_is_not_allowed(
    served: Served, method: str, path: str, allow: str
) -> None:
    answer = await served.ask(method, path)

    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allow
    assert answer.json["error"]["details"] == {"allow": allow.split(", ")}


async def test_head_is_get_without_the_body(served: Served) -> None:
    async with await served.open() as client:
        client.write(
            b"HEAD /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length: 11" in head
    assert body == b""


async def test_head_on_the_legacy_pull_takes_no_job(served: Served) -> None:
    async with await served.open() as client:
        client.write(
            b"HEAD /api/v1/queues/emails/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        answer = await client.rest()

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert served.operations.calls == []


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/v1/queues/emails/jobs", "GET, OPTIONS, POST"),
        ("/api/v1/health", "GET, HEAD, OPTIONS"),
        ("*", "DELETE, GET, HEAD, OPTIONS, PATCH, POST"),
    ],
)
async def test_options_lists_the_methods_and_nothing_for_browsers(
    served: Served, path: str, allow: str
) -> None:
    answer = await served.send(f"OPTIONS {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert (answer.status, answer.headers["allow"], answer.body) == (204, allow, b"")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_two_routes_for_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes for GET /a/"):
        Router([Route("GET", "/a/{x}", "get"), Route("GET", "/a/{x}", "find")])
    with pytest.raises(ValueError, match="two names for one parameter: x and y"):
        Router([Route("GET", "/a/{x}", "get"), Route("GET", "/a/{y}/b", "find")])
