"""An answer reaches the call it belongs to, or nobody: on every transport, whatever happens to other calls."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from tests.peers import HttpConnection, LineConnection, http_peer, line_peer

from jobwire import AsyncClient, Client, ProtocolError, RequestTimeout

THREADS = 32
CALLS_A_THREAD = 500
TASKS = 200
CALLS_A_TASK = 40


def _job(id: str) -> dict[str, Any]:
    return {"id": id, "queue": "q", "name": id, "data": {"id": id}, "state": "waiting"}


def shuffling_echo(connection: LineConnection) -> None:
    """Answers `get` with the job asked for, all that has arrived at a time in a drawn order."""
    connection.welcome()
    shuffle = random.Random(7).shuffle
    while connection.receive():
        *lines, connection.buffer = connection.buffer.split(b"\n")
        shuffle(lines)
        answers = []
        for line in lines:
            rid, id = line.split(b'"rid":')[1].split(b',"id":"')
            answers.append(
                b'{"ok":true,"job":{"id":"%s","data":1},"rid":%s}\n' % (id.rstrip(b'"}'), rid)
            )
        connection.send_bytes(b"".join(answers))


def echo_http(connection: HttpConnection) -> None:
    while (request := connection.read_request()) is not None:
        connection.respond(job=_job(request.target.rsplit("/", 1)[1]))


@pytest.mark.slow
def test_tcp_gives_each_of_16000_calls_from_32_threads_its_own_answer() -> None:
    wrong: list[tuple[str, str]] = []
    done = []

    def work(client: Client, name: str, barrier: threading.Barrier) -> None:
        barrier.wait()
        for number in range(CALLS_A_THREAD):
            asked = f"{name}-{number}"
            got = client.get_job(asked).id
            done.append(got)
            if got != asked:
                wrong.append((asked, got))

    with line_peer(shuffling_echo) as peer, Client(peer.url) as client:
        barrier = threading.Barrier(THREADS)
        threads = [
            threading.Thread(target=work, args=(client, f"t{index}", barrier))
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert len(set(done)) == THREADS * CALLS_A_THREAD
    assert peer.accepted == 1


async def test_async_tcp_gives_each_of_8000_calls_from_200_tasks_its_own_answer() -> None:
    async def work(client: AsyncClient, name: str) -> list[str]:
        asked = [f"{name}-{number}" for number in range(CALLS_A_TASK)]
        got = [(await client.get_job(id)).id for id in asked]
        assert got == asked
        return got

    with line_peer(shuffling_echo) as peer:
        async with AsyncClient(peer.url) as client:
            results = await asyncio.gather(*(work(client, f"t{index}") for index in range(TASKS)))

    assert len({id for result in results for id in result}) == TASKS * CALLS_A_TASK
    assert peer.accepted == 1


def test_http_gives_each_call_from_32_threads_its_own_answer() -> None:
    wrong = []

    def work(client: Client, name: str) -> None:
        for number in range(50):
            asked = f"{name}-{number}"
            if client.get_job(asked).id != asked:
                wrong.append(asked)

    with http_peer(echo_http) as peer, Client(peer.url) as client:
        threads = [
            threading.Thread(target=work, args=(client, f"t{index}")) for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert peer.accepted <= THREADS


async def test_async_http_gives_each_of_200_concurrent_calls_its_own_answer() -> None:
    with http_peer(echo_http) as peer:
        async with AsyncClient(peer.url) as client:
            asked = [f"job-{number}" for number in range(TASKS)]
            got = await asyncio.gather(*map(client.get_job, asked))

    assert [job.id for job in got] == asked
    assert peer.accepted <= 100


# --- after a timeout --------------------------------------------------------------------------------------------------


def test_tcp_drops_the_answer_to_a_call_that_timed_out() -> None:
    """JW-SDK-12."""
    timed_out = threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        late = connection.expect("get")
        connection.answer(connection.expect("ping"))  # the connection lives, only one call is slow
        assert timed_out.wait(10)
        second = connection.expect("get")
        connection.answer(late, job=_job("first"))
        connection.answer(second, job=_job("second"))
        connection.wait_for_end()

    def slow(client: Client) -> None:
        with pytest.raises(RequestTimeout):
            client.with_options(timeout=0.3, retries=0).get_job("first")
        timed_out.set()

    with line_peer(script) as peer, Client(peer.url) as client:
        client_thread = threading.Thread(target=slow, args=(client,))
        client_thread.start()
        _until_in_flight(client)
        client.ping()
        client_thread.join()

        assert client.get_job("second").id == "second"

    assert timed_out.is_set()
    assert peer.accepted == 1


def _until_in_flight(client: Client) -> None:
    """Until the first request has been written; its order on the wire is then fixed."""
    deadline = threading.Event()
    for _ in range(1000):
        link = getattr(client._transport, "_current", None)
        if link is not None and link._session.in_flight:
            return
        deadline.wait(0.001)
    raise AssertionError("nothing was sent")


async def test_async_tcp_drops_the_answer_to_a_call_that_timed_out() -> None:
    """JW-SDK-12."""
    timed_out = threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        late = connection.expect("get")
        connection.answer(connection.expect("ping"))
        assert timed_out.wait(10)
        second = connection.expect("get")
        connection.answer(late, job=_job("first"))
        connection.answer(second, job=_job("second"))
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            slow = asyncio.create_task(client.with_options(timeout=0.3, retries=0).get_job("first"))
            await asyncio.sleep(0)
            await client.ping()
            with pytest.raises(RequestTimeout):
                await slow
            timed_out.set()

            assert (await client.get_job("second")).id == "second"

    assert peer.accepted == 1


@pytest.mark.parametrize("version", [1, 2])
def test_tcp_gives_up_a_connection_on_which_nothing_was_heard(version: int) -> None:
    """Half open, or a version without rids: what comes later on this connection must not be believed. JW-SDK-12."""

    def script(connection: LineConnection) -> None:
        connection.welcome(version)
        request = connection.expect("get")
        if connection.number == 0:
            connection.wait_for_end()
        else:
            connection.send(ok=True, rid=request.get("rid"), job=_job("second"))
            connection.wait_for_end()

    with line_peer(script) as peer, Client(peer.url) as client:
        with pytest.raises(RequestTimeout):
            client.with_options(timeout=0.2, retries=0).get_job("first")

        assert client.get_job("second").id == "second"

    assert peer.accepted == 2


@pytest.mark.parametrize("version", [1, 2])
async def test_async_tcp_gives_up_a_connection_on_which_nothing_was_heard(version: int) -> None:
    """JW-SDK-12."""

    def script(connection: LineConnection) -> None:
        connection.welcome(version)
        request = connection.expect("get")
        if connection.number == 0:
            connection.wait_for_end()
        else:
            connection.send(ok=True, rid=request.get("rid"), job=_job("second"))
            connection.wait_for_end()

    with line_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            with pytest.raises(RequestTimeout):
                await client.with_options(timeout=0.2, retries=0).get_job("first")

            assert (await client.get_job("second")).id == "second"

    assert peer.accepted == 2


def _late_http(timed_out: threading.Event) -> Any:
    def script(connection: HttpConnection) -> None:
        if connection.number == 1:
            connection.read()
            connection.respond(job=_job("second"))
            connection.wait_for_end()
            return
        connection.read()
        connection.respond(job=_job("warm"))  # so that the connection is a kept one
        connection.read()
        assert timed_out.wait(10)
        try:
            connection.respond(job=_job("first"))
        except ConnectionError:
            return  # the client has gone, as it should

    return script


def test_http_does_not_use_a_kept_connection_again_after_a_timeout() -> None:
    """JW-SDK-12."""
    timed_out = threading.Event()
    with http_peer(_late_http(timed_out)) as peer, Client(peer.url) as client:
        assert client.get_job("warm").id == "warm"
        with pytest.raises(RequestTimeout):
            client.with_options(timeout=0.2, retries=0).get_job("first")
        timed_out.set()

        assert client.get_job("second").id == "second"

    assert peer.accepted == 2


async def test_async_http_does_not_use_a_kept_connection_again_after_a_timeout() -> None:
    """JW-SDK-12."""
    timed_out = threading.Event()
    with http_peer(_late_http(timed_out)) as peer:
        async with AsyncClient(peer.url) as client:
            assert (await client.get_job("warm")).id == "warm"
            with pytest.raises(RequestTimeout):
                await client.with_options(timeout=0.2, retries=0).get_job("first")
            timed_out.set()

            assert (await client.get_job("second")).id == "second"

    assert peer.accepted == 2


# --- after a cancelled task -------------------------------------------------------------------------------------------


async def test_async_tcp_drops_the_answer_to_a_cancelled_call() -> None:
    """JW-SDK-12."""
    arrived, cancelled = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        late = connection.expect("get")
        loop.call_soon_threadsafe(arrived.set)
        assert cancelled.wait(10)
        second = connection.expect("get")
        connection.answer(late, job=_job("first"))
        connection.answer(second, job=_job("second"))
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            task = asyncio.create_task(client.get_job("first"))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled.set()

            assert (await client.get_job("second")).id == "second"

    assert peer.accepted == 1


async def test_async_tcp_in_version_1_gives_up_the_connection_of_a_cancelled_call() -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(connection: LineConnection) -> None:
        connection.welcome(1)
        connection.expect("get")
        if connection.number == 0:
            loop.call_soon_threadsafe(arrived.set)
        else:
            connection.send(ok=True, job=_job("second"))
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            task = asyncio.create_task(client.get_job("first"))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert (await client.get_job("second")).id == "second"

    assert peer.accepted == 2


async def test_async_http_closes_the_connection_of_a_cancelled_call() -> None:
    """JW-SDK-12."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended = threading.Event()

    def script(connection: HttpConnection) -> None:
        connection.read()
        if connection.number == 0:
            loop.call_soon_threadsafe(arrived.set)
            connection.wait_for_end()
            ended.set()
        else:
            connection.respond(job=_job("second"))
            connection.wait_for_end()

    with http_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            task = asyncio.create_task(client.get_job("first"))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert (await client.get_job("second")).id == "second"
            assert ended.wait(10)

    assert peer.accepted == 2


async def test_a_cancelled_pull_is_aborted_and_jobs_that_came_anyway_are_given_back() -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    released: list[dict[str, Any]] = []
    done = threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        pull = connection.expect("pull")
        loop.call_soon_threadsafe(arrived.set)
        abort = connection.expect("abort")
        assert abort["target"] == pull["rid"]
        connection.answer(pull, job={**_job("orphan"), "lease": "L1"})
        connection.answer(abort, aborted=False)
        released.append(connection.expect("release"))
        done.set()
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with AsyncClient(peer.url) as client:
            task = asyncio.create_task(client.pull("q", wait=20))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(done.wait, 10)

    assert [(line["id"], line["lease"]) for line in released] == [("orphan", "L1")]


def test_an_answer_to_a_request_that_was_never_sent_ends_the_connection() -> None:
    def script(connection: LineConnection) -> None:
        connection.welcome()
        request = connection.expect("retry")
        connection.send(ok=True, rid=request["rid"] + 1, state="waiting")
        connection.wait_for_end()

    with (
        line_peer(script) as peer,
        Client(peer.url) as client,
        pytest.raises(ProtocolError, match="never sent"),
    ):
        client.retry("job")
