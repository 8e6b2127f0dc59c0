"""
Connections that die without a word, and servers that are silent by design: JW-SDK-13 and JW-SDK-14, on real sockets.

Bounds of time are wide above: what must not come early is exact, what is late only shows a busy machine.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.peers import HttpConnection, LineConnection, http_peer, line_peer
from tests.test_transports import JOB, KINDS, Caller

SILENCE = 0.2  # seconds
LATE = 5 * SILENCE


async def failed_after(caller: Caller, method: str, *args: Any, **kwargs: Any) -> tuple[str, float]:
    """The code with which a call fails, and after how many seconds."""
    began = time.monotonic()
    error = await caller.error(method, *args, **kwargs)
    return error.code, time.monotonic() - began


@KINDS
async def test_a_server_that_answers_no_ping_is_given_up_and_connected_anew(kind: str) -> None:
    heard: list[str] = []

    def script(connection: LineConnection) -> None:
        connection.welcome()
        if connection.number == 0:
            while (line := connection.read_line()) is not None:
                heard.append(line["cmd"])
        else:
            connection.answer(connection.expect("pull"), job=JOB)
            connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            code, seconds = await failed_after(caller, "pull", "q", wait=20)
            [job] = await caller.call("pull", "q", wait=20)

    assert code == "CONNECTION_LOST"
    assert SILENCE <= seconds < LATE
    assert heard == ["pull", "ping"]
    assert job.id == "j"
    assert peer.accepted == 2


@KINDS
async def test_all_calls_on_a_connection_that_is_given_up_fail_and_say_why(kind: str) -> None:
    def script(connection: LineConnection) -> None:
        connection.welcome()
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            calls = [caller.error("ping") for _ in range(3)]
            errors = await asyncio.gather(*calls)

    assert [error.code for error in errors] == ["CONNECTION_LOST"] * 3
    assert all("nothing was heard for 0.2 s" in error.message for error in errors)


@KINDS
async def test_a_server_that_answers_pings_may_hold_a_pull_for_as_long_as_it_likes(
    kind: str,
) -> None:
    pings: list[float] = []

    def script(connection: LineConnection) -> None:
        connection.welcome()
        pull = connection.expect("pull")
        end = time.monotonic() + 3 * SILENCE
        while time.monotonic() < end:
            connection.answer(connection.expect("ping"))
            pings.append(time.monotonic())
        connection.answer(pull, job=JOB)
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            [job] = await caller.call("pull", "q", wait=20)

    assert job.id == "j"
    assert peer.accepted == 1
    assert 2 <= len(pings) <= 7  # one a span of quiet, which is half a silence long


@KINDS
async def test_an_event_loop_that_was_blocked_asks_before_it_gives_up(kind: str) -> None:
    """Nothing was heard for too long, and nothing could be: JW-SDK-14."""
    waits = threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        pull = connection.expect("pull")
        waits.set()
        connection.answer(connection.expect("ping"))
        connection.expect("ping")
        connection.answer(pull, job=JOB)
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            pull = asyncio.create_task(caller.call("pull", "q", wait=20))
            assert await asyncio.to_thread(waits.wait, 10)
            time.sleep(2 * SILENCE)  # noqa: ASYNC251 - a handler that does so is what this is about
            [job] = await pull

    assert job.id == "j"
    assert peer.accepted == 1


@KINDS
async def test_a_pull_that_waits_out_a_goodbye_is_still_asked_for_by_pings(kind: str) -> None:
    """A ping is none of the requests that a draining connection has to finish."""

    def script(connection: LineConnection) -> None:
        connection.welcome()
        pull = connection.expect("pull")
        connection.send(notice="goaway", last_rid=pull["rid"], reason="shutdown")
        connection.answer(connection.expect("ping"))
        connection.expect("ping")
        connection.answer(pull, job=JOB)
        assert connection.read_line() is None

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            [job] = await caller.call("pull", "q", wait=20)

    assert job.id == "j"


@KINDS
async def test_a_silent_server_of_version_1_is_given_up_without_a_ping(kind: str) -> None:
    heard: list[str] = []

    def script(connection: LineConnection) -> None:
        connection.welcome(1)
        while (line := connection.read_line()) is not None:
            heard.append(line["cmd"])

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            code, seconds = await failed_after(caller, "ack", "j")

    assert code == "CONNECTION_LOST"
    assert SILENCE <= seconds < LATE
    assert heard == ["ack"]


@KINDS
async def test_between_calls_nothing_is_said_and_the_next_one_is_watched_again(kind: str) -> None:
    heard: list[str] = []

    def script(connection: LineConnection) -> None:
        connection.welcome()
        while (line := connection.read_line()) is not None:
            heard.append(line["cmd"])
            if len(heard) < 3:
                connection.answer(line)

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            for _ in range(2):
                await caller.call("ack", "j")
                await asyncio.sleep(1.5 * SILENCE)
            code, seconds = await failed_after(caller, "ack", "j")

    assert heard == ["ack", "ack", "ack", "ping"]
    assert code == "CONNECTION_LOST"
    assert SILENCE <= seconds < LATE


@KINDS
async def test_without_a_silence_nothing_is_asked(kind: str) -> None:
    heard: list[str] = []

    def script(connection: LineConnection) -> None:
        connection.welcome()
        while (line := connection.read_line()) is not None:
            heard.append(line["cmd"])

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, timeout=2 * SILENCE) as caller:
            code, _ = await failed_after(caller, "ack", "j")

    assert code == "TIMEOUT"
    assert heard == ["ack"]


@KINDS
async def test_over_http_a_call_is_over_after_the_silence(kind: str) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        if connection.number == 1:
            connection.respond(job=JOB)
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0, _silence=SILENCE) as caller:
            code, seconds = await failed_after(caller, "pull", "q", wait=20)
            [job] = await caller.call("pull", "q", wait=20)

    assert code == "TIMEOUT"
    assert SILENCE <= seconds < LATE
    assert job.id == "j"
    assert peer.accepted == 2


@KINDS
@pytest.mark.parametrize("scheme", ["tcp", "http"])
async def test_an_idle_connection_is_left_and_one_with_a_call_in_flight_is_not(
    kind: str, scheme: str
) -> None:
    """As a worker does with the one for its outcomes, when the one for its pulls was found dead."""
    waits, asked = threading.Event(), threading.Event()

    def over_tcp(connection: LineConnection) -> None:
        connection.welcome()
        while (line := connection.read_line()) is not None:
            if line["cmd"] == "pull":
                waits.set()
                asked.wait(10)
            connection.answer(line, job=None)

    def over_http(connection: HttpConnection) -> None:
        while (request := connection.read_request()) is not None:
            if "/pull" in request.target:
                waits.set()
                asked.wait(10)
            connection.respond(job=None)

    with line_peer(over_tcp) if scheme == "tcp" else http_peer(over_http) as peer:
        async with Caller(kind, peer.url, retries=0) as caller:
            await caller.call("ack", "j")
            caller.client._close_idle()
            pull = asyncio.create_task(caller.call("pull", "q", wait=20))
            assert await asyncio.to_thread(waits.wait, 10)
            caller.client._close_idle()
            asked.set()

            assert await pull == []
            await caller.call("ack", "j")

    assert peer.accepted == 2


@KINDS
async def test_an_attempt_to_connect_does_not_outlive_the_call_that_began_it_for_long(
    kind: str,
) -> None:
    """It may have fallen into a hole, and others must not wait in there for the whole of connect_timeout."""
    fell = threading.Event()

    def script(connection: LineConnection) -> None:
        if connection.number > 0:
            connection.welcome()
            connection.answer(connection.expect("ping"))
        fell.set()
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, connect_timeout=60.0) as caller:
            hasty = caller.client.with_options(timeout=0.2, retries=0)
            began = time.monotonic()
            with pytest.raises(Exception, match="cannot connect"):
                await _ping(hasty)
            assert fell.is_set()
            await _ping(caller.client)
            seconds = time.monotonic() - began

    assert peer.accepted == 2
    assert seconds < 5.0


async def _ping(client: Any) -> None:
    if asyncio.iscoroutinefunction(client.ping):
        await client.ping()
    else:
        await asyncio.to_thread(client.ping)
