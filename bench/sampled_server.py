"""
The server, which appends the stack of whichever thread uses the CPU to a file, hundreds of times per CPU second.

Run as `python -m bench.sampled_server STACKS serve …`, by profiling.py. The timer counts CPU time, so waiting is never seen; the kernel
signals the thread that runs, and faulthandler writes that thread's stack from the signal handler itself, without the interpreter's
lock. A sampler that is a Python thread would get its turn only where others give the lock up, and see little but that.
"""

from __future__ import annotations

import faulthandler
import signal
import sys

from jobwire_server.cli import main

EVERY_CPU_S = 0.001  # the kernel rounds it up to its own tick


def sample_into(path: str) -> None:
    stacks = open(path, "ab", buffering=0)  # noqa: SIM115 - for as long as the process lives
    faulthandler.register(signal.SIGPROF, file=stacks, all_threads=False, chain=False)
    signal.setitimer(signal.ITIMER_PROF, EVERY_CPU_S, EVERY_CPU_S)
    _kept.append(stacks)


_kept: list[object] = []

if __name__ == "__main__":
    sample_into(sys.argv.pop(1))
    main()
