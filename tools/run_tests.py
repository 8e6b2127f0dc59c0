"""Run every check and test suite, and close with one line: N passed, N failed, N skipped.

`make test` runs all of it; `make check` (--quick) leaves out what is marked acceptance or slow.
A suite that fails to start, or runs no test, counts as one failure, and so does a failed lint or verify.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sdk_suites

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "test-results"

# A hang ends the run long before CI's own limit does. One test's limit is in the pytest settings.
SUITE_LIMIT_S = 30 * 60

# How large the proofs are here: a share of what `make figures` runs, which finds the rare and publishes.
PROOF_SCALE = "0.15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One call of pytest, or of what an SDK has in its place."""

    name: str
    folder: str  # where pytest starts, which decides whose settings it reads
    run: Callable[[Path, float], int] | None = (
        None  # in place of pytest; gets the report to write and its limit in s
    )
    tests: str = ""  # what it collects, relative to the folder, with spaces between
    marks: str = ""
    marks_if_quick: str = "not acceptance and not slow"
    processes: int = 1  # more only where tests share no port, file or process
    flags: tuple[str, ...] = ()
    flags_if_quick: tuple[str, ...] = ()
    needs: str = ""  # run it only where this folder of the tree holds tests; empty: always

    def is_wanted(self) -> bool:
        return not self.needs or any((ROOT / self.needs).rglob("test_*.py"))


SUITES = (
    Suite(
        name="server",
        folder="server",
        tests="tests",
        marks="not acceptance and not alone and not paced",
        processes=2,
    ),
    Suite(
        name="sdk-python",
        folder="sdk-python",
        tests="tests",
        processes=3,  # a third of their time they wait for an instant of the real server
    ),
    Suite(
        name="sdk-python-examples",
        folder="sdk-python",
        tests="examples",
        needs="sdk-python/examples",
    ),
    Suite(name="sdk-node", folder="sdk-node", run=sdk_suites.node),
    Suite(name="sdk-go", folder="sdk-go", run=sdk_suites.go),
    Suite(
        name="conformance",
        folder="conformance",
        tests=".",
        processes=4,  # each has server processes of its own; half of the time of a mutant is waiting
        marks="not alone",
        flags=("--whole",),  # coverage is a gate, as are mutants and null servers
        flags_if_quick=("--no-records",),
        marks_if_quick="quick",
    ),
    Suite(name="examples", folder=".", tests="examples", needs="examples"),
    Suite(name="repository", folder=".", tests="tests", needs="tests"),
)

# Not all of the server's tests: to collect those takes as long as some of these suites wait.
WITH_SERVERS = "tests/acceptance tests/proof tests/test_mode"
# What the tests of a file share is made once, and not once a process.
BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")

# Last, because they take the longest and tell the least about where a fault is.
ACCEPTANCE_SUITES = (
    Suite(
        name="server-acceptance",
        folder="server",
        tests=WITH_SERVERS,
        marks="acceptance and not alone and not paced",
        processes=4,  # each test has servers and files of its own, and mostly waits for a disk
        flags=BY_FILE,
        needs="server/tests/acceptance",
    ),
    Suite(
        name="server-paced",
        folder="server",
        tests="tests/proof",
        marks="paced",
        processes=2,
        flags=BY_FILE,
        needs="server/tests/acceptance",
    ),
    Suite(
        name="recovery",
        folder="conformance",
        tests="recovery",
        marks="alone",
        flags=("--no-records",),
    ),
    Suite(
        name="server-alone",
        folder="server",
        tests="tests/proof",
        marks="alone",
        needs="server/tests/acceptance",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one step came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float
    note: str = ""


def run_step(target: str) -> Outcome:
    """Run a make target whose result is only good or bad."""
    announce(target)
    started = time.monotonic()
    code = subprocess.run(
        [os.environ.get("MAKE", "make"), "-j2", target], cwd=ROOT, check=False
    ).returncode
    return Outcome(
        name=target,
        failed=int(code != 0),
        seconds=time.monotonic() - started,
        note="" if code == 0 else f"`make {target}` failed",
    )


def run_suite(suite: Suite, *, quick: bool) -> Outcome:
    """Run one suite and count its tests."""
    announce(f"tests: {suite.name}")
    report = RESULTS / f"{suite.name}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    note = ""
    try:
        code = (
            suite.run(report, SUITE_LIMIT_S)
            if suite.run
            else run_pytest(suite, report, quick=quick)
        )
    except subprocess.TimeoutExpired:
        code, note = -1, f"stopped after {SUITE_LIMIT_S} s"
    except subprocess.CalledProcessError as error:
        code, note = -1, f"could not be built: {error}"

    passed, failed, skipped = count_tests(report)
    if code != 0 and failed == 0:
        failed = 1
        note = note or ("ran no test" if code == 5 else f"ended with exit code {code}")
    return Outcome(
        name=suite.name,
        passed=passed,
        failed=failed,
        skipped=skipped,
        seconds=time.monotonic() - started,
        note=note,
    )


def run_pytest(suite: Suite, report: Path, *, quick: bool) -> int:
    """Its exit code. Raises TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", *suite.tests.split(), f"--junitxml={report}"]
    command += suite.flags_if_quick if quick else suite.flags
    if marks := suite.marks_if_quick if quick else suite.marks:
        command += ["-m", marks]
    if suite.processes > 1:
        command += ["-n", str(suite.processes)]
    folder = ROOT / suite.folder
    return subprocess.run(command, cwd=folder, check=False, timeout=SUITE_LIMIT_S).returncode


def count_tests(report: Path) -> tuple[int, int, int]:
    """Count passed, failed and skipped tests in a JUnit report; an error counts as a failure."""
    if not report.exists():
        return 0, 0, 0
    passed = failed = skipped = 0
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def announce(title: str) -> None:
    print(f"\n━━ {title} ━━", flush=True)


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # servers under test start twice as fast
    os.environ.setdefault("PROOF_SCALE", PROOF_SCALE)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--quick", action="store_true", help="leave out tests marked acceptance or slow"
    )
    quick = parser.parse_args().quick

    RESULTS.mkdir(parents=True, exist_ok=True)
    suites = SUITES if quick else SUITES + ACCEPTANCE_SUITES
    outcomes = [run_step("lint"), run_step("verify")]
    outcomes += [run_suite(suite, quick=quick) for suite in suites if suite.is_wanted()]

    announce("summary")
    for outcome in outcomes:
        counts = f"{outcome.passed:6} passed {outcome.failed:4} failed {outcome.skipped:4} skipped"
        if outcome.name in ("lint", "verify"):
            counts = "failed" if outcome.failed else "ok"
        print(f"{outcome.name:20} {outcome.seconds:6.1f} s  {counts:40} {outcome.note}".rstrip())
    passed, failed, skipped = (
        sum(getattr(outcome, field) for outcome in outcomes)
        for field in ("passed", "failed", "skipped")
    )
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
