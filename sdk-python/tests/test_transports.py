"""The four transports against scripted peers: reconnects, lost replies, goodbyes, refusals, TLS, closing."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from tests.peers import (
    HttpConnection,
    LineConnection,
    Peer,
    free_port,
    http_peer,
    line_peer,
)

import jobwire
from jobwire import AsyncClient, Client, JobwireError, ProtocolError, TransportError

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
JOB = {"id": "j", "queue": "q", "name": "n", "data": {"x": 1}}


class Caller:
    """A client of either kind, called the same way; the synchronous one in a thread, so that both can be awaited."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self.client: Any = Client(url, **options) if kind == "sync" else AsyncClient(url, **options)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        if isinstance(self.client, Client):
            await asyncio.to_thread(self.client.close)
        else:
            await self.client.aclose()

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        bound = getattr(self.client, method)
        if isinstance(self.client, Client):
            return await asyncio.to_thread(bound, *args, **kwargs)
        return await bound(*args, **kwargs)

    async def error(self, method: str, *args: Any, **kwargs: Any) -> JobwireError:
        with pytest.raises(JobwireError) as caught:
            await self.call(method, *args, **kwargs)
        return caught.value


# --- making connections, and making them again ------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_nobody_there_is_connection_failed(kind: str, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}"
    async with Caller(kind, url, retries=0) as caller:
        error = await caller.error("ping")

    assert (type(error), error.code) == (TransportError, "CONNECTION_FAILED")
    assert jobwire.safe_to_retry(error)


@KINDS
async def test_a_server_that_does_not_answer_hello_is_connection_failed(kind: str) -> None:
    with line_peer(LineConnection.wait_for_end) as peer:
        async with Caller(kind, peer.url, retries=0, connect_timeout=0.2) as caller:
            error = await caller.error("ping")

    assert error.code == "CONNECTION_FAILED"


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_a_server_that_starts_late_is_reached(kind: str, scheme: str) -> None:
    """Nothing was sent while nobody listened, so even a call that must not happen twice goes on trying."""
    port = free_port()

    def serve() -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        sock, _ = listener.accept()
        listener.close()
        connection = (LineConnection if scheme == "tcp" else HttpConnection)(sock, 0)
        if isinstance(connection, LineConnection):
            connection.welcome()
            connection.answer(connection.expect("retry"), state="waiting")
        else:
            connection.read()
            connection.respond(state="waiting")
        return sock

    async with Caller(kind, f"{scheme}://127.0.0.1:{port}") as caller:
        call = asyncio.create_task(caller.call("retry", "j"))
        await asyncio.sleep(0.05)  # some tries fail first; how many does not matter
        sock = await asyncio.to_thread(serve)
        assert (await call).state == "waiting"
        sock.close()


@KINDS
async def test_many_calls_at_once_make_one_tcp_connection(kind: str) -> None:
    def script(connection: LineConnection) -> None:
        connection.welcome()
        while (line := connection.read_line()) is not None:
            connection.answer(line)

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            await asyncio.gather(*(caller.call("ping") for _ in range(20)))

    assert peer.accepted == 1


@KINDS
async def test_calls_that_wait_for_one_connection_all_hear_that_it_failed(kind: str) -> None:
    def script(connection: LineConnection) -> None:
        connection.refuse(connection.expect("hello"), "UNAUTHORIZED")

    with line_peer(script) as peer:
        async with Caller(kind, peer.url, token="wrong") as caller:
            errors = await asyncio.gather(*(caller.error("ping") for _ in range(5)))

    assert {error.code for error in errors} == {"UNAUTHORIZED"}
    assert len(set(map(id, errors))) == 5


# --- lost replies -----------------------------------------------------------------------------------------------------


@KINDS
async def test_a_push_whose_answer_is_lost_is_sent_again_with_its_id(kind: str) -> None:
    ids: list[str] = []

    def script(connection: LineConnection) -> None:
        connection.welcome()
        line = connection.expect("push")
        ids.append(line["id"])
        if connection.number > 0:
            connection.answer(line, id=line["id"], outcome="existing")
            connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            result = await caller.call("push", "q", "n")

    assert result.outcome == "existing"
    assert ids == [result.id] * 2


