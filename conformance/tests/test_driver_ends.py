"""How a driver ends (drivers of all SDKs): a SIGTERM ends it at once, the end of its input lets it finish and exit with 0."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conformance.runner.driver import PATIENCE
from conformance.runner.driver_messages import read, write
from conformance.runner.sdk_pool import SDKS

ALL = pytest.mark.parametrize("sdk", sorted(SDKS))


class Talk:
    """A driver's process, its input open until `hang_up`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def say(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(write(message))
        await self.process.stdin.drain()

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return read(await self.process.stdout.readline())

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Its exit code, and what it still said."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            rest = await self.process.stdout.read()
            return await self.process.wait(), [json.loads(line) for line in rest.splitlines()]


@asynccontextmanager
async def talk(sdk: str) -> AsyncIterator[Talk]:
    process = await asyncio.create_subprocess_exec(*SDKS[sdk], stdin=-1, stdout=-1, stderr=-3)
    try:
        talking = Talk(process)
        await talking.say(t="init", proto=1, virtual=False, seed=1)
        assert (await talking.hear())["t"] == "ready"
        yield talking
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The URL of a server that takes requests and answers none, and an event: a request is there."""
    asked = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1")
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", asked


async def call_without_answer(driver: Talk, url: str, asked: asyncio.Event) -> None:
    args = {"url": url, "timeout_ms": 600_000, "retries": 0}
    await driver.say(t="new", id=1, obj="c", kind="client", args=args)
    assert (await driver.hear())["ok"]
    await driver.say(t="call", id=2, obj="c", method="list_queues", args={})
    async with asyncio.timeout(PATIENCE):
        await asked.wait()


@ALL
async def test_a_sigterm_ends_a_driver_at_once_whatever_is_in_flight(sdk: str) -> None:
    async with silent_server() as (url, asked), talk(sdk) as driver:
        await call_without_answer(driver, url, asked)

        driver.process.send_signal(signal.SIGTERM)
        _, said = await driver.end()

        assert said == []  # the call was not waited for


@ALL
@pytest.mark.parametrize("method", ["run", "start"])
async def test_a_sigterm_ends_a_driver_at_once_also_while_its_worker_works(
    sdk: str, method: str
) -> None:
    """A worker would drain on the signal, and wait for its pull; the driver's process does not let it."""
    async with silent_server() as (url, asked), talk(sdk) as driver:
        args = {"url": url, "timeout_ms": 600_000, "retries": 0}
        await driver.say(t="new", id=1, obj="c", kind="client", args=args)
        assert (await driver.hear())["ok"]
        work = {"client": "c", "queues": ["q"], "handlers": ["n"], "grace_ms": 600_000}
        await driver.say(t="new", id=2, obj="w", kind="worker", args=work)
        assert (await driver.hear())["ok"]
        await driver.say(t="call", id=3, obj="w", method=method, args={})
        async with asyncio.timeout(PATIENCE):
            await asked.wait()

        driver.process.send_signal(signal.SIGTERM)
        code, said = await driver.end()

        assert code != 0
        assert all(message["id"] == 3 and message["ok"] for message in said)  # of `start`


@ALL
async def test_a_sigterm_ends_a_driver_that_has_nothing_to_do(sdk: str) -> None:
    async with talk(sdk) as driver:
        driver.process.send_signal(signal.SIGTERM)

        _, said = await driver.end()

        assert said == []


@ALL
async def test_the_end_of_its_input_ends_a_driver_with_0(sdk: str) -> None:
    async with talk(sdk) as driver:
        driver.hang_up()

        assert await driver.end() == (0, [])


@ALL
async def test_what_was_asked_before_the_end_of_the_input_is_answered(sdk: str) -> None:
    async with talk(sdk) as driver:
        await driver.say(t="stats", id=1)
        driver.hang_up()

        code, said = await driver.end()

        assert code == 0
        assert [(message["t"], message["id"], message["ok"]) for message in said] == [
            ("result", 1, True)
        ]


@ALL
async def test_a_call_without_an_answer_does_not_keep_a_driver_whose_input_has_ended(
    sdk: str,
) -> None:
    async with silent_server() as (url, asked), talk(sdk) as driver:
        await call_without_answer(driver, url, asked)

        driver.hang_up()
        code, _ = await driver.end()

        assert code == 0
