"""Bodies: what is read, what is refused before it is read, and when waiting for it ends."""

from __future__ import annotations

import gzip

import pytest
from tests.http_api.conftest import Serve, Served
from tests.http_api.raw_http import request
from tests.http_api.route_requests import JOB

from jobwire_server.http_api.bodies import BODY_BYTES, is_json
from jobwire_server.wire.answers import Done

PUSH = "/api/v1/queues/emails/jobs"
ACK = f"/jobs/{JOB}/ack"
SMALL = b'{"name":"welcome"}'


def _chunked(method: str, path: str, **headers: str) -> bytes:
    """The head of a request whose body comes in chunks."""
    given = {"Content-Type": "application/json", "Transfer-Encoding": "chunked", **headers}
    return request(method, path, headers=given)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("ack", ACK),
        ("heartbeat", f"/jobs/{JOB}/heartbeat"),
        ("release", f"/jobs/{JOB}/release"),
        ("cancel", f"/jobs/{JOB}/cancel"),
        ("retry", f"/jobs/{JOB}/retry"),
        ("promote", f"/jobs/{JOB}/promote"),
        ("queue_pause", "/queues/emails/pause"),
        ("queue_resume", "/queues/emails/resume"),
        ("pull", "/queues/emails/pull"),
        ("heartbeat_batch", "/jobs/heartbeat"),
        ("dlq_retry", "/queues/emails/dlq/retry"),
    ],
)
@pytest.mark.parametrize("body", [None, b"", b" \r\n", b"{}"])
async def test_an_empty_body_is_an_object_without_fields(
    served: Served, command: str, path: str, body: bytes | None
) -> None:
    answer = await served.ask("POST", path, body)

    assert (answer.status, answer.json) == (200, {"ok": True})
    assert served.operations.names == [command]


async def test_an_empty_body_of_any_type_is_no_body(served: Served) -> None:
    answer = await served.ask(
        "POST", ACK, b"", headers={"Content-Type": "text/plain", "Content-Length": "0"}
    )

    assert answer.status == 200


@pytest.mark.parametrize("path", [PUSH, "/api/v1/jobs/fail", f"/api/v1/jobs/{JOB}/progress"])
async def test_an_empty_body_lacks_the_required_fields(served: Served, path: str) -> None:
    answer = await served.send(request("POST", path, b""))

    assert (answer.status, answer.code) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; Charset=UTF-8", True),
        ('application/json; charset="utf-8"', True),
        ("application/vnd.api+json", True),
        ("application/json; charset=latin-1", False),
        ("application/+json", False),
        ("application/jsonp", False),
        ("text/json", False),
        ("text/plain", False),
        ("multipart/form-data; boundary=x", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
        (";", False),
    ],
)
async def test_a_body_has_to_be_declared_as_json(
    served: Served, content_type: str, expected: bool
) -> None:
    answer = await served.send(request("POST", PUSH, SMALL, headers={"Content-Type": content_type}))

    assert is_json(content_type) is expected
    if expected:
        assert answer.status == 200
    else:
        assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_an_ack_with_a_body_of_another_type_is_refused(served: Served) -> None:
    answer = await served.ask("POST", ACK, b"{}", headers={"Content-Type": "text/plain"})

    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert served.operations.calls == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
async def test_a_compressed_body_is_refused_unread(served: Served, encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))

    answer = await served.send(request("POST", PUSH, bomb, headers={"Content-Encoding": encoding}))

    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_at_the_limit_is_accepted(served: Served) -> None:
    body = SMALL + b" " * (BODY_BYTES - len(SMALL))

    answer = await served.send(request("POST", PUSH, body))

    assert (answer.status, answer.json) == (200, {"ok": True})


async def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(served: Served) -> None:
    async with await served.open() as client:
        answer = await client.ask(
            request("POST", PUSH, headers={
                "Content-Type": "application/json", "Content-Length": str(BODY_BYTES + 1),
            })
        )  # fmt: skip

    assert (answer.status, answer.code, answer.closes) == (413, "PAYLOAD_TOO_LARGE", True)
    assert answer.json["error"]["details"] == {"limit": BODY_BYTES}