@KINDS
@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_pull_whose_answer_is_cut_is_sent_again_with_its_request_id(
    kind: str, cut: bytes
) -> None:
    asked: list[str] = []

    def script(connection: HttpConnection) -> None:
        request = connection.read()
        asked.append(request.json["request_id"])
        if connection.number == 0:
            connection.send_bytes(cut)
        else:
            connection.respond(job=JOB)
            connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            jobs = await caller.call("pull", "q")

    assert [job.id for job in jobs] == ["j"]
    assert len(asked) == 2
    assert asked[0] == asked[1]


@KINDS
async def test_a_kept_connection_that_the_server_closed_is_not_used(kind: str) -> None:
    """Not even a call that must not happen twice fails: the connection is seen to be closed before it is used."""
    closed = threading.Event()

    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.respond(state="waiting")
        if connection.number == 0:
            connection.sock.shutdown(socket.SHUT_RDWR)
            closed.set()
        else:
            connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0) as caller:
            await caller.call("retry", "j")
            assert await asyncio.to_thread(closed.wait, 10)
            await asyncio.sleep(0.02)  # the end of the connection travels through the kernel
            await caller.call("retry", "j")

    assert peer.accepted == 2


async def test_a_connection_that_ends_before_its_first_request_is_known_to_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def script(connection: HttpConnection) -> None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    loop = asyncio.get_running_loop()
    create = loop.create_connection

    async def create_and_dawdle(factory: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        made = await create(factory, *args, **kwargs)
        await factory().closed
        return made

    monkeypatch.setattr(loop, "create_connection", create_and_dawdle)
    with http_peer(script) as peer:
        async with AsyncClient(peer.url, retries=0) as client:
            with pytest.raises(TransportError) as caught:
                await client.push("q", "n")

    assert caught.value.code == "CONNECTION_FAILED"
    assert caught.value.retryable
    assert "closed at once" in caught.value.message


@KINDS
async def test_a_tcp_connection_that_failed_is_made_anew_by_the_next_call(kind: str) -> None:
    def script(connection: LineConnection) -> None:
        connection.welcome()
        connection.answer(connection.expect("ping"))

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            for _ in range(5):
                await caller.call("ping")

    assert peer.accepted == 5


# --- goodbyes ---------------------------------------------------------------------------------------------------------


@KINDS
async def test_goaway_lets_calls_in_flight_finish_and_sends_new_ones_elsewhere(kind: str) -> None:
    said_goodbye, answered = threading.Event(), threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        line = connection.expect("get")
        if connection.number == 0:
            connection.send(notice="goaway", last_rid=line["rid"], reason="restart")
            said_goodbye.set()
            assert answered.wait(10)
            connection.answer(line, job={**JOB, "name": "old"})
        else:
            connection.answer(line, job={**JOB, "name": "new"})
            answered.set()
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            heard = asyncio.Event()
            loop = asyncio.get_running_loop()
            caller.client._notices(lambda name, fields: loop.call_soon_threadsafe(heard.set))
            first = asyncio.create_task(caller.call("get_job", "j"))
            await asyncio.wait_for(heard.wait(), 10)
            second = await caller.call("get_job", "j")
            assert ((await first).name, second.name) == ("old", "new")

    assert peer.accepted == 2


@KINDS
async def test_a_request_that_goaway_overtook_is_sent_again_elsewhere(kind: str) -> None:
    """It was not processed, so even a call that must not happen twice is repeated."""

    def script(connection: LineConnection) -> None:
        connection.welcome()
        line = connection.expect("retry")
        if connection.number == 0:
            connection.send(notice="goaway", last_rid=line["rid"] - 1, reason="restart")
        else:
            connection.answer(line, state="waiting")
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            assert (await caller.call("retry", "j")).state == "waiting"

    assert peer.accepted == 2


@KINDS
async def test_notices_reach_the_subscriber_and_its_mistakes_stop_nobody(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def script(connection: LineConnection) -> None:
        connection.welcome()
        line = connection.expect("ping")
        connection.send(notice="job.cancel", id="j", lease="L", later={"x": 1})
        connection.answer(line)
        connection.answer(connection.expect("ping"))
        connection.wait_for_end()

    heard: list[Any] = []

    def hear(name: str, fields: Any) -> None:
        heard.append((name, fields["id"], fields["lease"]))
        raise RuntimeError("a mistake of the subscriber")

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            caller.client._notices(hear)
            await caller.call("ping")
            await caller.call("ping")

    assert heard == [("job.cancel", "j", "L")]
    assert "a callback for notices failed" in caplog.text


# --- waiting calls ----------------------------------------------------------------------------------------------------


@KINDS
async def test_a_waiting_pull_over_tcp_is_aborted_on_the_same_connection(kind: str) -> None:
    waiting = threading.Event()

    def script(connection: LineConnection) -> None:
        connection.welcome()
        pull = connection.expect("pull")
        waiting.set()
        abort = connection.expect("abort")
        assert abort["target"] == pull["rid"]
        connection.answer(pull, job=None)
        connection.answer(abort, aborted=True)
        connection.answer(connection.expect("ping"))
        connection.wait_for_end()

    with line_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            pull = asyncio.create_task(caller.call("pull", "q", wait=20))
            assert await asyncio.to_thread(waiting.wait, 10)
            await asyncio.sleep(0)
            caller.client._interrupt_waits()
            assert await pull == []
            await caller.call("ping")


@KINDS
async def test_a_waiting_pull_over_http_is_asked_again_without_a_wait(kind: str) -> None:
    """With the same request id, so that jobs that were claimed in this moment are not lost."""
    waiting = threading.Event()
    asked: list[dict[str, Any]] = []

    def script(connection: HttpConnection) -> None:
        request = connection.read()
        asked.append(request.json)
        if connection.number == 0:
            waiting.set()
        else:
            connection.respond(job=JOB)
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            pull = asyncio.create_task(caller.call("pull", "q", wait=20))
            assert await asyncio.to_thread(waiting.wait, 10)
            caller.client._interrupt_waits()
            assert [job.id for job in await pull] == ["j"]

    assert asked[0]["request_id"] == asked[1]["request_id"]
    assert [request.get("wait_ms") for request in asked] == [20000, None]


# --- what servers answer over HTTP ------------------------------------------------------------------------------------


@KINDS
async def test_the_request_carries_the_token_and_json(kind: str) -> None:
    seen: list[Any] = []

    def script(connection: HttpConnection) -> None:
        request = connection.read()
        seen.append((request.method, request.target, request.headers, request.json))
        connection.respond(201, id="i", outcome="created")
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url + "/base", token="s3cret") as caller:
            await caller.call("push", "q", "n", {"ä": 1}, id="i")

    [(method, target, headers, body)] = seen
    assert (method, target) == ("POST", "/base/api/v1/queues/q/jobs")
    assert headers["authorization"] == "bearer s3cret"  # the peer lower-cases headers
    assert headers["content-type"] == "application/json"
    assert body == {"id": "i", "name": "n", "data": {"ä": 1}}


@KINDS
async def test_a_refusal_is_the_error_of_its_code(kind: str) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.refuse(409, "LEASE_LOST", headers="X-Request-Id: r7\r\n", details={"id": "j"})
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            error = await caller.error("ack", "j")

    assert isinstance(error, jobwire.ConflictError)
    assert (error.code, error.status, error.request_id) == ("LEASE_LOST", 409, "r7")
    assert error.details == {"id": "j"}


@KINDS
async def test_retry_after_of_the_header_is_read(kind: str) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.refuse(429, "RATE_LIMITED", headers="Retry-After: 60\r\n")
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            error = await caller.error("ping")

    assert error.retry_after == 60.0


@KINDS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_nothing_is_sent_there(kind: str, status: int) -> None:
    with http_peer(HttpConnection.wait_for_end) as elsewhere:

        def script(connection: HttpConnection) -> None:
            connection.read()
            connection.respond(status, headers=f"Location: {elsewhere.url}/\r\n")
            connection.wait_for_end()

        with http_peer(script) as peer:
            async with Caller(kind, peer.url, token="s3cret") as caller:
                error = await caller.error("ping")

        assert elsewhere.accepted == 0
    assert isinstance(error, ProtocolError)
    assert error.status == status


@KINDS
@pytest.mark.parametrize(
    ("status", "retryable"), [(502, True), (504, True), (429, True), (404, False), (400, False)]
)
async def test_the_page_of_a_proxy_is_an_http_error(
    kind: str, status: int, retryable: bool
) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.send_bytes(
            f"HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>".encode()
        )
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0) as caller:
            error = await caller.error("ping")

    assert (error.code, error.status, error.retryable) == ("HTTP_ERROR", status, retryable)


