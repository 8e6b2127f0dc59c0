"""
One client that takes all it can get, in a process of its own: very many connections, a long queue, payloads of 1 MiB.

`python -m tests.proof.hostile.crowd TCP_PORT CONNECTIONS JOBS GREEDY KIND` prints `ready` when its queue is filled and its connections are open, then
attacks until it is killed, and prints how many calls it has made, once a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.acceptance.forks import SERVER
from tests.proof.launched import Launched

QUEUE = "crowd"
BATCH = 1_000
PAYLOAD = "x" * (1024 * 1024 - 2)
LIVES_S = 300  # an end of its own, should the harness be killed


class Crowd:
    """The process; `calls` is what it has printed last."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end(self) -> int:
        """Kill it; how many calls it had made."""
        self._process.kill()
        out, _ = self._process.communicate()
        return int(out.split()[-1]) if out.split() else 0


@contextmanager
def crowd(
    server: Launched, kind: str, *, connections: int, greedy: int, jobs: int
) -> Iterator[Crowd]:
    """At work from the beginning, which is when its queue is long and its connections are open."""
    arguments = [str(number) for number in (server.tcp, connections, jobs, greedy)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proof.hostile.crowd", *arguments, kind],
        cwd=SERVER, env=os.environ, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


# --- the process -----------------------------------------------------------------------------------------------------


class Line:
    """One TCP connection of version 2."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Line:
        line = cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**27))
        await line.call(cmd="hello", v=[2])
        return line

    async def call(self, **fields: object) -> dict[str, object]:
        self._writer.write(json.dumps(fields).encode() + b"\n")
        await self._writer.drain()
        answer: dict[str, object] = json.loads(await self._reader.readline())
        return answer


async def _fill(port: int, jobs: int) -> None:
    line = await Line.open(port)
    batch = [{"name": "n"}] * BATCH
    for _ in range(jobs // BATCH):
        answer = await line.call(cmd="push_batch", queue=QUEUE, jobs=batch)
        assert answer["ok"], answer


CALLS: dict[str, dict[str, object]] = {
    "large pushes": {"cmd": "push", "queue": QUEUE, "name": "n", "data": PAYLOAD},
    "counts of a long queue": {"cmd": "stats", "queue": QUEUE},
    "small pushes": {"cmd": "push", "queue": QUEUE, "name": "n"},
    "pulls of a long queue": {"cmd": "pull", "queue": QUEUE, "count": 10},
    "pages of a long queue": {"cmd": "find", "queue": QUEUE, "limit": 100},
}


async def _greed(line: Line, kind: str, made: Counter[str]) -> None:
    """One call after another, each as soon as the last is answered."""
    while True:
        await line.call(**CALLS[kind])
        made["calls"] += 1


async def _tell(made: Counter[str]) -> None:
    ends = time.monotonic() + LIVES_S
    while time.monotonic() < ends:
        await asyncio.sleep(0.5)
        print(made["calls"], flush=True)


async def main(tcp_port: int, connections: int, jobs: int, kind: str, greedy: int) -> None:
    await _fill(tcp_port, jobs)
    lines = [await Line.open(tcp_port) for _ in range(connections)]
    print("ready", flush=True)
    made: Counter[str] = Counter()
    greed = [asyncio.create_task(_greed(line, kind, made)) for line in lines[:greedy]]
    await _tell(made)
    for task in greed:
        task.cancel()


if __name__ == "__main__":
    port, connections, jobs, greedy, kind = sys.argv[1:]
    asyncio.run(main(int(port), int(connections), int(jobs), kind, int(greedy)))
