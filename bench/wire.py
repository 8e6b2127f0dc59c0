"""
What the clients of the benchmark say, on either door, and what they read of the answers.

Requests that are always the same are encoded once, before the clock starts. Answers are decoded by msgspec, which checks all of
the JSON and keeps the fields named here: ids and leases are needed for the acks, the rest of a job is skipped.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

import msgspec

DATA: dict[str, Any] = {"to": "someone@example.com", "subject": "hello", "n": 123456}

# A conversation yields requests, each as the bytes to send, and is sent the bytes of the answer.
Conversation = Generator[bytes, bytes, None]


class Held(msgspec.Struct, omit_defaults=True):
    """A pulled job as its ack names it. A server of wire 1 that knows no leases gives none."""

    id: str
    lease: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Answer(msgspec.Struct):
    """Any answer: `job` or `jobs` of a pull; `acked` of a batch of acks."""

    ok: bool
    job: Held | None = None
    jobs: list[Held] = []
    acked: int | None = None
    error: Any = None


_read = msgspec.json.Decoder(Answer).decode
_write = msgspec.json.encode


def checked(body: bytes) -> Answer:
    answer = _read(body)
    if not answer.ok:
        raise RuntimeError(f"the server refused: {body[:500]!r}")
    return answer


class Door(Protocol):
    """How requests are written on one door; `body` cuts an answer out of what has arrived so far."""

    def push(self, queue: str, batch: int) -> bytes: ...

    def pull(self, queue: str, batch: int) -> bytes: ...

    def ack(self, held: list[Held]) -> bytes: ...

    def body(self, received: bytes) -> bytes | None: ...


class Tcp:
    """JSON lines, wire version 1."""

    def push(self, queue: str, batch: int) -> bytes:
        job = {"name": "bench", "data": DATA}
        if batch == 1:
            return line(cmd="push", queue=queue, **job)
        return line(cmd="push_batch", queue=queue, jobs=[job] * batch)

    def pull(self, queue: str, batch: int) -> bytes:
        return line(cmd="pull", queue=queue, count=batch)

    def ack(self, held: list[Held]) -> bytes:
        if len(held) == 1:
            return b'{"cmd":"ack",' + _write(held[0])[1:] + b"\n"
        return b'{"cmd":"ack_batch","items":' + _write(held) + b"}\n"

    def body(self, received: bytes) -> bytes | None:
        return received if received.endswith(b"\n") else None


class Http:
    """HTTP/1.1 on a kept connection, with the few headers that are needed."""

    def push(self, queue: str, batch: int) -> bytes:
        job = {"name": "bench", "data": DATA}
        if batch == 1:
            return post(f"/queues/{queue}/jobs", _write(job))
        return post(f"/queues/{queue}/jobs/batch", _write({"jobs": [job] * batch}))

    def pull(self, queue: str, batch: int) -> bytes:
        return post(f"/queues/{queue}/pull", _write({"count": batch}))

    def ack(self, held: list[Held]) -> bytes:
        if len(held) == 1:
            lease = held[0].lease
            body = b"{}" if lease is msgspec.UNSET else b'{"lease":' + bytes(lease) + b"}"
            return post(f"/jobs/{held[0].id}/ack", body)
        return post("/jobs/ack", b'{"items":' + _write(held) + b"}")

    def body(self, received: bytes) -> bytes | None:
        head, _, body = received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return body if length and len(body) == int(length) else None


DOORS: dict[str, Door] = {"tcp": Tcp(), "http": Http()}


def line(**fields: Any) -> bytes:
    return _write(fields) + b"\n"


def post(path: str, body: bytes) -> bytes:
    head = f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# --- the three loads -----------------------------------------------------------------------------------------------


def produce(door: Door, queue: str, jobs: int, batch: int) -> Conversation:
    push = door.push(queue, batch)
    for _ in range(jobs // batch):
        checked((yield push))


def consume(door: Door, queue: str, jobs: int, batch: int) -> Conversation:
    pull = door.pull(queue, batch)
    taken = 0
    while taken < jobs:
        answer = checked((yield pull))
        held = [answer.job] if answer.job is not None else answer.jobs
        if not held:
            raise RuntimeError(f"queue {queue} is empty after {taken} of {jobs} jobs")
        acked = checked((yield door.ack(held))).acked
        if acked is not None and acked != len(held):
            raise RuntimeError(f"{acked} of {len(held)} acks were accepted")
        taken += len(held)


def end_to_end(door: Door, queue: str, jobs: int, batch: int) -> Conversation:
    """Push a batch, pull it, ack it, and so on."""
    for _ in range(jobs // batch):
        yield from produce(door, queue, batch, batch)
        yield from consume(door, queue, batch, batch)


LOADS = {"produce": produce, "consume": consume, "e2e": end_to_end}
