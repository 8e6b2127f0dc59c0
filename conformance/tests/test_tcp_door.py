"""The TCP door against a server of a few lines, which may be wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from conformance.runner.model import Item
from conformance.runner.operations import WrongAnswer, operations
from conformance.runner.recorder import Recorder
from conformance.runner.running import run_item
from conformance.runner.target import Target
from conformance.runner.tcp_door import TcpConnection
from conformance.runner.wire_log import WireLog
from conformance.tests.cases import case_of

Answering = Callable[[dict[str, Any]], list[bytes]]


@contextlib.asynccontextmanager
async def served(answers: Answering) -> AsyncIterator[tuple[str, int]]:
    """A server that answers each line with the bytes that `answers` makes of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            for data in answers(json.loads(line)):
                writer.write(data)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


@contextlib.asynccontextmanager
async def connected(answers: Answering) -> AsyncIterator[TcpConnection]:
    async with served(answers) as address:
        # What the server says is not judged here: it is wrong on purpose, and often.
        connection = await TcpConnection.open("c", address, Recorder(None, judge=False), WireLog())
        try:
            yield connection
        finally:
            await connection.close()


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


PING = operations()["ping"]


async def test_answers_with_a_rid_may_come_in_any_order() -> None:
    held: list[dict[str, Any]] = []

    def answers(request: dict[str, Any]) -> list[bytes]:
        held.append(request)
        if len(held) < 3:
            return []
        return [line(ok=True, rid=each["rid"], n=each["n"]) for each in reversed(held)]

    async with connected(answers) as connection:
        connection.wire = 2
        got = await asyncio.gather(*(connection.call(PING, {"n": n}) for n in range(3)))

    assert [answer.fields["n"] for answer in got] == [0, 1, 2]


async def test_version_1_asks_one_after_another() -> None:
    open_requests = 0

    def answers(request: dict[str, Any]) -> list[bytes]:
        nonlocal open_requests
        open_requests += 1
        assert "rid" not in request
        return [line(ok=True, n=open_requests)]

    async with connected(answers) as connection:
        got = await asyncio.gather(*(connection.call(PING, {}) for _ in range(3)))

    assert [answer.fields["n"] for answer in got] == [1, 2, 3]


async def test_a_notice_is_no_answer_and_no_leftover() -> None:
    async with connected(lambda _: [line(notice="goaway", last_rid=None), line(ok=True)]) as each:
        got = await each.call(PING, {})

        assert got.ok
        assert each.leftover() == []


async def test_a_second_answer_is_left_over() -> None:
    async with connected(lambda _: [line(ok=True) + line(ok=True)]) as connection:
        await connection.call(PING, {})

        assert connection.leftover() == [b'{"ok": true}']


async def test_an_answer_of_another_request_is_never_taken() -> None:
    async with connected(lambda _: [line(ok=True, rid=5)]) as connection:
        connection.wire = 2
        call = asyncio.create_task(connection.call(PING, {}))
        await connection.take(lambda parsed: parsed.get("rid") == 5, 5)

        assert not call.done()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize(
    "answer", [b"{}\n", b"[1]\n", b'{"ok":1}\n', b'{"ok":false}\n', b"nonsense\n"]
)
async def test_a_line_without_an_envelope_is_no_answer(answer: bytes) -> None:
    async with connected(lambda _: [answer]) as connection:
        with pytest.raises(WrongAnswer):
            await connection.call(PING, {})


async def test_a_refused_item_makes_a_batch_of_version_1_no_error() -> None:
    refused = {"ok": False, "error": {"code": "PARTIAL_FAILURE"}, "acked": 1, "results": []}

    async with connected(lambda _: [line(**refused)]) as connection:
        got = await connection.call(operations()["ack_batch"], {"ids": []})

    assert got.fields == {"acked": 1, "results": []}


# --- a whole item against a server that is wrong -----------------------------------------------------------------

STATS = {"do": "stats", "with": {"queue": "q"}, "expect": {"$.paused": None}}
COUNTS = dict.fromkeys(
    ("waiting", "active", "delayed", "completed", "failed", "dlq", "blocked", "cancelled"), 0
)
GOOD = {"ok": True, "counts": COUNTS, "paused": None, "oldest_waiting_ms": None}


async def outcome_of(answers: Answering) -> Any:
    item = Item(case=case_of([STATS], transports=["tcp1"]), transport="tcp1")
    async with served(answers) as address:
        return await run_item(item, Target(http_url="", tcp_address=address), Recorder(None))


async def test_a_server_that_is_right_passes() -> None:
    outcome = await outcome_of(lambda _: [line(**GOOD)])

    assert (outcome.verdict, outcome.assertions) == ("pass", 1), outcome.failure


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([line(**GOOD, surprise=1)], "surprise"),
        ([line(**{**GOOD, "counts": {}})], "waiting"),
        ([line(**GOOD), line(**GOOD)], "a line that answers nothing"),
        ([line(ok=False, error={"code": "NO_SUCH", "message": "m", "details": None})], "NO_SUCH"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "without an envelope"),
        ([line(**GOOD)[:-1] + b"\r\n"], "\\\\r|carriage|JW-TCP-6"),
    ],
)
async def test_a_server_that_is_wrong_fails_whatever_the_case_expects(
    answers: list[bytes], why: str
) -> None:
    outcome = await outcome_of(lambda _: [b"".join(answers)])

    assert outcome.verdict == "fail"
    assert re.search(why, outcome.failure), outcome.failure
