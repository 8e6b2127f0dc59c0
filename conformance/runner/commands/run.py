"""`python -m conformance run`: run cases, tell every failure whole, and close with a line of counts."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.runner import target_files
from conformance.runner.choosing import choose
from conformance.runner.model import Item, Outcome
from conformance.runner.recorder import RECORDS, Recorder
from conformance.runner.running import run_item
from conformance.runner.serving import on_pool, reference
from conformance.runner.target import Control, Target
from conformance.runner.telling import story, summary

if TYPE_CHECKING:
    import argparse

    from conformance.runner.pool import Pool

HELP = "run cases against the reference server, or against one that is given by its addresses"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", help="an id, a glob, a suite or a file")
    parser.add_argument("--covers", metavar="ID", help="only cases that cover this requirement")
    parser.add_argument("--transport", help="only http, tcp1, tcp2, raw-http or raw-tcp")
    parser.add_argument("--quick", action="store_true", help="only those marked quick")
    parser.add_argument("--seed", type=int, help="that of an earlier run, to send the same bytes")
    parser.add_argument("--jobs", type=int, default=2, help="items at a time (default 2)")
    parser.add_argument(
        "--target", type=Path, metavar="FILE", help="only what this targets/*.yaml declares"
    )
    parser.add_argument("--http", metavar="URL", help="a server that runs already")
    parser.add_argument("--tcp", metavar="HOST:PORT", help="its TCP door")
    parser.add_argument("--control", metavar="URL", help="its control API, if it has one")
    parser.add_argument("--token", help="its token")
    parser.add_argument("--no-records", action="store_true", help="leave the recordings alone")
    parser.add_argument(
        "--record",
        action="store_true",
        help="add what crosses the wire to the recordings; a run of everything begins them anew",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every item")


def main(arguments: argparse.Namespace) -> int:
    items = choose(
        arguments.cases,
        covers=arguments.covers,
        transport=arguments.transport,
        quick=arguments.quick,
    )
    if arguments.target is not None:
        items = target_files.chosen(target_files.load(arguments.target), items)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    began = time.monotonic()
    print(f"seed {seed}, {len(items)} items", flush=True)
    outcomes = asyncio.run(_run(arguments, items, seed))
    counts = summary(outcomes)
    skipped = f", {counts['not_applicable']} not applicable" if counts["not_applicable"] else ""
    print(f"conformance: {counts['pass']} passed, {counts['fail']} failed{skipped}", end="")
    print(f", {counts['error']} errors of the suite" if counts["error"] else "")
    print(f"wall: {time.monotonic() - began:.1f} s")
    return 2 if counts["error"] else 1 if counts["fail"] else 0


async def _run(arguments: argparse.Namespace, items: list[Item], seed: int) -> list[Outcome]:
    recorder = Recorder(_records(arguments))
    given = _given(arguments)
    try:
        async with reference(limit=max(arguments.jobs, 1), seed=seed) as pool:
            turns = asyncio.Semaphore(max(arguments.jobs, 1))

            async def one(item: Item) -> Outcome:
                async with turns:
                    return await _one(pool, item, given, recorder, seed, arguments.verbose)

            return await asyncio.gather(*map(one, items))
    finally:
        recorder.close()
        if given is not None and given.control is not None:
            await given.control.close()


def _records(arguments: argparse.Namespace) -> Path | None:
    """Where to record: coverage is computed from the recordings, so a run of a few cases leaves them alone."""
    if arguments.no_records:
        return None
    given = (arguments.cases, arguments.covers, arguments.transport, arguments.quick)
    if any(given) or arguments.http:
        return RECORDS if arguments.record else None
    for path in RECORDS.glob("*.jsonl"):
        path.unlink()
    return RECORDS


def _given(arguments: argparse.Namespace) -> Target | None:
    """The server that was given by its addresses."""
    if arguments.http is None:
        return None
    host, _, port = (arguments.tcp or "127.0.0.1:0").rpartition(":")
    control = Control(arguments.control) if arguments.control else None
    return Target(
        http_url=arguments.http.rstrip("/"),
        tcp_address=(host, int(port)),
        token=arguments.token,
        control=control,
        name="given",
    )


async def _one(
    pool: Pool, item: Item, given: Target | None, recorder: Recorder, seed: int, verbose: bool
) -> Outcome:
    if given is not None:
        outcome, log = await _on_given(item, given, recorder, seed), ""
    else:
        outcome, log = await on_pool(pool, item, recorder, seed)
    if outcome.verdict in ("fail", "error"):
        print(f"\n{story(outcome, seed, log)}\n", flush=True)
    elif verbose:
        print(f"{outcome.verdict} {item.name} {outcome.seconds * 1000:.0f} ms", flush=True)
    return outcome


async def _on_given(item: Item, target: Target, recorder: Recorder, seed: int) -> Outcome:
    if item.case.server:
        why = "the case needs a server with settings of its own"
        return Outcome(
            item=item, verdict="not_applicable", steps=[], assertions=0, failure=why, seconds=0
        )
    return await run_item(item, target, recorder, seed=seed)
