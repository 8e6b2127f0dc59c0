"""The gremlin does what its script says, and tells what the SDK did otherwise: each control has a peer that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conformance.runner.gremlin_script import Gremlin
from conformance.runner.sdk_signals import Signals
from conformance.runner.sdk_wire import WireLog
from conformance.runner.values import Variables

HELLO = b'{"cmd":"hello","rid":1,"v":[1,2],"client":{"name":"t","version":"0"}}\n'
PUSH = b'{"cmd":"push","rid":2,"queue":"q","name":"n","id":"a","data":"\xc5\xbc"}\n'
HTTP_PUSH = (
    b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\n"
    b'{"name":"n","id":"a","x":1}'
)


@asynccontextmanager
async def playing(transport: str, *script: dict[str, Any]) -> AsyncIterator[Gremlin]:
    variables = Variables("test", 7, transport)
    async with Gremlin(transport, script, variables, WireLog(), Signals()) as gremlin:
        yield gremlin


Script = tuple[dict[str, Any], ...]


async def connect(gremlin: Gremlin) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", gremlin.port)


async def test_a_dialogue_over_tcp() -> None:
    script: Script = (
        {"accept": "c"},
        {"expect": {"op": "push", "has": {"$.data": "ż"}}},
        {"answer": {}},
    )
    async with playing("tcp", *script) as gremlin:
        reader, writer = await connect(gremlin)
        writer.write(HELLO + PUSH)

        hello, answer = [json.loads(await reader.readline()) for _ in range(2)]

        assert (hello["rid"], hello["v"]) == (1, 2)
        assert answer == {"rid": 2, "ok": True, "id": "a", "outcome": "created"}
        assert await gremlin.finish() == []
        writer.close()


async def test_a_dialogue_over_http() -> None:
    script: Script = (
        {"accept": "c"},
        {"expect": {"op": "push", "has": {"$.queue": "q"}}},
        {"answer": {}},
    )
    async with playing("http", *script) as gremlin:
        reader, writer = await connect(gremlin)
        writer.write(HTTP_PUSH)

        head = await reader.readuntil(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 201 ")
        assert await gremlin.finish() == []
        writer.close()


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (HELLO + PUSH.replace(b'"n"', b'"m"'), "another value"),
        (HELLO + PUSH.replace(b"push", b"pull"), "expected 'push'"),
        (PUSH, "not hello"),
        (HELLO + PUSH + PUSH, "beyond the script, it sent 'push'"),
    ],
)
async def test_what_an_sdk_does_otherwise_is_told(sent: bytes, problem: str) -> None:
    script: Script = (
        {"accept": "c"},
        {"expect": {"op": "push", "has": {"$.name": "n"}}},
        {"answer": {}},
    )
    async with playing("tcp", *script) as gremlin:
        reader, writer = await connect(gremlin)
        writer.write(sent)
        await asyncio.wait([asyncio.create_task(reader.read(1))], timeout=0.05)

        problems = await gremlin.finish()

        assert problem in problems[0]
        writer.close()


async def test_a_connection_too_many_is_told() -> None:
    async with playing("tcp", {"accept": "c", "hello": False}) as gremlin:
        writers = [(await connect(gremlin))[1] for _ in range(2)]
        await asyncio.sleep(0.05)  # the second connection is accepted behind the script's back

        assert "1 more connections" in (await gremlin.finish())[0]
        for writer in writers:
            writer.close()


async def received(action: dict[str, Any], more: bytes = b"") -> bytes:
    """What a peer gets that says hello and push, when the gremlin does *action* and then ends the connection."""
    script: Script = ({"accept": "c"}, {"expect": {"op": "push"}}, action, {"close": "fin"})
    async with playing("tcp", *script) as gremlin:
        reader, writer = await connect(gremlin)
        writer.write(HELLO + PUSH + more)
        await reader.readline()
        data = await reader.read()
        assert await gremlin.finish() == [] or more
        writer.close()
        return data


async def test_bytes_are_sent_as_they_are_said() -> None:
    assert await received({"send_hex": "00ff"}) == b"\x00\xff"
    assert await received({"send_text": "{"}) == b"{"
    assert len(await received({"garbage": 50})) == 51
    assert await received({"garbage": 50}) == await received({"garbage": 50})  # seeded
    assert (await received({"flood": 3})).count(b"\n") == 3
    assert await received({"oversize": 1000}) == b"[" * 1000
    assert await received({"reply": [1]}) == b"[1]\n"
    assert b'"rid": 9' in await received({"unsolicited": {"ok": True, "rid": 9}})


@pytest.mark.parametrize("how", [{"drip": True}, {"split_utf8": True}, {"chunks": [3, 1, "rest"]}])
async def test_cutting_changes_no_byte(how: dict[str, Any]) -> None:
    answer = {"answer": {"outcome": "ż🎉"}}

    assert await received({**answer, **how}) == await received(answer)


async def test_a_reset_is_a_reset() -> None:
    async with playing("tcp", {"accept": "c", "hello": False}, {"close": "rst"}) as gremlin:
        reader, writer = await connect(gremlin)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def test_nobody_listens_until_somebody_does_again() -> None:
    script: Script = (
        {"refuse": True},
        {"signal": "down"},
        {"await": "up"},
        {"listen": True},
        {"signal": "back"},
    )
    async with playing("tcp", *script) as gremlin:
        await gremlin.signals.wait("down")
        with pytest.raises(ConnectionRefusedError):
            await connect(gremlin)
        gremlin.signals.set("up")
        await gremlin.signals.wait("back")
        _, writer = await connect(gremlin)
        writer.close()


async def test_rustqueue_knows_no_hello_and_echoes_no_rid() -> None:
    async with playing("tcp", {"rustqueue": {}}) as gremlin:
        reader, writer = await connect(gremlin)
        writer.write(HELLO + PUSH)

        hello, push = [json.loads(await reader.readline()) for _ in range(2)]

        assert hello == {
            "ok": False,
            "error": {"code": "UNKNOWN_COMMAND", "message": "Unknown command: hello"},
        }
        assert push == {"ok": True, "id": "a"}
        writer.close()