@KINDS
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":"yes"',
        b'{"ok":false,"error":{"code":"UNSUPPORTED_PROTOCOL","message":"x"}}\n',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ],
)
async def test_what_is_no_answer_is_a_protocol_error(kind: str, answer: bytes) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.send_bytes(answer)
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url) as caller:
            assert isinstance(await caller.error("ping"), ProtocolError)

    assert peer.accepted == 1


@KINDS
async def test_an_answer_that_ends_with_the_connection_is_read(kind: str) -> None:
    def script(connection: HttpConnection) -> None:
        connection.read()
        connection.send_bytes(b'HTTP/1.1 200 OK\r\n\r\n{"ok":true}')

    with http_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0) as caller:
            await caller.call("ping")
            await caller.call("ping")

    assert peer.accepted == 2


@KINDS
async def test_a_refusal_before_the_whole_request_was_read_is_understood(kind: str) -> None:
    def script(connection: HttpConnection) -> None:
        connection.receive()
        connection.refuse(413, "PAYLOAD_TOO_LARGE", headers="Connection: close\r\n")
        connection.sock.shutdown(socket.SHUT_WR)
        connection.wait_for_end()

    with http_peer(script) as peer:
        async with Caller(kind, peer.url, retries=0) as caller:
            error = await caller.error("push", "q", "n", "x" * 3_000_000)

    assert error.code == "PAYLOAD_TOO_LARGE"


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_a_large_answer_arrives_whole(kind: str, scheme: str) -> None:
    data = "ä" * 2_000_000

    def over_tcp(connection: LineConnection) -> None:
        connection.welcome()
        connection.answer(connection.expect("get"), job={**JOB, "data": data})
        connection.wait_for_end()

    def over_http(connection: HttpConnection) -> None:
        connection.read()
        connection.respond(job={**JOB, "data": data})
        connection.wait_for_end()

    with line_peer(over_tcp) if scheme == "tcp" else http_peer(over_http) as peer:
        async with Caller(kind, peer.url) as caller:
            assert (await caller.call("get_job", "j")).data == data


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_a_large_request_arrives_whole_while_the_peer_is_slow(kind: str, scheme: str) -> None:
    data = "x" * 3_000_000
    sizes: list[int] = []

    def over_tcp(connection: LineConnection) -> None:
        connection.welcome()
        for _ in range(3):
            line = connection.expect("push")
            sizes.append(len(line["data"]))
            connection.answer(line, id=line["id"], outcome="created")
        connection.wait_for_end()

    def over_http(connection: HttpConnection) -> None:
        while (request := connection.read_request()) is not None:
            sizes.append(len(request.json["data"]))
            connection.respond(201, id="i", outcome="created")

    with line_peer(over_tcp) if scheme == "tcp" else http_peer(over_http) as peer:
        async with Caller(kind, peer.url) as caller:
            await asyncio.gather(*(caller.call("push", "q", "n", data) for _ in range(3)))

    assert sizes == [len(data)] * 3


