"""The life of the door: clients that go away, a full house, draining and closing."""

from __future__ import annotations

import asyncio

import pytest
from tests.http_api.conftest import Serve, Served, prepared
from tests.http_api.raw_http import request

from jobwire_server.errors import JobwireError
from jobwire_server.http_api.connection import Connection

QUEUES = request("GET", "/api/v1/queues")
PULL = request("POST", "/api/v1/queues/emails/pull", b'{"wait_ms":60000}')


async def _held(served: Served) -> asyncio.Event:
    """Make every operation wait for the event that is returned."""
    served.operations.hold = asyncio.Event()
    return served.operations.hold


async def test_a_client_that_goes_away_cancels_its_waiting_pull(served: Served) -> None:
    await _held(served)
    client = await served.open()
    client.write(PULL)
    await served.operations.entered.wait()

    client.transport.abort()

    async with asyncio.timeout(5):
        await served.operations.cancelled.wait()
    await client.close()


async def test_a_client_that_goes_away_does_not_cancel_its_change(served: Served) -> None:
    """The store carries it out in any case, and whoever waits for the job must be told (JW-PULL-9)."""
    hold = await _held(served)
    client = await served.open()
    client.write(request("POST", "/api/v1/queues/emails/jobs", b'{"name":"n"}'))
    await served.operations.entered.wait()

    client.transport.abort()
    async with asyncio.timeout(5):
        while served.door._listener is not None and served.door._listener.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0)
    hold.set()

    async with asyncio.timeout(5):
        await served.operations.finished.wait()
    assert not served.operations.cancelled.is_set()
    await client.close()


async def test_a_client_that_closes_in_the_middle_of_a_body_costs_nothing(served: Served) -> None:
    client = await served.open()
    await client.send(
        request("POST", "/api/v1/queues/emails/jobs", headers={
            "Content-Type": "application/json", "Content-Length": "100",
        }) + b"{"
    )  # fmt: skip
    await client.close()

    assert (await served.ask("GET", "/queues")).status == 200
    assert served.operations.names == ["queues"]
    assert [line["event"] for line in served.log.entries if line["log_level"] == "error"] == []


async def test_a_waiting_pull_does_not_hold_up_other_connections(served: Served) -> None:
    hold = await _held(served)

    async with await served.open() as waiting:
        waiting.write(PULL)
        await served.operations.entered.wait()
        served.operations.hold = None
        other = await served.ask("GET", "/queues")
        hold.set()
        pulled = await waiting.answer()

    assert (other.status, pulled.status) == (200, 200)


async def test_a_connection_too_many_is_told_so(serve: Serve) -> None:
    served = await serve(max_connections=2)

    async with await served.open() as first, await served.open() as second:
        assert (await first.ask(QUEUES)).status == 200
        assert (await second.ask(QUEUES)).status == 200
        async with await served.open() as third:
            answer = await third.ask(QUEUES)
            rest = await third.rest()

    assert (answer.status, answer.code, answer.closes) == (503, "OVERLOADED", True)
    assert answer.headers["x-request-id"]
    assert answer.headers["retry-after"] == "1"
    assert answer.json["error"]["details"] == {"limit": 2}
    assert rest == b""
    assert len(served.operations.calls) == 2


async def test_there_is_room_again_when_a_connection_ends(serve: Serve) -> None:
    served = await serve(max_connections=1)

    for _ in range(5):
        async with await served.open() as client:
            answer = await client.ask(
                request("GET", "/api/v1/queues", headers={"Connection": "close"})
            )
            await client.rest()
        assert answer.status == 200
    assert "jobwire_http_connections 0.0" in served.metrics.render().decode()


async def test_draining_finishes_what_is_in_flight_and_takes_no_connection(served: Served) -> None:
    hold = await _held(served)
    async with await served.open() as busy, await served.open() as kept:
        busy.write(QUEUES)
        await served.operations.entered.wait()

        draining = asyncio.create_task(served.door.drain())
        served.operations.hold = None
        last = await kept.ask(QUEUES)
        with pytest.raises(ConnectionRefusedError):
            await served.open()
        assert not draining.done()
        hold.set()
        answer = await busy.answer()
        await draining

    assert (answer.status, answer.closes) == (200, True)
    assert (last.status, last.closes) == (200, True)


async def test_draining_ends_at_its_deadline(serve: Serve) -> None:
    served = await serve(server={"drain_timeout_ms": 50})
    await _held(served)
    async with await served.open() as stuck:
        stuck.write(QUEUES)
        await served.operations.entered.wait()

        await served.door.drain()
        await served.door.close()

        assert await stuck.rest() == b""
    assert served.operations.cancelled.is_set()
    assert {
        "event": "http.drain_timeout",
        "log_level": "warning",
        "in_flight": 1,
    } in served.log.entries


async def test_closing_cancels_what_runs_and_ends_idle_connections_at_once(served: Served) -> None:
    await _held(served)
    async with await served.open() as busy, await served.open() as idle:
        busy.write(PULL)
        await served.operations.entered.wait()

        async with asyncio.timeout(3):
            await served.door.close()

        assert served.operations.cancelled.is_set()
        assert (await busy.rest(), await idle.rest()) == (b"", b"")


async def test_closing_waits_for_a_change_whose_client_is_gone(served: Served) -> None:
    hold = await _held(served)
    client = await served.open()
    client.write(request("POST", "/api/v1/queues/emails/jobs", b'{"name":"n"}'))
    await served.operations.entered.wait()
    client.transport.abort()

    closing = asyncio.create_task(served.door.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    hold.set()
    async with asyncio.timeout(5):
        await closing

    assert served.operations.finished.is_set()
    await client.close()


async def test_a_bug_in_the_look_at_one_connection_spares_the_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Connection] = []

    def sweep(connection: Connection, now: float) -> None:
        swept.append(connection)
        raise RuntimeError("planted")

    monkeypatch.setattr(Connection, "sweep", sweep)
    served = await serve(server={"read_timeout_ms": 100})
    async with await served.open() as first, await served.open() as second:
        async with asyncio.timeout(5):
            assert (await first.rest(), await second.rest()) == (b"", b"")

    assert len(set(swept)) == 2
    assert {each["event"] for each in served.log.entries} == {"http.bug"}


async def test_closing_and_draining_may_be_repeated(served: Served) -> None:
    await served.door.drain()
    await served.door.close()
    await served.door.drain()
    await served.door.close()

    with pytest.raises(ConnectionRefusedError):
        await served.open()


async def test_a_door_that_never_opened_can_be_closed() -> None:
    served = prepared((), {}, {})

    await served.door.drain()
    await served.door.close()

    with pytest.raises(RuntimeError, match="not open"):
        _ = served.door.port


async def test_an_address_that_is_taken_is_an_os_error(serve: Serve) -> None:
    first = await serve()

    with pytest.raises(OSError, match="address already in use"):
        await serve(port=first.door.port)


async def test_an_error_of_an_operation_keeps_the_connection(served: Served) -> None:
    served.operations.answers["queues"] = JobwireError("SHUTTING_DOWN", "stopping")

    async with await served.open() as client:
        first, second = await client.ask(QUEUES), await client.ask(QUEUES)

    assert [first.code, second.code] == ["SHUTTING_DOWN"] * 2
    assert not first.closes
    events = [line for line in served.log.entries if line["event"] == "http.error"]
    assert [line["code"] for line in events] == ["SHUTTING_DOWN"] * 2


async def test_the_url_is_what_one_would_type(serve: Serve) -> None:
    served = await serve()

    assert served.door.url == f"http://127.0.0.1:{served.door.port}"
