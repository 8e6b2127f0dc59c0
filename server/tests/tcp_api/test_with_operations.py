"""The TCP door over the real operations and a store in memory: what a client sees."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import trustme
from tests.tcp_api.conftest import Serve
from tests.tcp_api.line_client import LineClient, line, pull, push

from jobwire_server import app
from jobwire_server.config import HttpSettings, Settings, TcpSettings


class Server:
    def __init__(self, running: app.Server, stack: AsyncExitStack) -> None:
        self.running = running
        self._stack = stack

    async def open(self, version: int = 1) -> LineClient:
        client = await self._stack.enter_async_context(await LineClient.open(self.running.tcp.port))
        if version == 2:
            assert (await client.hello())["v"] == 2
        return client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    settings = Settings(storage="memory://", http=HttpSettings(port=0), tcp=TcpSettings(port=0))
    async with app.running(settings) as running, AsyncExitStack() as stack:
        yield Server(running, stack)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_job_is_pushed_pulled_and_acked(server: Server, version: int) -> None:
    client = await server.open(version)

    pushed = await client.ask(push(data={"a": 1}, rid=1))
    job = (await client.ask(pull(rid=2)))["job"]
    acked = await client.ask(line("ack", id=job["id"], lease=job["lease"], rid=3))

    assert job["id"] == pushed["id"]
    assert job["data"] == {"a": 1}
    assert acked == {"ok": True, "rid": 3}


async def test_a_thousand_pipelined_pushes_are_all_kept(server: Server) -> None:
    client = await server.open()
    client.send(*(push(data=number) for number in range(1000)))
    assert len({answer["id"] for answer in await client.read_many(1000)}) == 1000

    jobs = (await client.ask(pull(count=1000)))["jobs"]

    assert [job["data"] for job in jobs] == list(range(1000))


async def test_hello_announces_what_the_server_can_do(server: Server) -> None:
    said = await (await server.open()).hello()

    assert said["server"]["name"] == "jobwire"
    assert "wire-v2" in said["capabilities"]
    assert said["limits"]["line_bytes"] == 4194304
    assert said["heartbeat_ms"] == 10_000


async def test_the_worker_of_a_hello_is_listed(server: Server) -> None:
    client = await server.open()
    await client.hello(worker={"id": "w1", "concurrency": 3}, client={"name": "sdk"})

    workers = (await client.ask(line("workers")))["workers"]

    assert [(w["id"], w["concurrency"], w["client"]) for w in workers] == [("w1", 3, "sdk")]


async def test_a_waiting_pull_gets_the_job_that_is_pushed(server: Server) -> None:
    worker, producer = await server.open(2), await server.open()
    worker.send(pull(rid=1, wait_ms=60_000))
    await worker.ask(line("ping", rid=2))

    pushed = await producer.ask(push())

    assert (await worker.read())["job"]["id"] == pushed["id"]


async def test_a_job_is_not_given_to_a_connection_that_is_gone(server: Server) -> None:
    gone, producer, worker = await server.open(2), await server.open(), await server.open()
    gone.send(*(pull(rid=rid, wait_ms=60_000) for rid in range(5)))
    await gone.ask(line("ping", rid=9))

    await gone.reset()
    pushed = await producer.ask(push())

    # The pull that waits stands behind those of the connection that broke, whichever of them had been told.
    job = (await worker.ask(pull(wait_ms=5_000)))["job"]
    assert job["id"] == pushed["id"]


async def test_an_aborted_pull_takes_no_job_with_it(server: Server) -> None:
    client, producer = await server.open(2), await server.open()
    for rid in range(0, 40, 2):
        client.send(pull(rid=rid, wait_ms=60_000))
        await client.ask(line("ping", rid=1_000))

        producer.send(push())
        client.send(line("abort", target=rid, rid=rid + 1))
        pushed, first, second = await producer.read(), await client.read(), await client.read()

        assert (first["rid"], second["rid"]) == (rid, rid + 1)
        assert (first["job"] is None) is second["aborted"]
        job = first["job"] or (await producer.ask(pull(wait_ms=5_000)))["job"]
        assert job["id"] == pushed["id"]


async def test_the_holder_is_told_that_its_job_is_cancelled(server: Server) -> None:
    worker, other = await server.open(2), await server.open()
    await other.ask(push())
    job = (await worker.ask(pull(rid=1)))["job"]

    assert (await other.ask(line("cancel", id=job["id"])))["state"] == "active"

    expected = {"notice": "job.cancel", "id": job["id"], "lease": job["lease"]}
    assert await worker.read() == expected


async def test_drain_answers_waiting_pulls_and_says_goodbye(server: Server) -> None:
    old, new = await server.open(), await server.open(2)
    old.send(pull(wait_ms=60_000))
    new.send(pull(rid=5, wait_ms=60_000))
    assert await new.ask(line("ping", rid=6)) == {"ok": True, "rid": 6}

    await asyncio.wait_for(server.running.drain(), 10)

    assert await old.rest() == b'{"ok":true,"job":null}\n'
    assert set((await new.rest()).splitlines()) == {
        b'{"notice":"goaway","last_rid":5,"reason":"shutdown"}',
        b'{"ok":true,"job":null,"rid":5}',
    }


# --- TLS ---------------------------------------------------------------------------------------------------------


async def test_the_same_is_spoken_over_tls(serve: Serve) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    served = await serve(ssl_context=context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    client = await served.open(ssl=trusting, server_hostname="localhost")
    client.send(push(name="a"), line("bye"))

    assert await client.read() == {"ok": True, "id": "a", "outcome": "created"}
    assert await client.rest() == b'{"ok":true}\n'
    await served.until(lambda: served.door.connections == 0)
