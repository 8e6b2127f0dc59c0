"""`python -m conformance interop`: every SDK produces for every SDK, over either transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.runner.commands._sdk import summary, tell
from conformance.runner.interop import EXCHANGES, pairs, run_pair
from conformance.runner.model import SuiteError
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_pool import SDKS, Drivers

if TYPE_CHECKING:
    import argparse

HELP = "let every SDK produce for every SDK"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--drivers", default=",".join(SDKS), help="names, with commas between")
    parser.add_argument("--no-records", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")


def main(arguments: argparse.Namespace) -> int:
    names = arguments.drivers.split(",")
    unknown = sorted(set(names) - set(SDKS))
    if unknown:
        raise SuiteError(f"there is no driver {', '.join(unknown)}")
    return asyncio.run(_main(names, arguments))


async def _main(names: list[str], arguments: argparse.Namespace) -> int:
    drivers = Drivers()
    recorder = Recorder(None) if arguments.no_records else Recorder()
    codes = []
    try:
        for pair in pairs(names):
            for exchange in EXCHANGES:
                outcome = await run_pair(pair, exchange, drivers, recorder)
                codes.append(
                    tell(outcome.name, outcome.verdict, outcome.failure, verbose=arguments.verbose)
                )
    finally:
        await drivers.close()
        recorder.close()
    return summary("interop", codes)