async def test_a_chunked_body_over_the_limit_is_cut_there(served: Served) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"

    async with await served.open() as client:
        await client.send(_chunked("POST", PUSH) + SMALL.join([b"12\r\n", b"\r\n"]))
        for _ in range(4):
            await client.send(chunk)
        answer = await client.answer()

    assert (answer.status, answer.code, answer.closes) == (413, "PAYLOAD_TOO_LARGE", True)
    assert served.operations.calls == []


async def test_a_body_in_many_tiny_chunks_is_read(served: Served) -> None:
    spaces = 20_000

    async with await served.open() as client:
        client.write(_chunked("POST", PUSH) + b"12\r\n" + SMALL + b"\r\n")
        client.write(b"1\r\n \r\n" * spaces + b"0\r\n\r\n")
        answer = await client.answer()

    assert (answer.status, answer.json) == (200, {"ok": True})


async def test_a_body_that_drips_is_cut_at_its_deadline(serve: Serve) -> None:
    served = await serve(server={"read_timeout_ms": 200})

    async with await served.open() as client:
        client.write(request("POST", PUSH, headers={
            "Content-Type": "application/json", "Content-Length": "100",
        }) + SMALL)  # fmt: skip
        answer = await client.answer()
        rest = await client.rest()

    assert (answer.status, answer.code, answer.closes) == (408, "REQUEST_TIMEOUT", True)
    assert answer.json["error"]["details"] == {"limit": 200}
    assert rest == b""
    assert served.operations.calls == []


async def test_a_client_that_waits_for_100_continue_gets_it(served: Served) -> None:
    head = request("POST", PUSH, headers={
        "Content-Type": "application/json",
        "Content-Length": str(len(SMALL)),
        "Expect": "100-continue",
    })  # fmt: skip

    async with await served.open() as client:
        interim = await client.ask(head)
        final = await client.ask(SMALL)

    assert (interim.status, interim.body) == (100, b"")
    assert (final.status, final.json) == (200, {"ok": True})


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Length": str(BODY_BYTES + 1)}, 413, "PAYLOAD_TOO_LARGE"),
        ({"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Origin": "https://evil.example"}, 403, "ORIGIN_REFUSED"),
        ({"Expect": "200-ok"}, 400, "BAD_REQUEST"),
    ],
)
async def test_a_client_that_waits_for_100_continue_learns_of_a_refusal(
    served: Served, headers: dict[str, str], status: int, code: str
) -> None:
    head = request("POST", PUSH, headers={
        "Content-Type": "application/json",
        "Content-Length": "18",
        "Expect": "100-continue",
        **headers,
    })  # fmt: skip

    async with await served.open() as client:
        answer = await client.ask(head)

    assert (answer.status, answer.code, answer.closes) == (status, code, True)


async def test_a_body_of_a_get_is_not_read_and_ends_the_connection(served: Served) -> None:
    async with await served.open() as client:
        answer = await client.ask(
            request("GET", "/api/v1/queues", headers={"Content-Length": "1000000"})
        )

    assert (answer.status, answer.closes) == (200, True)


async def test_bodies_of_all_connections_have_a_common_limit(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = served.door._app._handlers._bodies
    monkeypatch.setattr(bodies, "_total", 1000)
    head = request("POST", PUSH, headers={
        "Content-Type": "application/json", "Content-Length": "2000",
    })  # fmt: skip

    async with await served.open() as client:
        answer = await client.ask(head + b" " * 1500)
    after = await served.send(request("POST", PUSH, SMALL))

    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert answer.headers["retry-after"] == "1"
    assert bodies._held == 0
    assert after.status == 200


async def test_requests_follow_one_another_on_a_connection(served: Served) -> None:
    served.operations.answers["push"] = Done()

    async with await served.open() as client:
        client.write(request("POST", PUSH, SMALL) * 3 + request("GET", "/api/v1/queues"))
        answers = [await client.answer() for _ in range(4)]

    assert [answer.status for answer in answers] == [200] * 4
    assert served.operations.names == ["push", "push", "push", "queues"]
    assert not any(answer.closes for answer in answers)
