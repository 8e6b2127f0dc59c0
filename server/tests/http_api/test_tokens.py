"""Tokens over HTTP. The gate itself is tested in tests/test_auth.py."""

from __future__ import annotations

import hmac

import pytest
from tests.http_api.conftest import Serve, Served
from tests.http_api.raw_http import Answer
from tests.http_api.route_requests import body_of, path_of

from jobwire_server.auth import FAILURES, LOCKED_MS
from jobwire_server.http_api.app import ROUTES
from jobwire_server.http_api.routing import Route
from jobwire_server.wire.commands import COMMANDS

GOOD = {"Authorization": "Bearer s3cret"}
BAD = {"Authorization": "Bearer guess"}


@pytest.fixture
async def closed(serve: Serve) -> Served:
    """A door that wants a token."""
    return await serve(tokens=("other", "s3cret"))


async def _guess(served: Served, times: int, **headers: str) -> Answer:
    for _ in range(times - 1):
        await served.ask("GET", "/queues", headers={**BAD, **headers})
    return await served.ask("GET", "/queues", headers={**BAD, **headers})


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_what_needs_a_token_is_what_the_spec_says(closed: Served, route: Route) -> None:
    needs_token = COMMANDS[route.command].auth

    without = await closed.ask(route.method, path_of(route), body_of(route))
    with_it = await closed.ask(route.method, path_of(route), body_of(route), headers=GOOD)

    assert with_it.status == 200
    if needs_token:
        assert (without.status, without.code) == (401, "UNAUTHORIZED")
        assert without.headers["www-authenticate"] == 'Bearer realm="jobwire"'
    else:
        assert without.status == 200


@pytest.mark.parametrize("path", ["/nowhere", "/", "/jobs/a/b/c"])
async def test_an_unknown_path_wants_a_token_too(closed: Served, path: str) -> None:
    assert (await closed.ask("GET", path)).code == "UNAUTHORIZED"
    assert (await closed.ask("GET", path, headers=GOOD)).code == "ROUTE_NOT_FOUND"


async def test_the_token_is_checked_before_the_body(closed: Served) -> None:
    answer = await closed.ask("POST", "/queues/emails/jobs", b"{", headers=BAD)

    assert answer.code == "UNAUTHORIZED"


async def test_the_token_is_checked_before_the_browser_s_headers(closed: Served) -> None:
    headers = {"Origin": "https://evil.example"}

    without = await closed.ask("GET", "/queues", headers=headers)
    with_it = await closed.ask("GET", "/queues", headers={**GOOD, **headers})

    assert (without.code, with_it.code) == ("UNAUTHORIZED", "ORIGIN_REFUSED")


async def test_a_preflight_needs_no_token(closed: Served) -> None:
    assert (await closed.ask("OPTIONS", "/queues/emails/jobs")).status == 204


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Missing Authorization header"),
        ("Basic czNjcmV0", "Authorization header must use Bearer scheme"),
        ("s3cret", "Authorization header must use Bearer scheme"),
        ("Bearers3cret", "Authorization header must use Bearer scheme"),
        ("Bearer", "Missing bearer token"),
        ("Bearer ", "Missing bearer token"),
        ("Bearer guess", "Invalid bearer token"),
        ("Bearer S3CRET", "Invalid bearer token"),
        ("Bearer s3cre", "Invalid bearer token"),
        ("Bearer s3cret s3cret", "Invalid bearer token"),
        ("Bearer s\u00e9cret", "Invalid bearer token"),
        ("Bearer \udcff", "Invalid bearer token"),
    ],
)
async def test_the_message_says_what_is_wrong_with_the_header(
    closed: Served, header: str | None, message: str
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = await closed.ask("GET", "/queues", headers=headers)

    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.json["error"]["message"] == message


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_scheme_may_be_lower_case(closed: Served, scheme: str) -> None:
    answer = await closed.ask("GET", "/queues", headers={"Authorization": f"{scheme} s3cret"})

    assert answer.status == 200


async def test_an_address_that_guesses_is_locked_out(closed: Served) -> None:
    fifth = await _guess(closed, FAILURES)
    sixth = await closed.ask("GET", "/queues", headers=BAD)
    right = await closed.ask("GET", "/queues", headers=GOOD)
    closed.clock.advance(LOCKED_MS)
    later = await closed.ask("GET", "/queues", headers=GOOD)

    assert fifth.code == "UNAUTHORIZED"
    assert (sixth.status, sixth.code, sixth.headers["retry-after"]) == (429, "RATE_LIMITED", "300")
    assert right.code == "RATE_LIMITED"
    assert later.status == 200


async def test_what_is_public_stays_so_for_a_locked_address(closed: Served) -> None:
    await _guess(closed, FAILURES + 1)

    assert (await closed.ask("GET", "/health", headers=BAD)).status == 200


async def test_a_forged_x_forwarded_for_neither_escapes_nor_frames_anyone(closed: Served) -> None:
    for n in range(FAILURES):
        await _guess(closed, 1, **{"X-Forwarded-For": f"203.0.113.{n}"})

    escaped = await _guess(closed, 1, **{"X-Forwarded-For": "203.0.113.99"})

    assert escaped.code == "RATE_LIMITED"


async def test_behind_a_trusted_proxy_each_client_counts_for_itself(serve: Serve) -> None:
    served = await serve(tokens=("s3cret",), trusted_proxies=("127.0.0.0/8",))

    await _guess(served, FAILURES, **{"X-Forwarded-For": "198.51.100.9, 203.0.113.1"})
    same = await _guess(served, 1, **{"X-Forwarded-For": "203.0.113.1"})
    other = await served.ask("GET", "/queues", headers={**GOOD, "X-Forwarded-For": "203.0.113.2"})

    assert same.code == "RATE_LIMITED"
    assert other.status == 200
    assert served.operations.calls[0][2].peer == "203.0.113.2"


async def test_a_token_is_compared_in_constant_time_with_every_token(
    closed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)

    await closed.ask("GET", "/queues", headers={"Authorization": "Bearer other"})
    await closed.ask("GET", "/queues", headers=BAD)

    assert compared == [(32, 32)] * 4


async def test_refusals_are_logged_without_the_token(closed: Served) -> None:
    await closed.ask("GET", "/queues", headers={**BAD, "X-Request-Id": "r-1"})

    [entry] = [line for line in closed.log.entries if line["event"] == "http.refused"]
    assert entry == {
        "event": "http.refused",
        "log_level": "info",
        "code": "UNAUTHORIZED",
        "peer": "127.0.0.1",
        "request_id": "r-1",
    }
    assert "guess" not in str(closed.log.entries)
