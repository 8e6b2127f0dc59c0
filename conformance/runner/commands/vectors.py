"""`python -m conformance vectors`: the golden vectors in the directions of the SDKs, client.encode and client.decode."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.runner.commands._sdk import add_drivers, drivers_of, summary, tell
from conformance.runner.sdk_cases import TRANSPORTS
from conformance.runner.sdk_pool import Drivers
from conformance.runner.sdk_vectors import check, vectors

if TYPE_CHECKING:
    import argparse

HELP = "check what SDKs write for golden values, and what they make of golden bytes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_drivers(parser)


def main(arguments: argparse.Namespace) -> int:
    return asyncio.run(_main(arguments))


async def _main(arguments: argparse.Namespace) -> int:
    commands = drivers_of(arguments)
    drivers = Drivers(commands)
    codes = []
    try:
        for sdk in commands:
            for transport in TRANSPORTS:
                problems = await check(await drivers.get(sdk, virtual=True), transport)
                name = f"{len(vectors())} vectors[{sdk}-{transport}]"
                failure = "\n     ".join(problems) or None
                codes.append(tell(name, "fail" if failure else "pass", failure, verbose=True))
    finally:
        await drivers.close()
    return summary("vectors", codes)
