"""
A well-behaved client in a process of its own, which measures what every one of its calls took while others attack.

It pushes, pulls and acks one small job after another over HTTP and TCP, at an even pace. Each line of its file is
`<monotonic second when the call began> <ms that it took, or "failed">`; the clock is that of all processes of the machine, so that the
harness can tell the calls before an attack from those during it.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median
from typing import IO, Any

from tests.acceptance.forks import SERVER
from tests.acceptance.processes import until
from tests.proof.knobs import SLACK
from tests.proof.launched import Launched
from tests.proof.report import p99

PAUSE_S = 0.004  # between two calls: some 200 calls a second
QUEUE = "bystander"
PART_S = 0.5
FLOOR_MS = 50.0
FLOOR_CALLS = 15  # the same on a slow machine: so many of its usual calls
LIVES_S = 300  # an end of its own, should the harness be killed


@dataclass(frozen=True, slots=True)
class Pace:
    """
    The ms of calls, in parts of PART_S each.

    The 99th percentile is that of the part in the middle: a neighbour who takes the processor for a moment spoils a part or two, what the
    server does to its clients shows in all of them.
    """

    parts: tuple[tuple[float, ...], ...]

    @property
    def calls(self) -> int:
        return sum(map(len, self.parts))

    @property
    def p50(self) -> float:
        return round(median(took for part in self.parts for took in part), 2)

    @property
    def p99(self) -> float:
        return round(median(p99(part) for part in self.parts), 2)

    def is_as_good_as(self, alone: Pace) -> bool:
        """No call in a hundred takes twice as long as without the others. Below the floor, the figure says more of the machine than of the server."""
        assert alone.calls >= 20, f"too few calls to judge by: {alone.calls}"
        floor = SLACK * max(FLOOR_MS, FLOOR_CALLS * alone.p50)
        return self.p99 <= max(2 * alone.p99, floor)


class Bystander:
    """What the process has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], samples: Path) -> None:
        self._process = process
        self._samples = samples

    def between(self, began: float, ended: float) -> list[float]:
        """The ms of the calls that began in this time, failed ones as infinity; it must still be at work."""
        return [took for _, took in self._rows(began, ended)]

    def pace(self, began: float, ended: float) -> Pace:
        """How long the calls of this time took."""
        parts: dict[int, list[float]] = defaultdict(list)
        for at, took in self._rows(began, ended):
            parts[int((at - began) / PART_S)].append(took)
        return Pace(tuple(map(tuple, parts.values())))

    def _rows(self, began: float, ended: float) -> list[tuple[float, float]]:
        assert self._process.poll() is None, "the bystander is gone"
        lines = self._samples.read_text().splitlines(keepends=True)
        rows = (line.split() for line in lines if line.endswith("\n"))
        timed = [(float(at), inf if took == "failed" else float(took)) for at, took in rows]
        return [row for row in timed if began <= row[0] < ended]

    def watch(self, seconds: float) -> tuple[float, float]:
        """Let it measure for a while; from when to when. The last call that began in it has ended then, however long it took."""
        began = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        until(lambda: self.between(ended, inf), LIVES_S, "the call under way has ended")
        return began, ended


@contextmanager
def bystander(server: Launched, *, token: str = "") -> Iterator[Bystander]:
    """At work from the beginning to the end."""
    samples = server.folder / "bystander.txt"
    samples.touch()
    command = [
        sys.executable,
        "-m",
        "tests.proof.hostile.bystander",
        str(server.http),
        str(server.tcp),
        str(samples),
    ]
    process = subprocess.Popen(
        command, cwd=SERVER, env={**os.environ, "PROOF_TOKEN": token}, start_new_session=True
    )
    try:
        yield Bystander(process, samples)
    finally:
        process.kill()
        process.wait()


# --- the process -----------------------------------------------------------------------------------------------------

Call = Callable[[str, dict[str, Any]], Any]


def over_http(port: int, token: str) -> Call:
    connection = http.client.HTTPConnection("127.0.0.1", port, 30)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    paths = {"push": f"/queues/{QUEUE}/jobs", "pull": f"/queues/{QUEUE}/pull", "ack": "/jobs/ack"}

    def call(command: str, fields: dict[str, Any]) -> Any:
        connection.request("POST", "/api/v1" + paths[command], json.dumps(fields), headers)
        return json.loads(connection.getresponse().read())

    return call


def over_tcp(port: int, token: str) -> Call:
    raw = socket.create_connection(("127.0.0.1", port), 30)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = raw.makefile("rb")

    def call(command: str, fields: dict[str, Any]) -> Any:
        name = "ack_batch" if command == "ack" else command
        more = {} if command == "ack" else {"queue": QUEUE}
        raw.sendall(json.dumps({"cmd": name, **more, **fields}).encode() + b"\n")
        return json.loads(lines.readline())

    if token:
        raw.sendall(json.dumps({"cmd": "auth", "token": token}).encode() + b"\n")
        assert json.loads(lines.readline())["ok"]
    return call


def one_job(call: Call, out: IO[str]) -> None:
    timed(call, out, "push", {"name": "n", "data": {"small": True}})
    job = timed(call, out, "pull", {})["job"]
    if job is not None:
        timed(call, out, "ack", {"items": [{"id": job["id"], "lease": job["lease"]}]})


def timed(call: Call, out: IO[str], command: str, fields: dict[str, Any]) -> Any:
    began = time.monotonic()
    answer = call(command, fields)
    took = f"{(time.monotonic() - began) * 1000:.3f}" if answer["ok"] else "failed"
    out.write(f"{began:.6f} {took}\n")
    time.sleep(PAUSE_S)
    return answer


def main(http_port: str, tcp_port: str, samples: str) -> None:
    token = os.environ["PROOF_TOKEN"]
    calls = (over_http(int(http_port), token), over_tcp(int(tcp_port), token))
    ends = time.monotonic() + LIVES_S
    with Path(samples).open("a", buffering=1) as out:
        while time.monotonic() < ends:
            for call in calls:
                one_job(call, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
