"""How long a server takes to answer a ping, seen from a process that does nothing else: `python -m tests.proof.network.pinger PORT`.

It pings until its input ends, and then prints the times in milliseconds as one JSON list.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.acceptance.forks import SERVER
from tests.acceptance.processes import Lines

EVERY_S = 0.01


def ping_until_told(port: int) -> list[float]:
    took: list[float] = []
    with Lines(port) as lines:
        while not select.select([sys.stdin], [], [], EVERY_S)[0]:
            began = time.monotonic()
            assert lines.call(cmd="ping")["ok"]
            took.append(1_000 * (time.monotonic() - began))
            if len(took) == 1:
                print("at work", flush=True)
    return took


@contextmanager
def pinged(port: int) -> Iterator[list[float]]:
    """Ping meanwhile; the list is filled at the end."""
    took: list[float] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proof.network.pinger", str(port)],
        cwd=SERVER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at work\n"  # a start takes its time on a busy machine
        yield took
        out, _ = process.communicate(timeout=10)
        took += json.loads(out)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    print(json.dumps(ping_until_told(int(sys.argv[1]))))
