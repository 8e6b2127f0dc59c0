"""The TCP door: deadlines, limits on connections, draining, closing, TLS."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.tcp_api.conftest import Serve
from tests.tcp_api.line_client import PATIENCE, LineClient, line, pull, push

from jobwire_server.tcp_api.connection import Connection

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


# --- deadlines ---------------------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed(serve: Serve) -> None:
    served = await serve(idle_timeout_ms=60_000)
    old, new = await served.open(), await served.open_v2()
    await old.ask(line("ping"))

    served.pass_time(59_000)
    assert served.door.connections == 2
    served.pass_time(2_000)

    assert await old.rest() == b""
    assert json.loads(await new.rest()) == {"notice": "goaway", "last_rid": None, "reason": "idle"}


async def test_a_connection_that_says_something_is_not_idle(serve: Serve) -> None:
    served = await serve(idle_timeout_ms=60_000)
    client = await served.open()

    for _ in range(5):
        served.pass_time(40_000)
        await client.ask(line("ping"))

    assert served.door.connections == 1


async def test_a_connection_with_a_request_in_flight_is_not_idle(serve: Serve) -> None:
    served = await serve(idle_timeout_ms=5_000)
    client = await served.open()
    client.send(pull(wait_ms=60_000))
    await served.until(lambda: len(served.operations.waiting) == 1)

    served.pass_time(200_000)
    served.operations.give(JOB)

    assert (await client.read())["job"]["id"] == JOB
    served.pass_time(12_000)
    assert await client.rest() == b""


async def test_zero_means_that_idle_connections_stay(serve: Serve) -> None:
    served = await serve(idle_timeout_ms=0)
    client = await served.open()
    await client.ask(line("ping"))

    served.pass_time(3_000_000)

    assert (await client.ask(line("ping")))["ok"] is True


async def test_a_line_that_drips_is_cut_off(serve: Serve) -> None:
    served = await serve(read_timeout_ms=10_000)
    client = await served.open()
    for byte in b'{"cmd"':
        client.send(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0.005)
        served.pass_time(1_000)
    assert served.door.connections == 1

    served.pass_time(6_000)

    error = json.loads(await client.rest())["error"]
    assert (error["code"], error["details"]) == ("REQUEST_TIMEOUT", {"limit": 10_000})


async def test_each_line_has_its_own_time(serve: Serve) -> None:
    served = await serve(read_timeout_ms=10_000)
    client = await served.open()

    client.send(b'{"cmd":')
    for _ in range(5):
        served.pass_time(8_000)
        assert (await client.ask(b'"ping"}\n{"cmd":'))["ok"] is True

    served.pass_time(12_000)
    assert json.loads(await client.rest())["error"]["code"] == "REQUEST_TIMEOUT"


async def test_a_connection_without_its_token_is_closed(serve: Serve) -> None:
    served = await serve(tokens=("secret",), unauthenticated_timeout_ms=5_000)
    silent, busy, good = await served.open(), await served.open(), await served.open()
    await good.ask(line("auth", token="secret"))
    for _ in range(4):
        await busy.ask(line("ping"))
        served.pass_time(1_000)
    assert served.door.connections == 3

    served.pass_time(2_000)

    assert await silent.rest() == b""
    assert await busy.rest() == b""
    assert (await good.ask(line("ping")))["ok"] is True


async def test_time_in_which_the_process_slept_is_not_held_against_anyone(serve: Serve) -> None:
    served = await serve(read_timeout_ms=30_000)
    client = await served.open()
    client.send(b'{"cmd":')
    await served.until(lambda: served.door.connections == 1)

    served.clock.advance(3_600_000)
    served.door.sweep()

    assert (await client.ask(b'"ping"}\n'))["ok"] is True


async def test_the_timer_sweeps_by_itself(serve: Serve) -> None:
    served = await serve(tokens=("secret",), unauthenticated_timeout_ms=1_000)
    client = await served.open()
    served.clock.advance(2_000)

    assert await client.rest() == b""


async def test_a_bug_in_the_look_at_one_connection_spares_the_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(idle_timeout_ms=5_000)
    first, second = await served.open(), await served.open()
    await first.ask(line("ping"))
    await second.ask(line("ping"))
    [victim, _] = served.door._shared.connections

    def deadlines(connection: Connection) -> Any:
        if connection is victim:
            raise RuntimeError("planted")
        return original(connection)

    original = Connection._deadlines
    monkeypatch.setattr(Connection, "_deadlines", deadlines)
    served.pass_time(70_000)

    assert (await first.rest(), await second.rest()) == (b"", b"")
    await served.until(lambda: served.door.connections == 0)
    assert [each["event"] for each in served.log.entries if "exc_info" in each] == ["tcp.bug"]


async def test_a_flood_of_bad_lines_takes_turns_with_the_others(serve: Serve) -> None:
    served = await serve()
    connection, written = Connection(served.door._shared), Written()
    connection.connection_made(written)

    lines = 2_000
    connection.data_received(b"no\n" * lines)

    assert 0 < written.lines < lines / 2
    await served.until(lambda: written.lines == lines)
    connection.abort()
    connection.connection_lost(None)


class Written(asyncio.Transport):
    """Counts the lines that it is given, and is never full."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.lines = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.lines += bytes(data).count(b"\n")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        pass


