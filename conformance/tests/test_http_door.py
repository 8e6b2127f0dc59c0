"""The HTTP door without a server: respx plays one, also one that is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from conformance.runner.http_door import HttpDoor
from conformance.runner.model import SuiteError
from conformance.runner.operations import WrongAnswer, operations
from conformance.runner.recorder import Recorder
from conformance.runner.target import Target
from conformance.runner.validating import Undocumented
from conformance.runner.wire_log import WireLog

ID = "019b76da-a801-7e07-9f86-9c919e9748aa"
API = "http://server.test/api/v1"
STEPS = {"X-Request-Id": "r-1"}


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    target = Target(http_url="http://server.test", tcp_address=("server.test", 1), token="secret")
    door = HttpDoor(target, Recorder(None), WireLog())
    yield door
    await door.close()


def answer(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body, headers=STEPS)


@respx.mock
async def test_the_fields_of_the_path_leave_the_body(door: HttpDoor) -> None:
    route = respx.post(f"{API}/queues/a%2Fb/jobs").mock(
        answer(201, {"ok": True, "id": ID, "outcome": "created"})
    )

    got = await door.call(operations()["push"], {"queue": "a/b", "name": "n", "data": {"x": 1.0}})

    assert got.fields == {"id": ID, "outcome": "created"}
    assert route.calls.last.request.content == b'{"name":"n","data":{"x":1.0}}'
    assert route.calls.last.request.headers["Authorization"] == "Bearer secret"


@respx.mock
async def test_a_query_has_lists_by_comma_and_leaves_null_out(door: HttpDoor) -> None:
    route = respx.get(f"{API}/jobs").mock(
        answer(200, {"ok": True, "jobs": [], "next_cursor": None})
    )

    await door.call(
        operations()["find"], {"state": ["dlq", "waiting"], "limit": 5, "name": None, "tag": "a b"}
    )

    assert dict(route.calls.last.request.url.params) == {
        "state": "dlq,waiting",
        "limit": "5",
        "tag": "a b",
    }
    assert route.calls.last.request.content == b""


@respx.mock
async def test_an_error_is_the_abstract_error_with_its_status(door: HttpDoor) -> None:
    error = {"code": "JOB_NOT_FOUND", "message": "m", "details": {"id": ID}, "retryable": False}
    respx.post(f"{API}/jobs/{ID}/ack").mock(answer(404, {"ok": False, "error": error}))

    got = await door.call(operations()["ack"], {"id": ID})

    assert (got.ok, got.error, got.status) == (False, error, 404)
    assert got.as_result() == {"ok": False, "error": error}


@respx.mock
async def test_a_fail_without_another_attempt_says_null(door: HttpDoor) -> None:
    respx.post(f"{API}/jobs/{ID}/fail").mock(
        answer(200, {"ok": True, "retry": False, "will_retry": False})
    )

    got = await door.call(operations()["fail"], {"id": ID, "error": "e"})

    assert got.fields["next_attempt_at"] is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"ok": True, "id": ID, "outcome": "created"}),  # JW-HTTP-3
        (201, {"ok": True, "id": ID, "outcome": "existing"}),
        (201, {"ok": False, "error": {"code": "X"}}),
        (409, {"ok": True, "id": ID, "outcome": "existing"}),
        (200, {"id": ID, "outcome": "existing"}),
        (200, {"ok": True, "id": ID, "outcome": "existing", "surprise": 1}),
        (200, {"ok": True, "id": "no uuid", "outcome": "existing"}),
        (418, {"ok": False, "error": {"code": "QUEUE_FULL", "message": "m", "details": None}}),
        (200, [1]),
    ],
)
async def test_an_answer_that_is_not_documented_is_no_answer(
    door: HttpDoor, status: int, body: Any
) -> None:
    with respx.mock:
        respx.post(f"{API}/queues/q/jobs").mock(answer(status, body))

        with pytest.raises((WrongAnswer, Undocumented)):
            await door.call(operations()["push"], {"queue": "q", "name": "n"})


@respx.mock
async def test_a_body_that_is_cut_off_is_a_lost_answer(door: HttpDoor) -> None:
    respx.post(f"{API}/queues/q/jobs").mock(side_effect=httpx.RemoteProtocolError("cut"))

    got = await door.call(operations()["push"], {"queue": "q", "name": "n"})

    assert got.lost is not None
    assert not got.ok


@respx.mock
async def test_silence_is_a_failure_and_no_lost_answer(door: HttpDoor) -> None:
    respx.post(f"{API}/queues/q/jobs").mock(side_effect=httpx.ReadTimeout("late"))

    with pytest.raises(TimeoutError, match="push was not answered"):
        await door.call(operations()["push"], {"queue": "q", "name": "n"})


@pytest.mark.parametrize("queue", [None, 5, "", ["q"]])
async def test_what_no_path_can_have_is_a_mistake_of_the_case(door: HttpDoor, queue: Any) -> None:
    with pytest.raises(SuiteError, match="stands in the path"):
        await door.call(operations()["push"], {"queue": queue, "name": "n"})


@respx.mock
async def test_text_is_an_answer_where_the_operation_has_text(door: HttpDoor) -> None:
    respx.get(f"{API}/metrics/prometheus").mock(
        httpx.Response(
            200, text="a 1\n", headers={**STEPS, "Content-Type": "text/plain; charset=utf-8"}
        )
    )

    got = await door.call(operations()["metrics"], {})

    assert got.fields == {"text": "a 1\n"}


@respx.mock
async def test_every_operation_with_a_route_has_a_request(door: HttpDoor) -> None:
    everything = respx.route().mock(side_effect=httpx.ConnectError("nobody"))
    fields = {"queue": "q", "id": ID, "flow_id": "f"}

    for operation in operations().values():
        if operation.path:
            got = await door.call(operation, fields)
            assert got.lost is not None

    targets = [call.request.url.raw_path.decode() for call in everything.calls]
    assert not [target for target in targets if "{" in target]
    assert len(targets) == len([each for each in operations().values() if each.path])


async def test_what_was_logged_has_no_token(door: HttpDoor) -> None:
    log = WireLog()
    target = Target(http_url="http://server.test", tcp_address=("server.test", 1), token="secret")
    other = HttpDoor(target, Recorder(None), log)
    with respx.mock:
        respx.get(f"{API}/queues").mock(answer(200, {"ok": True, "queues": []}))

        await other.call(operations()["queues"], {})
    await other.close()

    assert log.lines
    assert "secret" not in json.dumps(log.lines)


async def test_a_started_request_is_told_when_it_has_left() -> None:
    """Against a real socket, since respx has none."""
    sent = asyncio.Event()
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        arrived.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        target = Target(http_url=f"http://127.0.0.1:{port}", tcp_address=("127.0.0.1", 0))
        door = HttpDoor(target, Recorder(None), WireLog())
        got = await door.call(operations()["pull"], {"queue": "q"}, sent.set)
        await asyncio.wait_for(arrived.wait(), 5)
        await door.close()

    assert sent.is_set()
    assert got.lost is not None
