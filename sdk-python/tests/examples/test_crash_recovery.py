"""The walk-through of examples/crash_recovery.py says what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples.processes import EXAMPLES, Server, running

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("door", ["http", "tcp"])
def test_another_worker_finishes_the_job_of_a_killed_one(tmp_path: Path, door: str) -> None:
    server = Server(tmp_path)
    server.start()
    with running(server):
        url = f"{door}://127.0.0.1:{getattr(server, door)}"
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "crash_recovery.py")],
            env={**os.environ, "JOBWIRE_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert "state completed, deliveries 2, failed attempts 1: lease expired" in done.stdout
    assert "the dead worker's late ack: LEASE_LOST" in done.stdout
