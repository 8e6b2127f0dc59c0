"""`python -m conformance witness`: the cases of behaviour over HTTP, asked by a client that was generated from openapi.yaml."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from conformance.runner.choosing import choose
from conformance.runner.model import Item
from conformance.runner.recorder import RECORDS, Recorder
from conformance.runner.serving import on_pool, reference
from conformance.runner.telling import story, summary
from conformance.runner.witness import NotGenerated, WitnessDoors, functions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from conformance.runner.model import Outcome

HELP = "generate a client from openapi.yaml, and run the cases over HTTP with it"
SEED: Final = 11
BROKEN: Final = 2
AT_ONCE: Final = 2
BEHAVIOUR: Final = "behaviour/*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", default=[BEHAVIOUR])
    parser.add_argument("--no-records", action="store_true", help="leave the recordings alone")


def main(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    try:
        functions()
    except NotGenerated as error:
        print(f"the client could not be generated:\n{error}")
        return BROKEN
    items = witnessed(arguments.cases or [BEHAVIOUR])
    outcomes = asyncio.run(run(items, Recorder(None if arguments.no_records else RECORDS)))
    for outcome in outcomes:
        if outcome.verdict in ("fail", "error"):
            print(f"\n{story(outcome, SEED, '')}\n")
    counts = summary(outcomes)
    print(
        f"witness: {counts['pass']} passed, {counts['fail']} failed,"
        f" {counts['not_applicable']} not applicable, {counts['error']} errors"
    )
    print(f"wall: {time.monotonic() - began:.1f} s")
    return BROKEN if counts["error"] else 1 if counts["fail"] else 0


def witnessed(patterns: Sequence[str]) -> list[Item]:
    """The items over HTTP that fit a pattern, as the witness's."""
    chosen = choose(patterns, transport="http")
    return [Item(case=item.case, transport="witness") for item in chosen]


async def run(items: Sequence[Item], recorder: Recorder) -> list[Outcome]:
    """The outcomes of the items, in their order."""
    turns = asyncio.Semaphore(AT_ONCE)
    async with reference(limit=AT_ONCE + 2, seed=SEED) as pool:

        async def one(item: Item) -> Outcome:
            async with turns:
                outcome, _ = await on_pool(pool, item, recorder, SEED, WitnessDoors)
                return outcome

        try:
            return list(await asyncio.gather(*map(one, items)))
        finally:
            recorder.close()
