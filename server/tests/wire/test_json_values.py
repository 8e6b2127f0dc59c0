"""data, result and metadata come back byte for byte, through both doors (JW-JOB-5, JW-ERR-10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stores import new_store
from tests.vectors import by_id, vectors
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.wire.requests import Command, from_http, parse_line
from jobwire_server.wire.responses import http_answer, tcp_answer

ID = b"019b0000-0000-7000-8000-00000000000a"


@pytest.fixture
async def world(tmp_path: Any) -> World:
    return World(new_store("memory", tmp_path), ManualClock())


async def over_tcp(world: World, line: bytes) -> bytes:
    return await answered(world, parse_line(line), "tcp")


async def over_http(world: World, name: str, body: bytes, **given_: str) -> bytes:
    return await answered(world, from_http(name, body, given_, {}), "http")


async def answered(world: World, command: Command, door: str) -> bytes:
    [result] = await world.operations.run(command.name, [command.request], world.caller)
    if door == "http":
        return http_answer(command.name, result)[1]
    return tcp_answer(command.name, result, wire=2, rid=None)


@pytest.mark.parametrize("row", vectors("json_values"), ids=by_id)
async def test_a_value_comes_back_as_it_was_sent_over_tcp(
    world: World, row: dict[str, Any]
) -> None:
    text = row["text"].encode()

    await over_tcp(
        world,
        b'{"cmd":"push","queue":"q","name":"n","id":"%b","data":%b,"metadata":%b}'
        % (ID, text, text),
    )
    pulled = await over_tcp(world, b'{"cmd":"pull","queue":"q"}')
    await over_tcp(world, b'{"cmd":"ack","id":"%b","result":%b}' % (ID, text))
    done = await over_tcp(world, b'{"cmd":"get","id":"%b"}' % ID)

    check(pulled, done, text)


@pytest.mark.parametrize("row", vectors("json_values"), ids=by_id)
async def test_a_value_comes_back_as_it_was_sent_over_http(
    world: World, row: dict[str, Any]
) -> None:
    text, job_id = row["text"].encode(), ID.decode()

    await over_http(
        world,
        "push",
        b'{"name":"n","id":"%b","data" : %b ,"metadata":%b}' % (ID, text, text),
        queue="q",
    )
    pulled = await over_http(world, "pull", b"", queue="q")
    await over_http(world, "ack", b'{"result":%b}' % text, id=job_id)
    done = await over_http(world, "get", b"", id=job_id)

    check(pulled, done, text)


def check(pulled: bytes, done: bytes, text: bytes) -> None:
    assert b'"data":%b,"result":null' % text in pulled
    assert b'"data":%b,"result":%b,"state"' % (text, text) in done
    if text == b"null":
        assert b"metadata" not in pulled
    else:
        assert b'"metadata":%b,"depends_on"' % text in pulled


async def test_a_batch_and_nested_options_keep_values_too(world: World) -> None:
    await over_tcp(
        world,
        b'{"cmd":"push_batch","queue":"q","jobs":[{"name":"n","data":1.0,"options":{"metadata":{"b":1,"a":1E5}}}]}',
    )

    pulled = await over_tcp(world, b'{"cmd":"pull","queue":"q"}')

    assert b'"data":1.0,' in pulled
    assert b'"metadata":{"b":1,"a":1E5}' in pulled


async def test_data_that_is_left_out_is_an_empty_object_and_null_is_null(world: World) -> None:
    await over_tcp(world, b'{"cmd":"push","queue":"q","name":"n"}')
    await over_tcp(world, b'{"cmd":"push","queue":"q","name":"n","data":null}')

    answer = await over_tcp(world, b'{"cmd":"pull","queue":"q","count":2}')

    assert answer.count(b'"data":{},') == 1
    assert answer.count(b'"data":null,') == 1


@given(st.text(max_size=20), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_value_survives_parsing(text: str, integer: int, number: float) -> None:
    import json

    data = json.dumps({"t": text, "i": integer, "f": number}, ensure_ascii=False).encode()

    request = parse_line(b'{"cmd":"push","queue":"q","name":"n","data": %b }' % data).request

    assert bytes(request.data) == data
