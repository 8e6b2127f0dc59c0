"""A TCP connection through a real socket: order, tasks, back-pressure, aborts, closing."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from tests.tcp_api.conftest import Serve, Served
from tests.tcp_api.line_client import LineClient, line, pull, push

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


async def test_pipelined_commands_are_answered_in_order(serve: Serve) -> None:
    client = await (await serve()).open()

    client.send(push(name="a", rid=1), pull(), line("ping", rid=3), b"\n")

    said = await client.read_many(4)
    assert said[0] == {"ok": True, "id": "a", "outcome": "created", "rid": 1}
    assert said[1] == {"ok": True, "job": None}
    assert said[2] == {"ok": True, "rid": 3}
    assert said[3]["error"]["code"] == "PARSE_ERROR"


@pytest.mark.parametrize("version", [1, 2])
async def test_single_pushes_that_come_together_cost_one_call(serve: Serve, version: int) -> None:
    served = await serve()
    client = await served.open()
    await client.ask(line("hello", v=[version]))

    client.send(*(push(name=f"n{i}", rid=i) for i in range(100)))

    assert [answer["rid"] for answer in await client.read_many(100)] == list(range(100))
    assert served.operations.calls == [("push", 100)]


async def test_an_answer_does_not_wait_for_the_rest_of_the_next_line(serve: Serve) -> None:
    client = await (await serve()).open()

    assert (await client.ask(push(name="a") + b'{"cmd":"pi'))["id"] == "a"
    assert (await client.ask(b'ng"}\n'))["ok"] is True


async def test_a_waiting_pull_holds_up_nothing_in_version_2(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2()

    assert (await client.ask(pull(rid=1, wait_ms=60_000), push(rid=2)))["rid"] == 2
    served.operations.give(JOB)

    job = (await client.read())["job"]
    assert job["id"] == JOB


async def test_a_bug_is_answered_and_logged_and_the_connection_goes_on(serve: Serve) -> None:
    served = await serve()
    served.operations.broken["push"] = RuntimeError("boom")
    client = await served.open()

    client.send(push(rid=1), push(rid=2), line("ping", rid=3))

    said = await client.read_many(3)
    assert [a["rid"] for a in said] == [1, 2, 3]
    assert said[0]["error"]["code"] == said[1]["error"]["code"] == "INTERNAL_ERROR"
    assert said[2]["ok"] is True
    entry = served.log.entries[0]
    assert (entry["event"], entry["log_level"], entry["doing"]) == ("tcp.bug", "error", "push")
    assert entry["peer"].startswith("127.0.0.1:")


# --- who is there ------------------------------------------------------------------------------------------------


async def test_operations_learn_who_calls(serve: Serve) -> None:
    served = await serve()
    await (await served.open()).ask(push())
    v2 = await served.open_v2(client={"name": "sdk", "version": "1.2"})
    await v2.ask(push())

    old, new = served.operations.callers
    assert (old.door, old.client, old.notify) == ("tcp1", None, None)
    assert (new.door, new.client) == ("tcp2", "sdk/1.2")
    assert new.notify is not None
    assert new.peer == "{}:{}".format(*v2.writer.get_extra_info("sockname"))


async def test_a_long_client_name_is_cut(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2(client={"name": "x" * 100_000, "version": "1"})
    await client.ask(push())

    assert len(served.operations.callers[0].client or "") == 200


async def test_the_worker_of_a_hello_is_reported(serve: Serve) -> None:
    served = await serve()
    await served.open_v2(worker={"id": "w1", "queues": ["q"], "concurrency": 4})

    await served.until(lambda: served.operations.ran("heartbeat_batch") == 1)


async def test_notices_go_to_version_2_only(serve: Serve) -> None:
    served = await serve()
    notice = {"notice": "job.cancel", "id": JOB, "lease": "1"}
    old, new = await served.open(), await served.open_v2()
    await old.ask(push())
    await new.ask(push())

    old_caller, new_caller = served.operations.callers
    assert old_caller.notify is None
    assert new_caller.notify is not None
    new_caller.notify(notice)

    assert await new.read() == notice
    assert await old.ask(line("ping", rid=5)) == {"ok": True, "rid": 5}


# --- tokens ------------------------------------------------------------------------------------------------------


async def test_a_token_is_needed_when_there_is_one(serve: Serve) -> None:
    served = await serve(tokens=("secret",))
    client = await served.open()

    assert (await client.ask(push()))["error"]["code"] == "UNAUTHORIZED"
    assert (await client.ask(line("auth", token="wrong")))["error"]["code"] == "UNAUTHORIZED"
    client.send(line("auth", token="secret"), push(name="a"))
    assert [answer["ok"] for answer in await client.read_many(2)] == [True, True]


async def test_wrong_tokens_lock_the_address_out_over_all_connections(serve: Serve) -> None:
    served = await serve(tokens=("secret",))
    client = await served.open()
    client.send(*(line("auth", token=f"guess{i}") for i in range(20)))

    codes = [json.loads(text)["error"]["code"] for text in (await client.rest()).splitlines()]

    assert codes == ["UNAUTHORIZED"] * 5 + ["RATE_LIMITED"]
    other = await served.open()
    answer = await other.ask(line("hello", v=[2], token="secret"))
    assert answer["error"]["code"] == "RATE_LIMITED"
    assert answer["error"]["retry_after_ms"] > 0
    assert await other.rest() == b""


async def test_a_worker_is_not_reported_without_a_token(serve: Serve) -> None:
    served = await serve(tokens=("secret",))
    client = await served.open_v2(worker={"id": "w1"})
    await client.ask(line("ping"))

    assert served.operations.calls == []


# --- abort -------------------------------------------------------------------------------------------------------


async def waiting(served: Served, count: int) -> None:
    await served.until(lambda: len(served.operations.waiting) == count)


async def test_abort_ends_a_waiting_pull(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2()
    client.send(pull(rid=1, wait_ms=60_000))
    await waiting(served, 1)

    client.send(line("abort", target=1, rid=2))

    assert await client.read_many(2) == [
        {"ok": True, "job": None, "rid": 1},
        {"ok": True, "aborted": True, "rid": 2},
    ]
    assert served.operations.cancelled == 1


async def test_abort_in_the_same_write_ends_a_pull_that_has_not_begun(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2()

    client.send(
        pull(rid=1, wait_ms=60_000, count=3),
        line("abort", target=1, rid=2),
        line("abort", target=1, rid=3),
        line("ping", rid=4),
    )

    said = {answer["rid"]: answer for answer in await client.read_many(4)}
    assert said[1] == {"ok": True, "jobs": [], "rid": 1}
    assert said[2]["aborted"] is True
    assert said[3]["aborted"] is True
    assert served.operations.ran("pull") == 0


@pytest.mark.parametrize("abort_first", [True, False])
async def test_a_pull_that_gets_a_job_as_it_is_aborted_is_answered_once(
    serve: Serve, abort_first: bool
) -> None:
    served = await serve()
    client = await served.open_v2()
    for rid in range(0, 40, 2):
        client.send(pull(rid=rid, wait_ms=60_000))
        await waiting(served, 1)

        # Both within one turn of the event loop or as near as a socket allows: either may win, but only one.
        client.send(line("abort", target=rid, rid=rid + 1))
        if abort_first:
            await asyncio.sleep(0)
        served.operations.give(JOB)
        first, second = await client.read_many(2)

        assert (first["rid"], second["rid"]) == (rid, rid + 1)
        assert (first["job"] is None) is second["aborted"]
    assert await client.ask(line("ping", rid=99)) == {"ok": True, "rid": 99}


async def test_an_aborted_heartbeat_is_answered_as_though_its_wait_had_run_out(
    serve: Serve,
) -> None:
    served = await serve()
    held = served.operations.held["heartbeat_batch"] = asyncio.Event()
    client = await served.open_v2()
    client.send(line("heartbeat_batch", worker={"id": "w"}, wait_ms=60_000, rid=1))
    await served.until(lambda: served.operations.ran("heartbeat_batch") == 1)

    client.send(line("abort", target=1, rid=2))
    await served.until(lambda: served.operations.ran("heartbeat_batch") == 2)
    held.set()

    first, second = await client.read_many(2)
    assert (first["rid"], first["results"]) == (1, [])
    assert second == {"ok": True, "aborted": True, "rid": 2}


async def test_two_hundred_waiting_pulls_are_each_answered_once(serve: Serve) -> None:
    served = await serve()
    clients = [await served.open_v2() for _ in range(10)]
    for client in clients:
        client.send(*(pull(rid=rid, wait_ms=60_000) for rid in range(20)))
    await waiting(served, 200)

    for number in range(200):
        served.operations.give(f"{JOB[:-3]}{number:03}", number)

    answers = [answer for client in clients for answer in await client.read_many(20)]
    assert len({answer["job"]["id"] for answer in answers}) == 200
    for client in clients:
        assert await client.ask(line("ping")) == {"ok": True}


# --- closing -----------------------------------------------------------------------------------------------------


async def test_a_connection_that_closes_gives_up_its_pulls(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2()
    client.send(pull(rid=1, wait_ms=60_000), pull(rid=2, wait_ms=60_000))
    await waiting(served, 2)

    await client.close()

    await served.until(lambda: served.door.connections == 0)
    assert served.operations.cancelled == 2
    assert len(served.operations.forgotten) == 1


async def test_what_arrived_before_the_connection_broke_is_carried_out(serve: Serve) -> None:
    served = await serve()
    held = served.operations.held["push"] = asyncio.Event()
    client = await served.open()
    client.send(push(), line("ack", id=JOB), pull())
    await served.until(lambda: served.operations.ran("push") == 1)

    await client.reset()
    await served.until(lambda: len(served.operations.forgotten) == 1)
    held.set()

    await served.until(lambda: served.door.connections == 0)
    assert served.operations.calls == [("push", 1), ("ack", 1)]


async def test_half_closed_still_gets_all_answers(serve: Serve) -> None:
    served = await serve()
    client = await served.open()
    client.send(push(name="a"), push(name="b").rstrip(b"\n"))
    client.writer.write_eof()

    said = [json.loads(text) for text in (await client.rest()).splitlines()]

    assert [answer["id"] for answer in said] == ["a", "b"]


async def test_half_closed_ends_waiting(serve: Serve) -> None:
    served = await serve()
    client = await served.open()
    client.send(pull(wait_ms=60_000), pull(wait_ms=60_000))
    await waiting(served, 1)
    client.writer.write_eof()

    assert await client.rest() == b'{"ok":true,"job":null}\n' * 2


async def test_bye_is_the_last_answer(serve: Serve) -> None:
    served = await serve()
    client = await served.open_v2()
    client.send(pull(rid=1, wait_ms=60_000))
    await waiting(served, 1)
    client.send(line("bye", rid=2), push(rid=3))

    said = [json.loads(text) for text in (await client.rest()).splitlines()]

    assert said == [{"ok": True, "job": None, "rid": 1}, {"ok": True, "rid": 2}]
    assert served.operations.ran("push") == 0


@pytest.mark.parametrize(
    ("opening", "saw"),
    [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"), (b"\x01\x00\x04", "binary"), (b"\x16\x03", "tls")],
)  # fmt: skip
async def test_another_protocol_is_told_so_and_closed(
    serve: Serve, opening: bytes, saw: str
) -> None:
    client = await (await serve()).open()
    client.send(opening)

    said = json.loads(await client.rest())

    assert said["error"]["code"] == "UNSUPPORTED_PROTOCOL"
    assert said["error"]["details"] == {"saw": saw}


async def test_the_sender_of_a_line_that_is_too_long_gets_to_read_why(serve: Serve) -> None:
    served = await serve()
    client = await served.open()
    client.send(b"x" * 12_000_000)

    answer = await client.read()

    assert answer["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert await client.rest() == b""
    client.writer.close()
    await served.until(lambda: served.door.connections == 0)


# --- back-pressure -----------------------------------------------------------------------------------------------


async def slow_client(served: Served) -> LineClient:
    """A client whose socket holds little, so that the server notices soon that nothing is read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", served.door.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    return await served.stack.enter_async_context(LineClient(reader, writer))


