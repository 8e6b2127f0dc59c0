"""
`python -m conformance COMMAND`: one module of runner/commands/ a command, found by its name.

A command module has HELP (one line), `add_arguments(parser)` and `main(arguments) -> int`. Exit codes: 0 conformant, 1 failures,
2 the suite or a driver is broken, 3 a gate of coverage or mutants is not met.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

from conformance.runner import commands
from conformance.runner.model import SuiteError

if TYPE_CHECKING:
    from types import ModuleType

CONFORMANT, FAILURES, BROKEN, GATE = 0, 1, 2, 3


def command_modules(wanted: str = "") -> dict[str, ModuleType]:
    """Every command by its name, or the one that is wanted: to import all of them takes a second."""
    names = [
        found.name
        for found in pkgutil.iter_modules(commands.__path__)
        if not found.name.startswith("_")
    ]
    return {
        name: importlib.import_module(f"{commands.__name__}.{name}")
        for name in ([wanted] if wanted in names else names)
    }


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m conformance", description="Does a server, or an SDK, do what spec/ says?"
    )
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = command_modules(*given[:1])
    for name, module in modules.items():
        module.add_arguments(parsers.add_parser(name, help=module.HELP, description=module.HELP))
    parsed = parser.parse_args(given)
    try:
        return int(modules[parsed.command].main(parsed))
    except SuiteError as error:
        print(f"the suite is broken: {error}", file=sys.stderr)
        return BROKEN
