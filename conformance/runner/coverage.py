"""
Coverage as a number: which of the declared cells the recordings of a run show.

    python -m conformance coverage --fail-under 100

Exit 3 when a dimension is under the bar, when something undocumented was recorded, when more cells are marked unreachable than
coverage-floor.json allows, or when C7 fell below its floor there. `--ratchet` raises the floor of C7 to what was seen.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from conformance.runner import features
from conformance.runner.cells import ANY_METHOD, DIMENSIONS, OK, Cells, declared
from conformance.runner.recorder import RECORDS, read_records
from conformance.runner.specification import REPOSITORY, Specification, specification
from conformance.runner.tcp_rules import NOTICE, UNKNOWN

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

SURFACE: Final = REPOSITORY / "spec" / "sdk-surface.yaml"
FLOOR: Final = REPOSITORY / "conformance" / "coverage-floor.json"
UNDER_THE_BAR: Final = 3


class Seen:
    """The cells that records show, by dimension, and what else coverage needs of them."""

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        self.cells: dict[str, set[str]] = {each: set() for each in DIMENSIONS}
        self.features: set[str] = set()
        self.undocumented: list[str] = []
        self._items: dict[str, dict[str, Any]] = {}  # the last of each name
        for record in records:
            self._add(record)
        self.cells["C6"] = self._passed()

    def _add(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        if record.get("problems"):
            self.undocumented += [f"{record['case']}: {each}" for each in record["problems"]]
        elif kind == "http":
            self._add_http(record)
        elif kind == "tcp":
            self._add_tcp(record)
        elif kind == "sdk":
            for method in (record["method"], ANY_METHOD):
                self.cells["C8"].add(f"{record['sdk']} {method} {record['outcome']}")
        elif kind == "item":
            self._items[record["case"]] = record
        elif kind == "features":
            self.features |= set(record["seen"])

    def _passed(self) -> set[str]:
        """The requirements that have a case, all of whose cases passed where they apply."""
        verdicts: dict[str, set[str]] = defaultdict(set)
        for item in self._items.values():
            for requirement in item["covers"]:
                verdicts[requirement].add(item["verdict"])
        return {name for name, found in verdicts.items() if found - {"not_applicable"} == {"pass"}}

    def _add_http(self, record: dict[str, Any]) -> None:
        code = record["code"]
        if code and not record["operations"]:
            self.cells["C4"].add(f"http {code}")
        for operation in record["operations"]:
            self.cells["C1"].add(f"{operation} {record['status']} {record['type']}")
            if code:
                self.cells["C2"].add(f"{operation} {code}")

    def _add_tcp(self, record: dict[str, Any]) -> None:
        command, version, code = record["command"], f"v{record['wire']}", record["code"]
        if command.startswith(NOTICE):
            self.cells["C5"].add(f"{command.removeprefix(NOTICE)} tcp")
            return
        self.cells["C3"].add(f"{command} {version} {code or OK}")
        if code:
            self.cells["C4"].add(f"{version} {code}")
            if command == UNKNOWN:
                self.cells["C4"].add(f"{version} {UNKNOWN} {code}")


class Coverage:
    """What was wanted against what was seen."""

    def __init__(self, spec: Specification, cells: Cells, seen: Seen) -> None:
        self.cells = cells
        self.seen = seen
        self._features = features.declared(spec)

    def missing(self, dimension: str) -> list[str]:
        return sorted(self.cells.wanted[dimension] - self.seen.cells[dimension])

    def percent(self, dimension: str) -> float:
        wanted = self.cells.wanted[dimension]
        return _percent(len(wanted) - len(self.missing(dimension)), len(wanted))

    @property
    def schema_percent(self) -> float:
        """C7."""
        return _percent(len(self._features & self.seen.features), len(self._features))

    @property
    def schema_missing(self) -> list[str]:
        return sorted(self._features - self.seen.features)

    @property
    def reached(self) -> list[str]:
        """Cells that are marked unreachable, and were reached: the mark is wrong."""
        marked = [cell.partition(" ") for cell in self.cells.unreachable]
        return [f"{each} {cell}" for each, _, cell in marked if cell in self.seen.cells[each]]

    def line(self) -> str:
        """The line that closes a run."""
        numbers = " ".join(f"{each}={self.percent(each):g}%" for each in DIMENSIONS)
        return f"coverage: {numbers}"

    def faults(self, *, bar: float, floor: dict[str, Any]) -> list[str]:
        """Why the run is not good enough; empty when it is."""
        faults = [
            f"{each} is {self.percent(each):g} %, and {bar:g} % are wanted"
            for each in DIMENSIONS
            if self.percent(each) < bar
        ]
        faults += [f"undocumented: {each}" for each in self.seen.undocumented]
        faults += [f"marked unreachable, and reached: {each}" for each in self.reached]
        count = len(self.cells.unreachable)
        if count > floor["unreachable"]:
            faults.append(
                f"{count} cells are marked unreachable, and {floor['unreachable']} may be"
            )
        if self.schema_percent < floor["C7"]:
            faults.append(f"C7 is {self.schema_percent:g} %, and was {floor['C7']:g} % before")
        return faults


def _percent(part: int, whole: int) -> float:
    """Rounded down, so that 100 means all. Nothing declared is nothing proven."""
    return math.floor(part * 1000 / whole) / 10 if whole else 0.0


def measured(
    folder: Path = RECORDS, spec: Specification | None = None, surface: Path = SURFACE
) -> Coverage:
    """The coverage of the records in a folder."""
    spec = spec or specification()
    table = yaml.safe_load(surface.read_text(encoding="utf-8")) if surface.exists() else {}
    return Coverage(spec, declared(spec, table), Seen(read_records(folder)))


# --- the command ------------------------------------------------------------------------------------------------


HELP: Final = "which of the things that the specification says can happen did happen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=Path, default=RECORDS, help="the folder of the records")
    parser.add_argument("--floor", type=Path, default=FLOOR, help="the file of floors and ceilings")
    parser.add_argument("--fail-under", type=float, default=0.0, metavar="PERCENT")
    parser.add_argument("--ratchet", action="store_true", help="raise the floor of C7")
    parser.add_argument("--all", action="store_true", help="list what is missing of C7 as well")


def main(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    found = measured(options.records)
    floor = json.loads(options.floor.read_text(encoding="utf-8"))
    faults = found.faults(bar=options.fail_under, floor=floor)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    _tell(found, every=options.all)
    if options.ratchet and found.schema_percent > floor["C7"]:
        floor["C7"] = found.schema_percent
        options.floor.write_text(json.dumps(floor, indent=2) + "\n", encoding="utf-8")
    return UNDER_THE_BAR if faults else 0


def _tell(found: Coverage, *, every: bool) -> None:
    out = sys.stdout.write
    for dimension in DIMENSIONS:
        for cell in found.missing(dimension):
            out(f"missing {dimension} {cell}\n")
    if every:
        for name in found.schema_missing:
            out(f"missing C7 {name}\n")
    for cell, reason in sorted(found.cells.unreachable.items()):
        out(f"unreachable {cell}: {reason}\n")
    should = found.cells.should
    out(f"SHOULD: {len(should & found.seen.cells['C6'])}/{len(should)}\n")
    out(f"C7: {found.schema_percent:g} % of the members and words of good answers\n")
    out(found.line() + "\n")
