"""`python -m conformance sdk`: the cases for SDKs, against the reference server and against the gremlin."""

from __future__ import annotations

import asyncio
import fnmatch
from typing import TYPE_CHECKING

from conformance.runner.commands._sdk import add_drivers, drivers_of, summary, tell
from conformance.runner.recorder import Recorder
from conformance.runner.sdk_cases import SdkItem, items_of, load
from conformance.runner.sdk_checking import smoke
from conformance.runner.sdk_pool import Drivers
from conformance.runner.sdk_run import run_item

if TYPE_CHECKING:
    import argparse

HELP = "run the cases for SDKs through their drivers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("only", nargs="*", help="ids, items, suites, or patterns of them")
    add_drivers(parser)
    parser.add_argument("--against", choices=("ref", "gremlin"), help="only the cases of this peer")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-records", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")


def main(arguments: argparse.Namespace) -> int:
    return asyncio.run(_main(arguments))


async def _main(arguments: argparse.Namespace) -> int:
    commands = drivers_of(arguments)
    for name, command in commands.items():
        problems = await smoke(command)
        if problems:
            print(f"driver broken ({name}): {'; '.join(problems)}")
            return 2
    items = [item for item in items_of(load(), commands) if _wanted(item, arguments)]
    drivers = Drivers(commands, arguments.seed)
    recorder = Recorder(None) if arguments.no_records else Recorder()
    codes = []
    try:
        for item in items:
            outcome = await run_item(item, drivers, recorder, arguments.seed)
            codes.append(
                tell(item.name, outcome.verdict, outcome.failure, verbose=arguments.verbose)
            )
            if outcome.failure is not None:
                print(
                    f"     again: python -m conformance sdk '{item.name}' --seed {arguments.seed}"
                )
    finally:
        await drivers.close()
        recorder.close()
    return summary("sdk", codes)


def _wanted(item: SdkItem, arguments: argparse.Namespace) -> bool:
    case = item.case
    if arguments.against and (arguments.against == "gremlin") != (case.gremlin is not None):
        return False
    names = (case.id, case.suite, item.name)
    return not arguments.only or any(
        name == pattern or fnmatch.fnmatchcase(name, pattern)
        for pattern in arguments.only
        for name in names
    )
