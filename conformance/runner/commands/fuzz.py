"""`python -m conformance fuzz`: Schemathesis against the reference server, recorded."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.runner.fuzzing import SEED, Fuzzed, fuzz
from conformance.runner.processes import ServerProcess
from conformance.runner.recorder import RECORDS

if TYPE_CHECKING:
    import argparse

HELP = "call every operation of openapi.yaml in every way that Schemathesis knows, a few times"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=SEED, help="another run")


def main(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    done = asyncio.run(fuzzed(arguments.seed))
    for failure in done.failures:
        print(failure)
    print(
        f"fuzz: {done.cases} requests to {done.called} of {done.operations} operations,"
        f" {len(done.failures)} failures"
    )
    print(f"wall: {time.monotonic() - began:.1f} s")
    return 1 if done.failures or done.called < done.operations else 0


async def fuzzed(seed: int, records: Path = RECORDS) -> Fuzzed:
    """What a server of its own answers; its traffic is recorded below `records`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        server = ServerProcess(Path(folder), {})
        try:
            await server.start()
            return await fuzz(server.target, seed, records)
        finally:
            await server.stop()
