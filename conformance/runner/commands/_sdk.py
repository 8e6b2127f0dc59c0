"""What the commands for SDKs share: which drivers, what is printed, which exit code."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from conformance.runner.sdk_pool import SDKS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

CODES = {"pass": 0, "not_applicable": 0, "fail": 1, "error": 2}


def add_drivers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cmd", help="the command of a driver that is not known here")
    parser.add_argument(
        "--sdk", action="append", choices=sorted(SDKS), help="only this one; may be repeated"
    )


def drivers_of(arguments: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """Name → command."""
    if arguments.cmd:
        return {"driver": shlex.split(arguments.cmd)}
    return {name: SDKS[name] for name in arguments.sdk or SDKS}


def tell(name: str, verdict: str, failure: str | None, *, verbose: bool) -> int:
    """Print one outcome; its exit code."""
    if failure is not None:
        print(f"{verdict.upper()} {name}\n     {failure}")
    elif verbose:
        print(f"{verdict} {name}")
    return CODES[verdict]


def summary(what: str, codes: Sequence[int]) -> int:
    """The closing line; the worst code, and 2 when nothing ran."""
    failed, broken = codes.count(1), codes.count(2)
    print(f"{what}: {codes.count(0)} passed, {failed} failed, {broken} errors")
    if not codes:
        print("nothing ran, which proves nothing")
    return max(codes, default=2)
