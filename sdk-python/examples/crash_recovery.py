"""
Kill a worker in the middle of a job and watch another one finish it.

    make serve                                                  # in one terminal
    .venv/bin/python sdk-python/examples/crash_recovery.py      # in another

The first worker takes the job and is killed with SIGKILL, so it can neither ack nor say goodbye. Its lease runs out, the job is
ready again, and the second worker does it. What the dead worker would have said is refused: its lease is over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from jobwire import Client, ConflictError, Worker

QUEUE = "crash-recovery"
LEASE = 2.0


def main() -> None:
    with Client() as client:
        job_id = client.push(QUEUE, "report", {"pages": 3}).id
        print(f"pushed {job_id}")
        victim = subprocess.Popen(
            [sys.executable, __file__, "victim"], stdout=subprocess.PIPE, text=True
        )
        assert victim.stdout is not None
        lease = victim.stdout.readline().strip()
        print(f"worker {victim.pid} has the job; killing it")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        killed = time.monotonic()
        finish(client)
        print(
            f"done by another worker {time.monotonic() - killed:.1f} s later (the lease was {LEASE:.0f} s)"
        )
        job = client.get_job(job_id)
        print(
            f"state {job.state}, deliveries {job.delivery}, failed attempts {job.attempt}: {job.errors[0].message}"
        )
        try:
            client.ack(job_id, lease=lease)
        except ConflictError as error:
            print(f"the dead worker's late ack: {error.code}")


def victim() -> None:
    """Take the job, say so, and never finish."""
    [job] = Client().pull([QUEUE], wait=10, lease=LEASE)
    print(job.lease, flush=True)
    signal.pause()


def finish(client: Client) -> None:
    """Run a worker until it has done the job."""
    worker = Worker(client, queues=[QUEUE], worker_id=f"second-{os.getpid()}")

    @worker.handler("report")
    def report(job: object) -> str:
        return "3 pages"

    worker.start()
    while client.stats(QUEUE).counts.completed == 0:
        time.sleep(0.05)
    worker.stop()


if __name__ == "__main__":
    victim() if sys.argv[1:] == ["victim"] else main()
