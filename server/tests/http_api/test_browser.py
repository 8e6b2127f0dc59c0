"""Web pages are kept out: CORS, cross-site requests, DNS rebinding. Programs never notice."""

from __future__ import annotations

import pytest
from tests.http_api.conftest import Serve, Served
from tests.http_api.route_requests import body_of, path_of

from jobwire_server.http_api.app import ROUTES
from jobwire_server.http_api.browser import Asked, BrowserGuard
from jobwire_server.http_api.routing import Route
from jobwire_server.wire.commands import COMMANDS

EVIL = {"Origin": "https://evil.example"}
PROTECTED = [route for route in ROUTES if COMMANDS[route.command].auth]
PUBLIC = [route for route in ROUTES if not COMMANDS[route.command].auth]
CHANGING = [r for r in PROTECTED if r.method != "GET" or r.command == "pull"]
READING = [r for r in PROTECTED if r not in CHANGING]


def _refuses(guard: BrowserGuard, **asked: object) -> bool:
    defaults = {
        "hosts": ("localhost:6790",),
        "origin": None,
        "fetch_site": None,
        "changes_state": True,
        "any_host": False,
    }
    return guard.refusal(Asked(**{**defaults, **asked})) is not None  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def guard() -> BrowserGuard:
    return BrowserGuard(
        bound_host="0.0.0.0",
        allowed_hosts=["Jobs.Example.com"],
        allowed_origins=["https://admin.example.com", "http://localhost:3000"],
    )


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("localhost:6790", True),
        ("LOCALHOST:80", True),
        ("app.localhost", True),
        ("127.0.0.1:6790", True),
        ("192.168.1.7", True),
        ("[::1]:6790", True),
        ("jobs.example.com", True),
        ("JOBS.example.com:8443", True),
        ("evil.example", False),
        ("evil.example:6790", False),
        ("localhost.evil.example", False),
        ("jobs.example.com.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("notlocalhost", False),
        ("user@localhost", False),
        ("localhost, evil.example", False),
        ("localhost/evil", False),
        ("0.0.0.0", True),
        ("", False),
        ("[]", False),
        ("[evil]", False),
        ("localhost:port", False),
    ],
)
def test_which_hosts_are_known(guard: BrowserGuard, host: str, known: bool) -> None:
    assert _refuses(guard, hosts=(host,)) is not known


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        ("https://admin.example.com", "localhost", True),
        ("HTTPS://ADMIN.example.com", "localhost", True),
        ("http://localhost:3000", "localhost:6790", True),
        ("http://localhost:6790", "localhost:6790", True),
        ("http://LOCALHOST:6790", "localhost:6790", True),
        ("https://jobs.example.com", "jobs.example.com", True),
        ("https://jobs.example.com", "jobs.example.com:443", True),
        ("http://jobs.example.com:80", "jobs.example.com", True),
        ("http://[::1]:6790", "[::1]:6790", True),
        ("http://localhost:3001", "localhost:6790", False),
        ("https://evil.example", "localhost:6790", False),
        ("http://admin.example.com", "localhost", False),
        ("https://admin.example.com:8443", "localhost", False),
        ("https://admin.example.com.evil.example", "localhost", False),
        ("null", "localhost", False),
        ("", "localhost", False),
        ("file://", "localhost", False),
        ("http://localhost:6790@evil.example", "localhost:6790", False),
        ("http://evil.example", "evil.example", False),
    ],
)
def test_which_origins_are_welcome(
    guard: BrowserGuard, origin: str, host: str, welcome: bool
) -> None:
    assert _refuses(guard, origin=origin, hosts=(host,)) is not welcome


@pytest.mark.parametrize(
    ("site", "changes_state", "refused"),
    [
        ("cross-site", True, True),
        ("same-site", True, True),
        ("something-new", True, True),
        ("same-origin", True, False),
        ("none", True, False),
        (None, True, False),
        ("cross-site", False, False),
    ],
)
def test_what_sec_fetch_site_says(
    guard: BrowserGuard, site: str | None, changes_state: bool, refused: bool
) -> None:
    assert _refuses(guard, fetch_site=site, changes_state=changes_state) is refused


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_foreign_origin_is_refused_everywhere(served: Served, route: Route) -> None:
    answer = await served.ask(route.method, path_of(route), body_of(route), headers=EVIL)

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    assert answer.json["error"]["details"] == {"origin": "https://evil.example"}
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert served.operations.calls == []


@pytest.mark.parametrize("route", PROTECTED, ids=str)
async def test_without_tokens_an_unknown_host_is_refused_for_whatever_may_need_one(
    served: Served, route: Route
) -> None:
    answer = await served.ask(
        route.method, path_of(route), body_of(route), host="rebound.example:6790"
    )

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    assert answer.json["error"]["details"] == {"host": "rebound.example:6790"}
    assert served.operations.calls == []


async def test_with_tokens_any_name_of_the_server_will_do(serve: Serve) -> None:
    served = await serve(tokens=("s3cret",))

    answer = await served.ask(
        "GET", "/queues", host="jobwire:6790", headers={"Authorization": "Bearer s3cret"}
    )

    assert answer.status == 200


@pytest.mark.parametrize("route", PUBLIC, ids=str)
async def test_an_unknown_host_may_ask_for_what_any_host(served: Served, route: Route) -> None:
    answer = await served.ask(route.method, path_of(route), host="probe.internal")

    assert answer.status == 200


@pytest.mark.parametrize("route", CHANGING, ids=str)
async def test_a_cross_site_request_without_an_origin_changes_nothing(
    served: Served, route: Route
) -> None:
    answer = await served.ask(
        route.method, path_of(route), body_of(route), headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    assert served.operations.calls == []


@pytest.mark.parametrize("route", READING, ids=str)
async def test_a_link_from_another_site_may_read(served: Served, route: Route) -> None:
    answer = await served.ask(
        route.method, path_of(route), headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status == 200


async def test_both_names_of_an_absolute_target_have_to_be_known(served: Served) -> None:
    target = "http://rebound.example/api/v1/queues"

    answer = await served.send(request_line(target, "localhost"))
    known = await served.send(request_line("http://localhost/api/v1/queues", "localhost"))

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    assert known.status == 200


async def test_a_client_without_a_host_is_no_browser(served: Served) -> None:
    async with await served.open() as client:
        client.write(b"GET /api/v1/queues HTTP/1.0\r\n\r\n")
        answer = await client.answer()

    assert answer.status == 200


async def test_pages_of_an_allowed_origin_get_cors_headers(serve: Serve) -> None:
    served = await serve(allowed_origins=("https://admin.example.com",))
    headers = {"Origin": "https://admin.example.com", "X-Request-Id": "r"}

    preflight = await served.ask("OPTIONS", "/queues/emails/jobs", headers=headers)
    answer = await served.ask("GET", "/queues", headers=headers)
    error = await served.ask("GET", "/nowhere", headers=headers)
    other = await served.ask("GET", "/queues")
    evil = await served.ask("OPTIONS", "/queues/emails/jobs", headers=EVIL)

    for allowed in (preflight, answer, error):
        assert allowed.headers["access-control-allow-origin"] == "https://admin.example.com"
        assert allowed.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in allowed.headers
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "GET, OPTIONS, POST"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "Origin"
    assert evil.status == 403
    assert "access-control-allow-origin" not in evil.headers


def request_line(target: str, host: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
