"""The two clients over a scripted transport: repeats, budgets, ids, closing; nothing here waits."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import jobwire
from jobwire import (
    AsyncClient,
    AsyncMockTransport,
    Client,
    JobwireError,
    MockTransport,
    PushItem,
    TransportError,
    UnavailableError,
    ValidationError,
)
from jobwire._errors import error_for
from jobwire._operations import Request
from jobwire._runtime import AsyncRuntime, Runtime

Outcome = JobwireError | Mapping[str, Any]


class Clock:
    """Time that passes only in sleeps, which are kept; chance is always *u*."""

    def __init__(self, u: float = 0.5) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._u = u
        self._ids = (f"id-{number}" for number in itertools.count(1))

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def _seams(self) -> dict[str, Callable[[], Any]]:
        return {
            "now": lambda: self.now,
            "monotonic": lambda: self.now,
            "random": lambda: self._u,
            "new_id": lambda: next(self._ids),
        }

    def runtime(self) -> Runtime:
        return Runtime(sleep=self.sleep, **self._seams())

    def async_runtime(self) -> AsyncRuntime:
        return AsyncRuntime(sleep=self.async_sleep, **self._seams())


def script(*outcomes: Outcome) -> Callable[[Request[Any]], Mapping[str, Any]]:
    """Answers with *outcomes*, one after another; the last one stays."""
    left = list(outcomes)

    def handler(request: Request[Any]) -> Mapping[str, Any]:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, JobwireError):
            raise outcome
        return outcome

    return handler


class Rig:
    """A client of either kind on a scripted transport, called the same way."""

    def __init__(self, kind: str, *outcomes: Outcome, u: float = 0.5, **options: Any) -> None:
        self.clock = Clock(u)
        self.client: Any
        self.transport: MockTransport | AsyncMockTransport
        if kind == "sync":
            self.transport = MockTransport(script(*outcomes))
            self.client = Client(transport=self.transport, _runtime=self.clock.runtime(), **options)
        else:
            self.transport = AsyncMockTransport(script(*outcomes))
            self.client = AsyncClient(
                transport=self.transport, _runtime=self.clock.async_runtime(), **options
            )

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self.client, method)(*args, **kwargs)
        return await result if asyncio.iscoroutine(result) else result

    async def error(self, method: str, *args: Any, **kwargs: Any) -> JobwireError:
        with pytest.raises(JobwireError) as caught:
            await self.call(method, *args, **kwargs)
        return caught.value

    @property
    def sent(self) -> list[Request[Any]]:
        return self.transport.requests


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
CREATED = {"id": "id-1", "outcome": "created"}
LOST = error_for("CONNECTION_LOST")
BUSY = error_for("OVERLOADED")


@KINDS
async def test_a_push_is_repeated_with_the_same_id(kind: str) -> None:
    """JW-SDK-2."""
    rig = Rig(kind, LOST, LOST, CREATED)

    result = await rig.call("push", "q", "n", {"a": 1})

    assert result.id == "id-1"
    assert [request.fields["id"] for request in rig.sent] == ["id-1"] * 3


@KINDS
async def test_a_batch_is_repeated_with_the_same_ids(kind: str) -> None:
    """JW-SDK-2."""
    rig = Rig(kind, LOST, {"ids": ["id-1", "id-2"], "outcomes": ["existing", "existing"]})

    await rig.call("push_batch", "q", (PushItem(name=name) for name in "ab"))

    ids = [[job["id"] for job in request.fields["jobs"]] for request in rig.sent]
    assert ids == [["id-1", "id-2"]] * 2


@KINDS
async def test_a_pull_is_repeated_with_the_same_request_id(kind: str) -> None:
    rig = Rig(kind, error_for("TIMEOUT"), {"job": None})

    await rig.call("pull", "q")

    assert [request.fields["request_id"] for request in rig.sent] == ["id-1", "id-1"]


@KINDS
async def test_an_ack_is_repeated_with_the_same_lease(kind: str) -> None:
    rig = Rig(kind, LOST, {"already": True})

    assert await rig.call("ack", jobwire.Job(id="j", lease="L")) is True
    assert [request.fields["lease"] for request in rig.sent] == ["L", "L"]


@KINDS
async def test_the_first_repeat_is_made_at_once_and_the_others_with_jitter(kind: str) -> None:
    rig = Rig(kind, LOST)

    assert await rig.error("push", "q", "n") is LOST
    assert rig.clock.slept == [0.05, 0.1, 0.2, 0.4]
    assert len(rig.sent) == 6


@KINDS
async def test_a_busy_server_is_given_time(kind: str) -> None:
    rig = Rig(kind, BUSY, BUSY, BUSY, CREATED)

    await rig.call("push", "q", "n")

    assert rig.clock.slept == [0.05, 0.1, 0.2]


@KINDS
async def test_retry_after_is_honoured(kind: str) -> None:
    """JW-SDK-4."""
    rig = Rig(kind, error_for("QUEUE_FULL", retry_after=7.0), CREATED)

    await rig.call("push", "q", "n")

    assert rig.clock.slept == [7.0]


@KINDS
async def test_retry_after_beyond_the_budget_is_not_waited_for(kind: str) -> None:
    """JW-SDK-4."""
    rig = Rig(kind, error_for("RATE_LIMITED", retry_after=60.0))

    await rig.error("push", "q", "n")

    assert rig.clock.slept == []


@KINDS
async def test_a_server_that_cannot_be_reached_is_tried_for_the_whole_budget(kind: str) -> None:
    rig = Rig(kind, error_for("CONNECTION_FAILED"), retries=1, retry_budget=30, u=0.999)

    await rig.error("push", "q", "n")

    assert 24 < sum(rig.clock.slept) <= 30


@KINDS
async def test_a_restart_of_the_server_is_survived(kind: str) -> None:
    rig = Rig(kind, LOST, *[error_for("CONNECTION_FAILED")] * 7, CREATED)

    assert (await rig.call("push", "q", "n")).id == "id-1"


@KINDS
@pytest.mark.parametrize("method", ["retry", "delete_job"])
async def test_what_must_not_happen_twice_is_not_repeated_blindly(kind: str, method: str) -> None:
    """JW-SDK-3."""
    rig = Rig(kind, LOST)

    await rig.error(method, "j")

    assert len(rig.sent) == 1


@KINDS
@pytest.mark.parametrize("method", ["retry", "delete_job"])
async def test_but_it_is_repeated_when_nothing_was_done(kind: str, method: str) -> None:
    """JW-SDK-3."""
    rig = Rig(kind, error_for("SHUTTING_DOWN"), {"state": "waiting"})

    await rig.call(method, "j")

    assert len(rig.sent) == 2


@KINDS
async def test_a_refusal_is_raised_at_once(kind: str) -> None:
    rig = Rig(kind, error_for("LEASE_LOST"))

    error = await rig.error("ack", "j")

    assert isinstance(error, jobwire.ConflictError)
    assert len(rig.sent) == 1


@KINDS
async def test_other_options_are_a_view_on_the_same_connections(kind: str) -> None:
    rig = Rig(kind, LOST, CREATED)
    original, rig.client = rig.client, rig.client.with_options(retries=0)

    assert await rig.error("push", "q", "n") is LOST
    rig.client = original
    assert (await rig.call("push", "q", "n")).id == "id-1"
    assert len(rig.sent) == 2


@KINDS
async def test_nan_is_refused_before_anything_is_sent(kind: str) -> None:
    rig = Rig(kind, CREATED)

    error = await rig.error("push", "q", "n", {"x": float("nan")})

    assert isinstance(error, ValidationError)
    assert rig.sent == []


@KINDS
async def test_find_goes_through_all_pages_even_empty_ones(kind: str) -> None:
    rig = Rig(
        kind,
        {"jobs": [{"id": "a"}], "next_cursor": "1"},
        {"jobs": [], "next_cursor": "2"},
        {"jobs": [{"id": "b"}], "next_cursor": None},
    )

    found = rig.client.find(state=iter(["dlq", "active"]), page_size=1)
    ids = [job.id for job in found] if kind == "sync" else [job.id async for job in found]

    assert ids == ["a", "b"]
    assert [request.fields.get("cursor") for request in rig.sent] == [None, "1", "2"]
    assert [request.fields["state"] for request in rig.sent] == [["dlq", "active"]] * 3


@KINDS
async def test_after_close_every_call_says_so(kind: str) -> None:
    rig = Rig(kind, CREATED)
    view = rig.client.with_options(timeout=1)

    await rig.call("close" if kind == "sync" else "aclose")
    await rig.call("close" if kind == "sync" else "aclose")

    assert (await rig.error("ping")).code == "CLIENT_CLOSED"
    rig.client = view
    assert (await rig.error("ping")).code == "CLIENT_CLOSED"


@KINDS
async def test_notices_reach_their_subscribers_until_they_leave(kind: str) -> None:
    rig = Rig(kind, CREATED)
    heard: list[tuple[str, Mapping[str, Any]]] = []
    leave = rig.client._notices(lambda name, fields: heard.append((name, fields)))

    rig.transport.notify("job.cancel", {"id": "a"})
    leave()
    rig.transport.notify("job.cancel", {"id": "b"})

    assert heard == [("job.cancel", {"id": "a"})]


@KINDS
async def test_a_server_that_does_not_hold_pulls_open_is_asked_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(kind, {"job": None}, {"job": None}, {"job": {"id": "j"}})
    monkeypatch.setattr(type(rig.transport), "polls", True)

    jobs = await rig.call("pull", "q", wait=20)

    assert [job.id for job in jobs] == ["j"]
    assert rig.clock.slept == [0.5, 0.5]


def test_close_wakes_a_call_that_waits_for_its_next_try() -> None:
    tried = threading.Event()

    def handler(request: Request[Any]) -> Mapping[str, Any]:
        tried.set()
        raise UnavailableError("OVERLOADED", retry_after=20)

    client = Client(transport=MockTransport(handler))
    caught: list[JobwireError] = []

    def call() -> None:
        try:
            client.ping()
        except JobwireError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert tried.wait(10)
    client.close()
    thread.join(5)

    assert not thread.is_alive()
    assert [error.code for error in caught] == ["CLIENT_CLOSED"]


async def test_a_mock_may_be_a_coroutine() -> None:
    async def handler(request: Request[Any]) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        return {"id": request.fields["id"], "outcome": "created"}

    async with AsyncClient(transport=AsyncMockTransport(handler)) as client:
        assert (await client.push("q", "n", id="mine")).id == "mine"


@KINDS
async def test_a_server_that_stays_away_is_a_warning_once(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(kind, *[error_for("CONNECTION_FAILED", "nobody listens")] * 4, CREATED)

    await rig.call("push", "q", "n", {"secret": "canary"})

    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == "push: trying again (CONNECTION_FAILED: nobody listens)"
    assert "canary" not in caplog.text


# --- where to connect -------------------------------------------------------------------------------------------------


def test_the_environment_stands_in_for_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBWIRE_URL", "tcp://queue.example:7000")
    monkeypatch.setenv("JOBWIRE_TOKEN", "from-env")

    assert repr(Client()) == "<Client tcp://queue.example:7000>"
    assert Client()._endpoint.token == "from-env"
    assert Client("http://h", token="given")._endpoint.token == "given"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, "http://localhost:6790"),
        ("http://h", "http://h:80"),
        ("https://h/base/", "https://h:443/base"),
        ("tcp://h", "tcp://h:6789"),
        ("tcps://h:1", "tcps://h:1"),
        ("http://[::1]:5", "http://[::1]:5"),
    ],
)
def test_the_url_picks_host_port_and_transport(url: str | None, expected: str) -> None:
    assert repr(AsyncClient(url)) == f"<AsyncClient {expected}>"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6790",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h?x=1",
        "tcp://h/path",
        "http://h/a b",
        "http://h:99999",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        Client(url)

    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ü"])
def test_a_token_that_cannot_stand_in_a_header_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        Client(token=token)

    assert not token or token not in str(caught.value)


def test_tls_settings_need_a_tls_url() -> None:
    with pytest.raises(ValueError, match="https"):
        Client("http://h", tls=ssl.create_default_context())


def test_the_token_is_in_no_repr_no_error_and_no_log() -> None:
    """JW-SDK-11."""
    token = "s3cret-canary"
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        said = []
        for scheme in ("http", "tcp"):
            client = Client(f"{scheme}://127.0.0.1:1", token=token, retry_budget=0)
            said.append(repr(client) + repr(client._endpoint) + repr(vars(client)))
            with pytest.raises(TransportError) as caught:
                client.ping()
            said.append(str(caught.value) + repr(caught.value) + repr(vars(caught.value)))
            client.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    assert token not in "".join(said) + stream.getvalue()
