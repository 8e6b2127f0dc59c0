"""Clients over plain sockets that write every call to a ledger, outlive the server, and repeat what was not answered.

A repeat has the same id, lease or request_id. A file in the folder tells what phase it is: nothing, then `healed` (producers end,
workers finish what there is), then `done`.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.acceptance.processes import Lines
from tests.proof.history import Delivery, Ledger

QUEUES = ("proof-a", "proof-b")

# Answers of a server that is about to end: the call may or may not have had its effect.
SAYS_NOTHING = ("STORAGE_UNAVAILABLE", "INTERNAL_ERROR", "SHUTTING_DOWN")


class Link(Protocol):
    def call(self, cmd: str, **fields: Any) -> dict[str, Any]: ...
    def close(self) -> None: ...


class TcpLink:
    def __init__(self, port: int) -> None:
        self._lines = Lines(port)
        self._lines.socket.settimeout(10)
        self._lines.call(cmd="hello", v=[2], rid=0)

    def call(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] | None = self._lines.call(cmd=cmd, rid=1, **fields)
        while answer is not None and "notice" in answer:
            answer = self._lines.read()
        if answer is None:
            raise ConnectionResetError("the server closed the connection")
        return answer

    def close(self) -> None:
        self._lines.close()


class HttpLink:
    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._connection.connect()

    def call(self, cmd: str, **fields: Any) -> dict[str, Any]:
        self._connection.request(
            "POST",
            f"/api/v1{path_of(cmd, fields)}",
            json.dumps(fields),
            {"Content-Type": "application/json"},
        )
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer

    def close(self) -> None:
        self._connection.close()


LINKS: dict[str, Callable[[int], Link]] = {"tcp": TcpLink, "http": HttpLink}


PATHS = {
    "push": "/queues/{queue}/jobs",
    "push_batch": "/queues/{queue}/jobs/batch",
    "pull": "/pull",
    "ack_batch": "/jobs/ack",
    "dlq_retry": "/queues/{queue}/dlq/retry",
    "queue_pause": "/queues/{queue}/pause",
    "queue_resume": "/queues/{queue}/resume",
}


def path_of(cmd: str, fields: dict[str, Any]) -> str:
    """The route of a command; takes out of `fields` what stands in the path."""
    template = PATHS.get(cmd, f"/jobs/{{id}}/{cmd}")
    named = [name for name in ("queue", "id") if f"{{{name}}}" in template]
    return template.format(**{name: fields.pop(name) for name in named})


class Client:
    """One connection at a time, and a ledger of what was said over it."""

    def __init__(
        self, kind: str, port: int, folder: Path, ledger: Ledger, seed: str, seconds: float
    ) -> None:
        self.chance = random.Random(seed)
        self.ledger = ledger
        self._open = LINKS[kind]
        self._port = port
        self._folder = folder
        self._link: Link | None = None
        self._ends = time.monotonic() + seconds

    def is_over(self, phase: str) -> bool:
        return time.monotonic() > self._ends or (self._folder / phase).exists()

    def connect(self) -> bool:
        """Wait for the server; False when the run ended first."""
        while self._link is None:
            if self.is_over("done"):
                return False
            try:
                self._link = self._open(self._port)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # another process gives no signal that it listens
        return True

    def call(self, op: str, *, delivery: Delivery = None, **fields: Any) -> dict[str, Any] | None:
        """The answer, or None when it is not known whether the call had its effect, or the run ended first."""
        if not self.connect() or self._link is None:
            return None
        key = self.ledger.invoke(op, fields, delivery=delivery)
        try:
            answer = self._link.call(op, **fields)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            self._hang_up()
            return None
        return self._settled(op, key, answer)

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _settled(self, op: str, key: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        code = "" if answer["ok"] else answer["error"]["code"]
        if code in SAYS_NOTHING:
            self._hang_up()
            return None
        told = {"jobs": list(jobs_of(answer))} if op == "pull" else answer
        self.ledger.end(key, "fail" if code else "ok", told)
        return answer

    def insist(self, op: str, *, delivery: Delivery = None, **fields: Any) -> dict[str, Any] | None:
        """Call again with the same fields until it is answered; None when the run ended first."""
        while self.connect():
            answer = self.call(op, delivery=delivery, **fields)
            if answer is not None:
                return answer
        return None


KEPT = ("id", "queue", "delivery", "lease", "attempt", "priority", "data", "run_at")


def jobs_of(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    jobs = answer["jobs"] if "jobs" in answer else [answer["job"]]
    for job in jobs:
        if job is not None:
            yield {name: job[name] for name in KEPT}