# --- RustQueue --------------------------------------------------------------------------------------------------------


def rustqueue(token: str | None, seen: list[dict[str, Any]]) -> Callable[[LineConnection], None]:
    """RustQueue 0.3 as its contract describes it: no hello, no rids, answers in order, no details."""

    def refuse(connection: LineConnection, code: str) -> None:
        connection.send(error={"code": code, "message": code}, ok=False)

    def serve(connection: LineConnection, line: dict[str, Any]) -> None:
        match line["cmd"]:
            case "push":
                connection.send(id=f"server-{len(seen)}", ok=True)
            case "pull":
                connection.send(job={"id": line["queue"], "name": "n", "data": 1}, ok=True)
            case "ack_batch":
                connection.send(
                    acked=0,
                    failed=1,
                    ok=False,
                    results=[
                        {"error": {"code": "JOB_NOT_FOUND", "message": "x"}, "id": "a", "ok": False}
                    ],
                )
            case "fail":
                connection.send(next_attempt_at=None, ok=True, will_retry=True)
            case "cancel" | "heartbeat" | "ack":
                connection.send(ok=True)
            case _:
                refuse(connection, "UNKNOWN_COMMAND")

    def script(connection: LineConnection) -> None:
        authenticated = token is None
        while (line := connection.read_line()) is not None:
            seen.append(line)
            if not authenticated and line["cmd"] == "auth" and line["token"] == token:
                authenticated = True
                connection.send(ok=True)
            elif authenticated:
                serve(connection, line)
            else:
                refuse(connection, "UNAUTHORIZED")

    return script


