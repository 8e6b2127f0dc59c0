"""The same few operations through every kind of client: plain sockets and both SDK clients, over TCP and HTTP.

A hand repeats what got no answer, with the same id, lease and request_id: by itself for a plain socket, inside the SDK otherwise.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobwire import AsyncClient, Client, FailItem, PushItem
from tests.proof.crash.traffic import HttpLink, Link, TcpLink

LATER_S = 3_600.0  # when a job that failed or was given back is ready again: after the test
LOST = (OSError, http.client.HTTPException, json.JSONDecodeError)
MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A job under a lease; `handle` is what its client wants to have back."""

    id: str
    lease: str
    handle: Any


class Hand(Protocol):
    """Every call returns once it was answered ok."""

    def push(self, queue: str, job_id: str) -> None: ...
    def push_batch(self, queue: str, job_ids: Sequence[str]) -> None: ...
    def pull(self, queue: str, count: int, request_id: str) -> list[Held]: ...
    def ack(self, held: Held) -> None: ...
    def ack_batch(self, held: Sequence[Held]) -> None: ...
    def fail(self, held: Held) -> None: ...
    def fail_batch(self, held: Sequence[Held]) -> None: ...
    def release(self, held: Held) -> None: ...
    def close(self) -> None: ...


# ── Plain sockets ──

ROUTES = {
    "push": "/queues/{queue}/jobs",
    "push_batch": "/queues/{queue}/jobs/batch",
    "pull": "/pull",
    "ack": "/jobs/{id}/ack",
    "fail": "/jobs/{id}/fail",
    "release": "/jobs/{id}/release",
    "ack_batch": "/jobs/ack",
    "fail_batch": "/jobs/fail",
}
IN_PATH = ("queue", "id")


class RoutedHttpLink(HttpLink):
    """HttpLink for every operation in ROUTES."""

    def call(self, cmd: str, **fields: Any) -> dict[str, Any]:
        route = ROUTES[cmd]
        body = {k: v for k, v in fields.items() if not (k in IN_PATH and f"{{{k}}}" in route)}
        self._connection.request(
            "POST",
            "/api/v1" + route.format(**fields),
            json.dumps(body),
            {"Content-Type": "application/json"},
        )
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


LINKS: dict[str, Callable[[int], Link]] = {"tcp": TcpLink, "http": RoutedHttpLink}


class RawHand:
    """Calls over a plain socket. A forgetful one takes new ids for a repeat: what no client may do, as the control."""

    def __init__(self, door: str, port: int, *, forgetful: bool = False) -> None:
        self._open = LINKS[door]
        self._port = port
        self._forgetful = forgetful
        self._link: Link | None = None

    def push(self, queue: str, job_id: str) -> None:
        self._insist("push", queue=queue, **_item(job_id))

    def push_batch(self, queue: str, job_ids: Sequence[str]) -> None:
        self._insist("push_batch", queue=queue, jobs=[_item(job_id) for job_id in job_ids])

    def pull(self, queue: str, count: int, request_id: str) -> list[Held]:
        answer = self._insist("pull", queue=queue, count=count, request_id=request_id)
        return [Held(job["id"], job["lease"], job) for job in answer["jobs"]]

    def ack(self, held: Held) -> None:
        self._insist("ack", **_named(held), result={"by": held.lease})

    def ack_batch(self, held: Sequence[Held]) -> None:
        items = [{**_named(one), "result": {"by": one.lease}} for one in held]
        _all_ok(self._insist("ack_batch", items=items))

    def fail(self, held: Held) -> None:
        self._insist("fail", **_named(held), error="no", retry_in_ms=round(LATER_S * 1_000))

    def fail_batch(self, held: Sequence[Held]) -> None:
        later = {"error": "no", "retry_in_ms": round(LATER_S * 1_000)}
        _all_ok(self._insist("fail_batch", items=[{**_named(one), **later} for one in held]))

    def release(self, held: Held) -> None:
        self._insist("release", **_named(held), delay_ms=round(LATER_S * 1_000))

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _insist(self, cmd: str, **fields: Any) -> dict[str, Any]:
        for _ in range(MOST_TRIES):
            try:
                self._link = self._link or self._open(self._port)
                answer = self._link.call(cmd, **fields)
            except LOST:
                self.close()
                fields = _renamed(fields) if self._forgetful else fields
                continue
            assert answer["ok"], (cmd, fields, answer)
            return answer
        raise AssertionError(f"{cmd} was not answered in {MOST_TRIES} tries")


def _item(job_id: str) -> dict[str, Any]:
    return {"id": job_id, "name": "proof", "data": {"key": job_id}}


def _named(held: Held) -> dict[str, str]:
    return {"id": held.id, "lease": held.lease}


def _all_ok(answer: dict[str, Any]) -> None:
    assert all(result["ok"] for result in answer["results"]), answer


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """The same push or pull under new ids; anything else as it was."""
    if "data" in fields:
        return {**fields, "id": str(uuid.uuid4())}
    if "jobs" in fields:
        return {**fields, "jobs": [{**job, "id": str(uuid.uuid4())} for job in fields["jobs"]]}
    if "request_id" in fields:
        return {**fields, "request_id": str(uuid.uuid4())}
    return fields


# ── The SDK ──


class SdkHand:
    """Calls of either SDK client; `run` waits for what the asynchronous one returns."""

    def __init__(self, client: Any, run: Callable[[Any], Any], close: Callable[[], None]) -> None:
        self._client = client
        self._run = run
        self.close = close

    def push(self, queue: str, job_id: str) -> None:
        self._run(self._client.push(queue, "proof", {"key": job_id}, id=job_id))

    def push_batch(self, queue: str, job_ids: Sequence[str]) -> None:
        items = [PushItem(name="proof", data={"key": job_id}, id=job_id) for job_id in job_ids]
        self._run(self._client.push_batch(queue, items))

    def pull(self, queue: str, count: int, request_id: str) -> list[Held]:
        jobs = self._run(self._client.pull([queue], count=count, request_id=request_id))
        return [Held(job.id, job.lease, job) for job in jobs]

    def ack(self, held: Held) -> None:
        self._run(self._client.ack(held.handle, {"by": held.lease}))

    def ack_batch(self, held: Sequence[Held]) -> None:
        _all_fine(
            self._run(self._client.ack_batch([(one.handle, {"by": one.lease}) for one in held]))
        )

    def fail(self, held: Held) -> None:
        self._run(self._client.fail(held.handle, "no", retry_in=LATER_S))

    def fail_batch(self, held: Sequence[Held]) -> None:
        items = [FailItem(one.handle, "no", LATER_S, False) for one in held]
        _all_fine(self._run(self._client.fail_batch(items)))

    def release(self, held: Held) -> None:
        self._run(self._client.release(held.handle, delay=LATER_S))


def _all_fine(results: Sequence[Any]) -> None:
    assert all(result.ok for result in results), results


def sync_hand(url: str) -> SdkHand:
    client = Client(url)
    return SdkHand(client, lambda result: result, client.close)


def async_hand(url: str) -> SdkHand:
    """With an event loop of its own, that runs while a call does."""
    runner = asyncio.Runner()
    client = AsyncClient(url)

    def close() -> None:
        runner.run(client.aclose())
        runner.close()

    return SdkHand(client, runner.run, close)


KINDS = ("raw", "sync", "async")
DOORS = ("tcp", "http")


def hand_of(kind: str, door: str, port: int) -> Hand:
    url = f"{door}://127.0.0.1:{port}"
    if kind == "raw":
        return RawHand(door, port)
    return sync_hand(url) if kind == "sync" else async_hand(url)