async def steady(served: Served) -> int:
    """The number of gets once it no longer changes."""
    seen = -1
    while seen != served.operations.ran("get"):
        seen = served.operations.ran("get")
        await asyncio.sleep(0.1)
    return seen


@pytest.mark.slow
async def test_a_peer_that_does_not_read_is_not_read_from(serve: Serve) -> None:
    served = await serve(write_buffer_bytes=256 * 1024, max_in_flight=20)
    served.operations.size = 64 * 1024
    client = await slow_client(served)
    total = 2000
    client.send(*(line("get", id=JOB, rid=rid) for rid in range(total)))
    await served.until(lambda: served.operations.ran("get") > 0)

    assert await steady(served) < total / 2

    client.reader._limit = 1 << 24  # from here on it reads eagerly
    received = 0
    while received < total:
        received += (await asyncio.wait_for(client.reader.read(1 << 20), 10)).count(b"\n")
    assert received == total
    assert served.operations.ran("get") == total


async def test_no_more_is_read_than_may_be_in_flight(serve: Serve) -> None:
    served = await serve(max_in_flight=5)
    client = await served.open_v2()
    client.send(*(pull(rid=rid, wait_ms=60_000) for rid in range(12)), line("ping", rid=99))
    await waiting(served, 5)
    assert served.operations.ran("pull") == 5

    for round_size in (5, 5, 2):
        await waiting(served, round_size)
        served.operations.drain()

    assert sorted(answer["rid"] for answer in await client.read_many(13)) == [*range(12), 99]


async def test_a_peer_that_never_reads_is_cut_off(serve: Serve) -> None:
    served = await serve(write_buffer_bytes=64 * 1024, idle_timeout_ms=60_000)
    served.operations.size = 1 << 20
    client = await slow_client(served)
    client.send(*(line("get", id=JOB) for _ in range(200)))
    await served.until(lambda: served.operations.ran("get") > 0)
    await steady(served)

    served.pass_time(59_000)
    assert served.door.connections == 1
    served.pass_time(3_000)

    await served.until(lambda: served.door.connections == 0)
