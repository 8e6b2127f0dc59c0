"""`python -m conformance smoke`: is the driver any good, before the SDK is blamed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.runner.commands._sdk import add_drivers, drivers_of
from conformance.runner.sdk_checking import smoke

if TYPE_CHECKING:
    import argparse

HELP = "try a driver with a few plain exchanges"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_drivers(parser)


def main(arguments: argparse.Namespace) -> int:
    worst = 0
    for name, command in drivers_of(arguments).items():
        problems = asyncio.run(smoke(command))
        print(f"{name}: driver broken" if problems else f"{name}: the driver is good")
        for problem in problems:
            print(f"  {problem}")
        worst = max(worst, 2 if problems else 0)
    return worst
