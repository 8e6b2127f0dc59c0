"""The tests of the SDKs that pytest does not run. Each function writes a JUnit report and returns an exit code.

Node.js and Go come from tools/node.sh and tools/go.sh: the machine's own, or a pinned one from PyPI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parent.parent
ENDINGS: Final = ("pass", "fail", "skip")


def node(report: Path, limit_s: float) -> int:
    """Build the package and its tests, and run them. Raises TimeoutExpired."""
    folder = ROOT / "sdk-node"
    with_node = str(ROOT / "tools" / "node.sh")
    subprocess.run([with_node, "npm", "run", "--silent", "pretest"], cwd=folder, check=True)
    files = sorted(str(file) for file in (folder / "build" / "test").glob("*.test.js"))
    command = [with_node, "node", "--test", "--test-timeout=60000", "--test-concurrency=2"]
    command += ["--test-reporter=dot", "--test-reporter-destination=stdout"]
    command += ["--test-reporter=junit", f"--test-reporter-destination={report}"]
    return subprocess.run([*command, *files], cwd=folder, check=False, timeout=limit_s).returncode


def go(report: Path, limit_s: float) -> int:
    """Test the module: in any order, and with the race detector where a C compiler is there to build it. Raises TimeoutExpired."""
    command = [str(ROOT / "tools" / "go.sh"), "go", "test", "-json", "-shuffle=on"]
    if shutil.which("gcc") or shutil.which("clang"):
        command.append("-race")
    else:
        print("THE RACE DETECTOR IS OFF: it needs a C compiler, and none is here.", flush=True)
    done = subprocess.run(
        [*command, "./..."],
        cwd=ROOT / "sdk-go",
        env={**os.environ, "CGO_ENABLED": "1" if "-race" in command else "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=limit_s,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    write_junit(events, report)
    tell(events)
    return done.returncode


def write_junit(events: Iterable[dict[str, Any]], report: Path) -> None:
    """A report of what `go test -json` said of each test."""
    suite = ET.Element("testsuite", name="sdk-go")
    for event in events:
        if "Test" not in event or event["Action"] not in ENDINGS:
            continue
        case = ET.SubElement(
            suite,
            "testcase",
            classname=event["Package"],
            name=event["Test"],
            time=str(event.get("Elapsed", 0)),
        )
        if event["Action"] != "pass":
            ET.SubElement(case, {"fail": "failure", "skip": "skipped"}[event["Action"]])
    ET.ElementTree(suite).write(report, encoding="utf-8")


def tell(events: list[dict[str, Any]]) -> None:
    """Print what failed with all that it said, and a line for each package."""
    failed = {
        (event["Package"], event.get("Test"))
        for event in events
        if event["Action"] == "fail" and "Package" in event
    }
    for event in events:
        of = event.get("Package"), event.get("Test")
        if event["Action"] in ("output", "build-output") and (of in failed or of[0] is None):
            print(event["Output"], end="")
    counts = Counter((event["Package"], event["Action"]) for event in events if "Test" in event)
    for package in sorted({package for package, _ in counts}):
        numbers = ", ".join(f"{counts[package, ending]} {ending}" for ending in ENDINGS)
        print(f"{package}: {numbers}", flush=True)
