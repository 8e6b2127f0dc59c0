"""`python -m conformance mutants`: does the suite notice 180 single faults, of the server and of the SDK?"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from conformance.mutants import sdk, server
from conformance.mutants.forking import Nursery
from conformance.runner import loader, mutated_sdks, mutated_servers, sdk_cases
from conformance.runner.model import SuiteError
from conformance.runner.mutating import Fate, grade
from conformance.runner.sdk_pool import Drivers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

HELP = "run the cases against servers and SDKs with one fault each; every fault must be noticed"
MUTANTS = {"server": server.MUTANTS, "sdk": sdk.MUTANTS}
SUBJECTS = tuple(MUTANTS)
GATE = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subjects",
        nargs="*",
        choices=[*SUBJECTS, []],
        metavar="SUBJECT",
        help="server or sdk; both without",
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this mutant")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every mutant")


def main(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.only) - {name for all_of in MUTANTS.values() for name in all_of}
    if unknown:
        raise SuiteError(f"there is no mutant {', '.join(sorted(unknown))}")
    began = time.monotonic()
    counts = []
    fates: list[Fate] = []
    for subject in arguments.subjects or SUBJECTS:
        chosen = [name for name in arguments.only or MUTANTS[subject] if name in MUTANTS[subject]]
        if not chosen:
            continue
        found = asyncio.run(_grade(subject, chosen, verbose=arguments.verbose))
        killed = sum(fate.end == "killed" for fate in found)
        counts.append(f"{subject} {killed}/{len(found)}")
        fates += found
    for fate in fates:
        if fate.end != "killed":
            print(told(fate))
    print(f"mutants: {' '.join(counts)}")
    print(f"wall: {time.monotonic() - began:.1f} s")
    return exit_code(fates)


def exit_code(fates: Sequence[Fate]) -> int:
    """2 when a mutant is broken, 3 when one lives, else 0."""
    ends = {fate.end for fate in fates}
    return 2 if "broken" in ends else GATE if "survived" in ends else 0


async def _grade(subject: str, only: Sequence[str], *, verbose: bool) -> list[Fate]:
    tell = _tell if verbose else (lambda fate: None)
    async with Nursery() as nursery:
        if subject == "server":
            return await grade(mutated_servers.subject(loader.load(), nursery), only, tell)
        async with Drivers() as servers:
            return await grade(mutated_sdks.subject(sdk_cases.load(), nursery, servers), only, tell)


def _tell(fate: Fate) -> None:
    print(
        f"{fate.end:9} {fate.mutant.name:40} {fate.by} {'' if fate.named else '(not named)'}",
        flush=True,
    )


def told(fate: Fate) -> str:
    """What became of a mutant, for people."""
    return (
        f"{fate.end}: {fate.mutant.name}\n  {fate.mutant.about}\n  named: {', '.join(fate.mutant.killers)};"
        f" {fate.tried} items tried {fate.why}"
    )
