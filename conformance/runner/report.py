"""
What came of a run, for people and for machines: results.json, one HTML page, matrix.md, badge.json.

    python -m conformance report             # reads build/conformance/records, writes build/conformance
    python -m conformance report --accept    # the matrix of this run becomes conformance/matrix.md and stands in the README
    python -m conformance report --check     # exit 1 when either is stale

Exit 1 when the run does not conform to the profile. CONFORMANT is printed only when each of its cases with MUST ran and passed.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from conformance.runner import (
    coverage,
    known_failing,
    matrix,
    report_page,
    schemas,
    sdk_cases,
    target_files,
)
from conformance.runner.loader import load
from conformance.runner.model import items_of as items_of_cases
from conformance.runner.profiles import Profiles, profiles
from conformance.runner.recorder import RECORDS, read_records
from conformance.runner.results import (
    document,
    expected,
    expected_of_sdks,
    items_of,
    verdict,
)
from conformance.runner.specification import REPOSITORY, specification

if TYPE_CHECKING:
    import argparse

OUT: Final = REPOSITORY / "build" / "conformance"
HERE: Final = REPOSITORY / "conformance"
MATRIX: Final = HERE / "matrix.md"
README: Final = HERE / "README.md"
SCHEMA: Final = HERE / "schema" / "results-1.schema.json"
NOT_CONFORMANT: Final = 1


def results_of(
    records: Path, *, target: target_files.TargetFile, profile: str, today: datetime.date
) -> dict[str, Any]:
    """The document of a run. ValueError when the records cannot be read, SuiteError when the cases cannot."""
    table: Profiles = profiles()
    entries = read_records(records)
    items = items_of(entries)
    faults = known_failing.apply(items, target.known_failing, today=today)
    for item in items:
        if item["verdict"] == known_failing.KNOWN:
            item["grade"] = known_failing.KNOWN
    wanted = expected(items_of_cases(load()), table)
    if target.start:  # ours; of another server's clients nothing is known
        wanted += expected_of_sdks(sdk_cases.items_of(sdk_cases.load(), sdks()), table)
    found = verdict(items, wanted, table[profile])
    found.faults += faults
    about = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(item["seconds"] for item in items), 3),
        "coverage": coverage.measured(records).line(),
    }
    made = document(specification(), items, found, target=target.identity, about=about)
    schemas.validator(SCHEMA).validate(made)
    return made


def sdks() -> list[str]:
    """The SDKs that there are, by sdk-surface.yaml."""
    table = yaml.safe_load(coverage.SURFACE.read_text(encoding="utf-8"))["sdks"]
    return [name for name, about in table.items() if about["status"] != "planned"]


def write(results: dict[str, Any], out: Path) -> None:
    """All files of the report below `out`."""
    (out / "report").mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(_json(results), encoding="utf-8")
    (out / "report" / "index.html").write_text(report_page.page(results), encoding="utf-8")
    (out / "report" / "matrix.md").write_text(matrix.matrix(results), encoding="utf-8")
    (out / "badge.json").write_text(_json(badge(results)), encoding="utf-8")


def badge(results: dict[str, Any]) -> dict[str, Any]:
    """What shields.io makes a badge of."""
    good = results["conformant"]
    share = results["line"].partition(": ")[2].partition(",")[0]
    return {
        "schemaVersion": 1,
        "label": f"conformance ({results['profile']})",
        "message": "conformant" if good else share,
        "color": "brightgreen" if good else "red",
    }


def stale(results: dict[str, Any], *, stored: Path = MATRIX, readme: Path = README) -> list[str]:
    """The files that do not show these results, by name."""
    wanted = matrix.matrix(results)
    faults = [] if _text(stored) == wanted else [f"{stored.name} is stale"]
    return [*faults, *stale_readme(matrix.summary(results), readme=readme)]


def stale_readme(summary: str, *, readme: Path = README) -> list[str]:
    """Whether a README has another summary between its markers, or no markers."""
    text = _text(readme)
    try:
        fresh = matrix.embedded(text, summary) == text
    except ValueError as error:
        return [f"{readme.name}: {error}"]
    return [] if fresh else [f"{readme.name} is stale"]


def accept(results: dict[str, Any], *, stored: Path = MATRIX, readme: Path = README) -> None:
    """Make the stored matrix and the README show these results."""
    stored.write_text(matrix.matrix(results), encoding="utf-8")
    text = matrix.embedded(_text(readme), matrix.summary(results))
    readme.write_text(text, encoding="utf-8")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


# --- the command ------------------------------------------------------------------------------------------------


HELP: Final = "write the report of the last run: results.json, a page, matrix.md, a badge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=Path, default=RECORDS, help="the folder of the records")
    parser.add_argument("--out", type=Path, default=OUT, help="where the report goes")
    parser.add_argument("--target", type=Path, default=target_files.REFERENCE, metavar="FILE")
    parser.add_argument("--profile", choices=profiles().names, help="in place of the target's")
    parser.add_argument("--accept", action="store_true", help="store the matrix of this run")
    parser.add_argument("--check", action="store_true", help="fail when the stored one is stale")
    parser.add_argument("--suggest-known-failing", type=Path, metavar="FILE")


def main(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    target = target_files.load(options.target)
    today = datetime.datetime.now(datetime.UTC).date()
    results = results_of(
        options.records, target=target, profile=options.profile or target.profile, today=today
    )
    write(results, options.out)
    if options.suggest_known_failing:
        draft = known_failing.suggested(results["items"], today=today)
        options.suggest_known_failing.write_text(draft, encoding="utf-8")
    if options.accept:
        accept(results)
    faults = stale(results) if options.check else []
    _tell(results, faults)
    return 0 if results["conformant"] and not faults else NOT_CONFORMANT


def _tell(results: dict[str, Any], faults: list[str]) -> None:
    counts = results["counts"]
    failed = counts["fail"] + counts["error"]
    for fault in [*results["faults"], *faults]:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"conformance: {counts['pass']} passed, {failed} failed\n{results['line']}\n")
    if results["conformant"]:
        sys.stdout.write("CONFORMANT\n")
