"""A worker that is stopped or killed while it holds jobs, as a process of its own.

    python -m tests.proof.delivery.stalled_worker raw TCP_PORT HTTP_PORT QUEUE COUNT LEASE_MS SEED
    python -m tests.proof.delivery.stalled_worker sdk URL QUEUE COUNT LEASE_MS GATE

`raw` pulls COUNT jobs, PULLS or more, prints a line for each (`Holding`), and waits for a line on its input. Then it says of each job all that a worker
can say, under the lease that it has, over both doors and in any order, prints a line for each call (`Said`), and ends.
`sdk` is a worker of the Python SDK. It prints a line for each job that it begins; its handlers return once the file GATE is there.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from jobwire import Client, Worker
from tests.acceptance.processes import Server, until
from tests.proof.delivery.doors import DOORS, Answer, Door, HttpConnection, TcpConnection, code_of

SERVER: Final = Path(__file__).parents[3]
PULLS: Final = 4  # of a raw worker, by turns over both doors
RESULT: Final = {"by": "the stalled worker"}
SAYINGS: Final[dict[str, Mapping[str, Any]]] = {
    "ack": {"result": RESULT},
    "fail": {"error": "said too late", "discard": True},
    "heartbeat": {"lease_ms": 3_600_000},
    "progress": {"progress": 99, "message": "said too late"},
    "release": {"delay_ms": 3_600_000},
    "ack_batch": {"result": RESULT},
    "fail_batch": {"error": "said too late", "discard": True},
    "heartbeat_batch": {"lease_ms": 3_600_000},
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A job under a lease; the instants of its pull are µs of CLOCK_MONOTONIC."""

    id: str
    lease: str
    asked_us: int
    heard_us: int


@dataclass(frozen=True, slots=True)
class Said:
    """A call of a stale worker; `code` is ok, already, or why it was refused."""

    id: str
    op: str
    door: str
    code: str


# ── In the process ──


def raw(tcp: str, http: str, queue: str, count: str, lease_ms: str, seed: str) -> None:
    doors: list[Door] = [TcpConnection(int(tcp)), HttpConnection(int(http))]
    chance = random.Random(seed)
    held: list[Holding] = []
    for turn in range(PULLS):
        wanted = (int(count) - len(held)) // (PULLS - turn)
        held += pull(doors[turn % len(doors)], queue, wanted, int(lease_ms))
    for one in held:
        say(asdict(one))
    sys.stdin.readline()
    calls = [(one, op, door) for one in held for op in SAYINGS for door in doors]
    chance.shuffle(calls)
    for one, op, door in calls:
        say(asdict(Said(one.id, op, door.name, code_of(speak(door, op, one)))))


def pull(door: Door, queue: str, count: int, lease_ms: int) -> list[Holding]:
    asked = time.monotonic_ns() // 1_000
    answer = door.call("pull", queue=queue, count=count, wait_ms=10_000, lease_ms=lease_ms)
    heard = time.monotonic_ns() // 1_000
    jobs = answer["jobs"] if "jobs" in answer else [answer["job"]]
    return [Holding(job["id"], job["lease"], asked, heard) for job in jobs]


def speak(door: Door, op: str, held: Holding) -> Answer:
    said = {"id": held.id, "lease": held.lease, **SAYINGS[op]}
    if not op.endswith("_batch"):
        return door.call(op, **said)
    result: Answer = door.call(op, items=[said])["results"][0]
    return result


def sdk(url: str, queue: str, count: str, lease_ms: str, gate: str) -> None:
    opened = Path(gate)
    with Client(url) as client:
        lease = int(lease_ms) / 1_000
        worker = Worker(client, queue, concurrency=int(count), lease=lease, grace=5)

        @worker.handler("proof")
        def proof(job: Any) -> Mapping[str, str]:
            say({"id": job.id})
            until(opened.exists, 60, "the gate is open")
            return RESULT

        worker.run()  # until SIGTERM


def say(line: Mapping[str, Any]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


# ── Outside of it ──


class Stalled:
    """The process, from outside."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.proof.delivery.stalled_worker", *arguments]
        self._process = subprocess.Popen(
            command,
            cwd=SERVER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def lines(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(self._output.readline()) for _ in range(count)]

    def stop(self) -> None:
        """SIGSTOP, and see that it took."""
        self._process.send_signal(signal.SIGSTOP)
        until(lambda: self._state() == "T", 5, "the worker is stopped")

    def go_on(self) -> None:
        assert self._state() == "T", "the worker was to be stopped all the while"
        self._process.send_signal(signal.SIGCONT)

    def speak(self) -> None:
        """Let a raw worker say all that it has to say."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> int:
        self._process.terminate()
        return self._process.wait(20)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _state(self) -> str:
        """As in `man 5 proc`: T is stopped."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(") ")[2][0]

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


@contextmanager
def stalled_raw(
    server: Server, queue: str, count: int, lease_ms: int, seed: object = 0
) -> Iterator[Stalled]:
    ports = (str(server.tcp), str(server.http))
    yield from _until_closed(
        Stalled("raw", *ports, queue, str(count), str(lease_ms), f"{seed}-{queue}")
    )


@contextmanager
def stalled_sdk(url: str, queue: str, count: int, lease_ms: int, gate: Path) -> Iterator[Stalled]:
    yield from _until_closed(Stalled("sdk", url, queue, str(count), str(lease_ms), str(gate)))


def _until_closed(worker: Stalled) -> Iterator[Stalled]:
    try:
        yield worker
    finally:
        worker.close()


CALLS_A_JOB: Final = len(SAYINGS) * len(DOORS)

if __name__ == "__main__":
    {"raw": raw, "sdk": sdk}[sys.argv[1]](*sys.argv[2:])
