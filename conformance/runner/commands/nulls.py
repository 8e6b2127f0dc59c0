"""`python -m conformance nulls`: no case may pass on a server that knows nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from conformance.nullservers import KINDS
from conformance.runner.choosing import choose
from conformance.runner.nulling import findings_apart

if TYPE_CHECKING:
    import argparse

HELP = "run every case against servers that know nothing of jobs; none may pass without a reason"
GATE: Final = 3
PROCESSES: Final = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", help="an id, a glob, a suite or a file")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this null server")


def main(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    cases = list({item.case.id: item.case for item in choose(arguments.cases)}.values())
    kinds = arguments.kind or list(KINDS)
    found = findings_apart(cases, kinds, PROCESSES)
    for finding in found:
        print(finding)
    print(f"{len(cases)} cases on {len(kinds)} kinds of null server")
    print(f"null servers: {len(found)} unexplained passes")
    print(f"wall: {time.monotonic() - began:.1f} s")
    return GATE if found else 0
