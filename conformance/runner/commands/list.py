"""`python -m conformance list`: what there is, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.runner.choosing import choose

if TYPE_CHECKING:
    import argparse

HELP = "list the cases that would run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", help="an id, a glob, a suite or a file")
    parser.add_argument("--covers", metavar="ID", help="only those that cover this requirement")
    parser.add_argument("--transport", help="only http, tcp1, tcp2, raw-http or raw-tcp")


def main(arguments: argparse.Namespace) -> int:
    items = choose(arguments.cases, covers=arguments.covers, transport=arguments.transport)
    for item in items:
        print(f"{item.name:44} {item.case.suite:24} {item.case.title}")
    print(f"\n{len(items)} items of {len({item.case.id for item in items})} cases")
    return 0
