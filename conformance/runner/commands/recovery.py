"""`python -m conformance recovery`: how fast each SDK is back after a fault, and what it loses."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conformance.recovery import page
from conformance.recovery.plan import FULL, SMALL
from conformance.recovery.rig import run
from conformance.runner.sdk_pool import SDKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

HELP = "hurt each SDK as networks and servers do, and measure how fast it is back"
DOORS: Final = ("http", "tcp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flag = parser.add_argument
    flag("--sdk", type=_of(SDKS), default=tuple(SDKS), help="some of them, with commas between")
    flag("--door", type=_of(DOORS), default=DOORS, help="http or tcp; both when left out")
    flag("--repeats", type=int, help=f"rounds of each fault; {FULL.rounds} when left out")
    flag("--calls", type=int, help=f"concurrent calls of each SDK; {FULL.calls} when left out")
    flag("--small", action="store_true", help="what the tests run, without bars for time")
    flag("--save", action="store_true", help=f"write {page.RESULTS.name} and its table")


def main(arguments: argparse.Namespace) -> int:
    plan = SMALL if arguments.small else FULL
    plan = replace(
        plan, rounds=arguments.repeats or plan.rounds, calls=arguments.calls or plan.calls
    )
    commands = {sdk: SDKS[sdk] for sdk in arguments.sdk}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="recovery-") as folder:
        found = asyncio.run(run(Path(folder), commands, arguments.door, plan, _say))
    missed = [sentence for each in found for sentence in each.missed()]
    for each in found:
        print(each.table())
    for each in found:
        print(each.line())
    for sentence in missed:
        print(f"missed: {sentence}", file=sys.stderr)
    if arguments.save:
        page.save([each.record() for each in found], time.monotonic() - began)
    return 1 if missed else 0


def _say(line: str) -> None:
    print(f"recovery: {line}", file=sys.stderr, flush=True)


def _of(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads names with commas between."""

    def names(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return found

    return names
