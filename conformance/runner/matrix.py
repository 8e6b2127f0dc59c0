"""matrix.md: requirement × implementation as Markdown, made of results and never edited; its summary stands in a README as well."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.results import grade

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN: Final = "<!-- generated: conformance matrix -->"
END: Final = "<!-- /generated: conformance matrix -->"
_SIGNS: Final = {
    "pass": "✓",
    "pass-nonstrict": "✓ (SHOULD missed)",
    "realtime": "✓ (in real time)",
    "known_failing": "known",
    "fail": "✗",
    "error": "error",
    "not_applicable": "n/a",
    "": "–",
}
_HEAD: Final = "Made by `python -m conformance report`; do not edit.\n"


def matrix(results: dict[str, Any]) -> str:
    """The whole file: the summary by area, and one row a requirement."""
    return (
        f"# Conformance\n\n{_HEAD}\n{results['line']}: {_verdict(results)}\n\n"
        f"{summary(results)}\n## Requirements\n\n{_by_requirement(results)}"
    )


def summary(results: dict[str, Any]) -> str:
    """Requirements that passed, of those that have cases there, by area and implementation."""
    grades = _grades(results)
    areas: dict[str, list[str]] = defaultdict(list)
    for requirement in results["requirements"]:
        areas[requirement["id"].split("-")[1]].append(requirement["id"])
    rows = [
        [area, str(len(ids)), *(_share(grades, ids, column) for column in results["columns"])]
        for area, ids in areas.items()
    ]
    return _table(["area", "requirements", *results["columns"]], rows)


def embedded(readme: str, results_summary: str) -> str:
    """The text of a README with the summary between its markers. ValueError when it does not have them once."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(pattern.findall(readme)) != 1:
        raise ValueError(f"the README needs {BEGIN} and {END}, once")
    return pattern.sub(lambda _: f"{BEGIN}\n{results_summary}{END}", readme)


def summary_of(text: str) -> str:
    """The summary that a matrix.md holds, so that a README can be compared with it."""
    match = re.search(r"^\| area .*?(?=\n\n|\n## )", text, re.DOTALL | re.MULTILINE)
    return f"{match[0].rstrip()}\n" if match else ""


def _verdict(results: dict[str, Any]) -> str:
    return "CONFORMANT" if results["conformant"] else "not conformant"


def _by_requirement(results: dict[str, Any]) -> str:
    grades = _grades(results)
    rows = [
        [each["id"], each["level"], *(_SIGNS[grades[each["id"], c]] for c in results["columns"])]
        for each in results["requirements"]
    ]
    return _table(["requirement", "level", *results["columns"]], rows)


def _grades(results: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(requirement, column) → grade; empty where no case stands."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in results["items"]:
        for requirement in item["covers"]:
            found[requirement, item["column"]].add(item["grade"])
    return defaultdict(str, {key: grade(grades) for key, grades in found.items()})


def _share(grades: dict[tuple[str, str], str], ids: Iterable[str], column: str) -> str:
    tested = [grades[each, column] for each in ids if grades[each, column]]
    applicable = [each for each in tested if each != "not_applicable"]
    passed = sum(each in ("pass", "realtime") for each in applicable)
    return f"{passed}/{len(applicable)}" if applicable else "–"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