# --- connections -------------------------------------------------------------------------------------------------


async def test_a_connection_over_the_limit_is_told_so(serve: Serve) -> None:
    served = await serve(max_connections=2)
    first, second = await served.open(), await served.open()
    await first.ask(line("ping"))
    await second.ask(line("ping"))

    third = await served.open()
    third.send(push())
    said = json.loads(await third.rest())

    assert (said["error"]["code"], said["error"]["details"]) == ("OVERLOADED", {"limit": 2})
    assert served.operations.calls == []
    await first.close()
    await served.until(lambda: served.door.connections == 1)
    # The one that was refused is still there, and takes nobody's place.
    assert (await (await served.open()).ask(line("ping")))["ok"] is True


async def test_refused_connections_do_not_pile_up(serve: Serve) -> None:
    served = await serve(max_connections=1)
    await (await served.open()).ask(line("ping"))

    refused = [await served.open() for _ in range(200)]
    texts = await asyncio.gather(*(client.rest() for client in refused), return_exceptions=True)

    told = [text for text in texts if isinstance(text, bytes) and text]
    assert len(told) == 128
    assert all(b"OVERLOADED" in text for text in told)
    assert served.door.connections == 1


async def test_a_refused_connection_that_stays_is_cut_off(serve: Serve) -> None:
    served = await serve(max_connections=1)
    await (await served.open()).ask(line("ping"))
    refused = await served.open()
    await refused.read()
    await refused.rest()

    served.pass_time(4_000)

    with pytest.raises(OSError):
        await asyncio.wait_for(keep_sending(refused), PATIENCE)


async def keep_sending(client: LineClient) -> None:
    """Until the other side has closed its socket: only then is what is sent to it answered by a reset."""
    while True:
        client.send(push())
        await client.writer.drain()
        await asyncio.sleep(0.001)


# --- drain -------------------------------------------------------------------------------------------------------


async def test_drain_answers_what_is_in_flight_and_closes(serve: Serve) -> None:
    served = await serve()
    held = served.operations.held["push"] = asyncio.Event()
    idle, old, new = await served.open(), await served.open(), await served.open_v2()
    await idle.ask(line("ping"))
    old.send(push(name="a"), push(name="b"))
    new.send(push(rid=7), pull(rid=8, wait_ms=60_000))
    await served.until(lambda: served.operations.ran("push") == 3)
    await served.until(lambda: len(served.operations.waiting) == 1)

    draining = asyncio.create_task(served.door.drain())
    assert await new.read() == {"notice": "goaway", "last_rid": 8, "reason": "shutdown"}
    assert await idle.rest() == b""
    assert not draining.done()
    assert (await new.ask(push(rid=9)))["error"]["code"] == "SHUTTING_DOWN"
    served.operations.drain()
    held.set()
    await asyncio.wait_for(draining, 10)

    assert [json.loads(text)["id"] for text in (await old.rest()).splitlines()] == ["a", "b"]
    rids = {json.loads(text)["rid"] for text in (await new.rest()).splitlines()}
    assert rids == {7, 8}
    assert served.operations.ran("push") == 3


async def test_nobody_is_let_in_while_draining(serve: Serve) -> None:
    served = await serve()
    port = served.door.port
    client = await served.open()
    client.send(pull(wait_ms=60_000))
    await served.until(lambda: len(served.operations.waiting) == 1)

    draining = asyncio.create_task(served.door.drain())
    await asyncio.sleep(0)

    with pytest.raises(OSError):
        await LineClient.open(port)
    served.operations.drain()
    await asyncio.wait_for(draining, 10)


async def test_drain_without_connections_is_over_at_once(serve: Serve) -> None:
    await asyncio.wait_for((await serve()).door.drain(), 10)


async def test_close_cuts_off_what_is_left(serve: Serve) -> None:
    served = await serve()
    served.operations.held["push"] = asyncio.Event()
    clients = [await served.open_v2() for _ in range(3)]
    for client in clients:
        client.send(push(rid=1), pull(rid=2, wait_ms=60_000))
    await served.until(lambda: len(served.operations.waiting) == 3)

    await asyncio.wait_for(served.door.close(), 10)
    await asyncio.wait_for(served.door.close(), 10)

    assert served.door.connections == 0
    assert served.operations.cancelled == 3
    assert len(served.operations.forgotten) == 3


async def test_close_ends_a_drain_that_hangs(serve: Serve) -> None:
    served = await serve()
    served.operations.held["push"] = asyncio.Event()
    client = await served.open()
    client.send(push())
    await served.until(lambda: served.operations.ran("push") == 1)
    draining = asyncio.create_task(served.door.drain())
    await asyncio.sleep(0)

    await asyncio.wait_for(served.door.close(), 10)

    await asyncio.wait_for(draining, 10)
