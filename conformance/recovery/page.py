"""
docs/results/recovery.json, and the table of it in docs/guarantees.md: `python -m conformance.recovery.page` writes the table anew.

Only what stands between the two marks is written by this module; a test compares the two.
"""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE: Final = DOCS / "guarantees.md"
RESULTS: Final = DOCS / "results" / "recovery.json"
_MARKS: Final = re.compile(
    r"(<!-- recovery: made by conformance/recovery/page\.py -->\n).*?(<!-- end -->)", re.DOTALL
)
_TIMES: Final = ("restart", "outage", "cut", "lost replies", "half-open", "hole", "cancel")

Record = dict[str, Any]


def save(sdks: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Keep what a run came to, and show it."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "versions": f"Python {platform.python_version()}",
        "load_after": round(os.getloadavg()[0], 1),
        "seconds": round(seconds),
    }
    text = json.dumps({**about, "sdks": sdks}, indent=2, ensure_ascii=False)
    RESULTS.write_text(f"{text}\n", encoding="utf-8")
    write()


def write() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), record()), encoding="utf-8")


def record() -> Record:
    found: Record = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def filled(text: str, found: Record) -> str:
    """The page with its table made anew."""
    return _MARKS.sub(lambda match: f"{match[1]}{table(found)}\n{match[2]}", text)


def table(found: Record) -> str:
    """A row a figure, a column an SDK."""
    sdks = found["sdks"]
    names = [each["sdk"] for each in sdks]
    bars = {row["what"]: row["bar_s"] for each in sdks for row in each["rows"]}
    lines = [_row("", "bar", *names), "|---|--:|" + "--:|" * len(names)]
    for what in _TIMES:
        cells = (_time(each, what, bars[what]) for each in sdks)
        lines.append(_row(f"{what}, p99 (tries)", f"≤ {bars[what]:g} s", *cells))
    for name, bar in (
        ("deaf", "0"),
        ("lost", "0"),
        ("crossed", "0"),
        ("calls", "≥ 20,000"),
        ("disturbed", "–"),
    ):
        lines.append(_row(name, bar, *(f"{each['counts'][name]:,}" for each in sdks)))
    about = f"{found['date']}, {found['machine']}, {found['versions']}, {found['seconds']} s, load {found['load_after']}"
    return "\n".join([*lines, "", about])


def _time(sdk: Mapping[str, Any], what: str, bar_s: float) -> str:
    """A time that misses its bar says so."""
    seconds = sdk["worst_p99_s"][what]
    shown = f"{seconds:.2f} s ({_tries(sdk, what)})"
    return shown if seconds <= bar_s else f"**{shown}, missed**"


def _tries(sdk: Mapping[str, Any], what: str) -> int:
    return sum(row["tries"] for row in sdk["rows"] if row["what"] == what)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    write()
