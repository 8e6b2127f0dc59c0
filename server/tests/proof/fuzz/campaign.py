"""Fuzz for some minutes and write what came of it: `python -m tests.proof.fuzz.campaign MINUTES SEED RESULTS`.

A fifth of the time goes to Schemathesis (T32), then two processes feed the parsers while this one feeds a server's sockets (T33). RESULTS is a JSON list of
the records of the two figures. A bug is printed with the input that shows it, and makes the exit status 1.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.acceptance.processes import Server
from tests.proof.fuzz import openapi, parsers, sockets, test_fuzz, test_schemathesis
from tests.proof.fuzz.openapi import Ask, Run
from tests.proof.report import Figure, publish, save_all

PROCESSES: Final = 2
ROUND_S: Final = 120.0  # of the parsers, between two looks at the clock
CONNECTIONS: Final = 2_000  # a round of the sockets
EXAMPLES: Final = 30  # for each operation, again and again
MARGIN_S: Final = 900.0  # a round may take so much longer than planned before it counts as a hang


@contextmanager
def served() -> Iterator[Server]:
    """A server on a file of its own, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="proof-fuzz-"))
    server = Server(folder)
    try:
        yield server.start()
    finally:
        server.end()
        shutil.rmtree(folder)


def against_the_specification(seconds: float, seed: int) -> Figure:
    """One run of Schemathesis that takes about so long."""
    began = time.monotonic()
    with served() as server:
        url = test_schemathesis.url(server)
        ask = Ask(url=url, seed=seed, examples=EXAMPLES, seconds=max(1, round(seconds)))
        run = openapi.result(openapi.start(ask), seconds + MARGIN_S)
    tell(run)
    return replace(test_schemathesis.figure([run], time.monotonic() - began), seed=seed)


def tell(run: Run) -> None:
    print(f"schemathesis: {run.cases} cases, {len(run.failures)} failures", flush=True)
    print(*run.failures, *run.errors, sep="\n", end="\n" if run.failures or run.errors else "")


def against_all_bytes(ends: float, seed: int) -> Figure:
    """Rounds of both kinds of fuzz until `ends`, at least one."""
    began = time.monotonic()
    parsed: list[parsers.Report] = []
    sent: list[sockets.Report] = []
    while not parsed or time.monotonic() < ends:
        seconds = min(ROUND_S, max(1.0, ends - time.monotonic()))
        first = seed + len(parsed)
        seeds = range(first, first + PROCESSES)
        processes = [parsers.start(each, sys.maxsize, seconds) for each in seeds]
        with served() as server:
            sent.append(sockets.run(server, first, CONNECTIONS))
        parsed += [parsers.result(process, seconds + MARGIN_S) for process in processes]
        inputs = sum(report.inputs for report in parsed)
        print(f"fuzz: {inputs} inputs, {len(sent) * CONNECTIONS} connections", flush=True)
        found = [*sent[-1].bugs, *(bad for report in parsed[-PROCESSES:] for bad in report.found)]
        print(*found, sep="\n", flush=True)
    return replace(test_fuzz.figure(parsed, together(sent), time.monotonic() - began), seed=seed)


def together(reports: list[sockets.Report]) -> sockets.Report:
    """The rounds as one; memory and time are the worst of them."""
    return sockets.Report(
        seed=reports[0].seed,
        connections=sum(report.connections for report in reports),
        answers=sum(report.answers for report in reports),
        bugs=[bug for report in reports for bug in report.bugs],
        grown_bytes=max(report.grown_bytes for report in reports),
        slowest_ping_ms=max(report.slowest_ping_ms for report in reports),
    )


def main(minutes: str, seed: str, results: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process is left behind
    began, span = time.monotonic(), 60 * float(minutes)
    figures = [
        publish(against_the_specification(span / 5, int(seed))),
        publish(against_all_bytes(began + span, int(seed))),
    ]
    save_all(figures, Path(results))
    return 1 if any(figure.bad for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