@KINDS
@pytest.mark.parametrize("server_token", [None, "s3cret"])
@pytest.mark.parametrize("client_token", [None, "s3cret", "wrong"])
async def test_rustqueue_is_spoken_to_in_version_1(
    kind: str, server_token: str | None, client_token: str | None
) -> None:
    """JW-SDK-6."""
    seen: list[dict[str, Any]] = []
    allowed = server_token is None or server_token == client_token

    with line_peer(rustqueue(server_token, seen)) as peer:
        async with Caller(kind, peer.url, token=client_token) as caller:
            if not allowed:
                assert isinstance(await caller.error("push", "q", "n"), jobwire.AuthError)
                return
            pushed = await caller.call("push", "q", "n", {"a": 1}, priority=5)
            [job] = await caller.call("pull", "emails")
            await caller.call("ack", job)
            [item] = await caller.call("ack_batch", ["a"])
            failed = await caller.call("fail", "j", "e")
            await caller.call("cancel", "j")
            heartbeat = await caller.call("heartbeat", "j")
            unknown = await caller.error("release", "j")

    assert pushed.id.startswith("server-")
    assert (job.id, job.lease) == ("emails", None)
    assert isinstance(item.error, jobwire.NotFoundError)
    assert failed.retry is True
    assert heartbeat.cancelled is False
    assert isinstance(unknown, ProtocolError)
    assert all("rid" not in line for line in seen if line["cmd"] != "hello")
    [push] = [line for line in seen if line["cmd"] == "push"]
    assert push["options"] == {"priority": 5}


@KINDS
async def test_calls_at_once_on_version_1_get_their_own_answers(kind: str) -> None:
    with line_peer(rustqueue(None, [])) as peer:
        async with Caller(kind, peer.url) as caller:
            queues = [f"q{number}" for number in range(30)]
            pulled = await asyncio.gather(*(caller.call("pull", queue) for queue in queues))

    assert [jobs[0].id for jobs in pulled] == queues


# --- TLS --------------------------------------------------------------------------------------------------------------


class TlsPeer:
    """A peer behind TLS, with a certificate of its own authority."""

    def __init__(self, scheme: str, name: str = "127.0.0.1") -> None:
        self.authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(self._context)
        if scheme == "tcps":
            self.peer: Peer = Peer("tcps", self._lines, self._answer_lines)
        else:
            self.peer = Peer("https", self._http, self._answer_http)

    def _wrapped(self, sock: socket.socket) -> socket.socket | None:
        try:
            return self._context.wrap_socket(sock, server_side=True)
        except OSError:
            return None  # the client refused the certificate

    def _lines(self, sock: socket.socket, number: int) -> LineConnection:
        return LineConnection(sock, number)

    def _http(self, sock: socket.socket, number: int) -> HttpConnection:
        return HttpConnection(sock, number)

    def _answer_lines(self, connection: LineConnection) -> None:
        sock = self._wrapped(connection.sock)
        if sock is None:
            return
        connection.sock = sock
        connection.welcome()
        while (line := connection.read_line()) is not None:
            connection.answer(line, job={**JOB, "id": line.get("id", "j")})

    def _answer_http(self, connection: HttpConnection) -> None:
        sock = self._wrapped(connection.sock)
        if sock is None:
            return
        connection.sock = sock
        while (request := connection.read_request()) is not None:
            connection.respond(job={**JOB, "id": request.target.rsplit("/", 1)[1]})

    @property
    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@KINDS
@pytest.mark.parametrize("scheme", ["https", "tcps"])
async def test_tls_carries_many_calls(kind: str, scheme: str) -> None:
    tls = TlsPeer(scheme)
    with tls.peer as peer:
        async with Caller(kind, peer.url, tls=tls.trusting) as caller:
            ids = [f"j{number}" for number in range(50)]
            jobs = await asyncio.gather(*(caller.call("get_job", id) for id in ids))

    assert [job.id for job in jobs] == ids


@KINDS
@pytest.mark.parametrize("scheme", ["https", "tcps"])
async def test_a_certificate_of_a_stranger_is_refused_without_retries(
    kind: str, scheme: str
) -> None:
    with TlsPeer(scheme).peer as peer:
        async with Caller(kind, peer.url) as caller:
            error = await caller.error("ping")

    assert (error.code, error.retryable) == ("CONNECTION_FAILED", False)
    assert "verify" in error.message or "certificate" in error.message
    assert peer.accepted == 1


@KINDS
@pytest.mark.parametrize("scheme", ["https", "tcps"])
async def test_a_certificate_for_another_name_is_refused(kind: str, scheme: str) -> None:
    tls = TlsPeer(scheme, "queue.example")
    with tls.peer as peer:
        async with Caller(kind, peer.url, tls=tls.trusting) as caller:
            error = await caller.error("ping")

    assert (error.code, error.retryable) == ("CONNECTION_FAILED", False)


# --- closing ----------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_close_ends_calls_in_flight(kind: str, scheme: str) -> None:
    arrived = threading.Event()

    def over_tcp(connection: LineConnection) -> None:
        connection.welcome()
        connection.expect("pull")
        arrived.set()
        connection.wait_for_end()

    def over_http(connection: HttpConnection) -> None:
        connection.read()
        arrived.set()
        connection.wait_for_end()

    with line_peer(over_tcp) if scheme == "tcp" else http_peer(over_http) as peer:
        async with Caller(kind, peer.url) as caller:
            call = asyncio.create_task(caller.error("pull", "q", wait=30))
            assert await asyncio.to_thread(arrived.wait, 10)
        error = await asyncio.wait_for(call, 5)

    assert error.code == "CLIENT_CLOSED"


@KINDS
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_no_socket_and_no_thread_is_left_behind(kind: str, scheme: str) -> None:
    def over_tcp(connection: LineConnection) -> None:
        connection.welcome()
        connection.answer(
            connection.expect("ping")
        )  # and the connection ends: each call makes a new one

    def over_http(connection: HttpConnection) -> None:
        connection.read()
        connection.respond(headers="Connection: close\r\n")

    def count() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    threads = threading.active_count()
    with line_peer(over_tcp) if scheme == "tcp" else http_peer(over_http) as peer:
        before = count()
        async with Caller(kind, peer.url) as caller:
            for _ in range(30):
                await caller.call("ping")
            # Either side may still hold the last one; 30 of them would show.
            during = count()
        assert during - before < 15
    assert peer.accepted == 30
    assert threading.active_count() <= threads + 2  # the thread pool of asyncio.to_thread
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
