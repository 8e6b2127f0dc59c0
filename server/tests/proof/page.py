"""The tables of docs/guarantees.md, from the records in docs/results: `python -m tests.proof.page write | check | collect FOLDER`.

The prose of the page is written by hand; what stands between a pair of marks is written by this module, and a test compares the two. `collect`
puts the records that a run of the proofs left in FOLDER (PROOF_FIGURES) into docs/results/proofs.json. A record of a campaign takes the place of
the smaller one of the same test.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "guarantees.md"
RESULTS = DOCS / "results"
COLLECTED = RESULTS / "proofs.json"
CAMPAIGNS = ("crash.json", "power.json", "fuzz.json", "soak.json")

Record = dict[str, Any]
MARKS = re.compile(r"(<!-- (\w+): made by tests/proof/page\.py -->\n).*?(<!-- end -->)", re.DOTALL)
NUMBER = re.compile(r"T(\d+)(.*)")


def records(folder: Path = RESULTS) -> list[Record]:
    """The record of each test, by its number: of a campaign where there is one."""
    found: dict[str, Record] = {}
    for name in ("proofs.json", *CAMPAIGNS):
        path = folder / name
        if path.exists():
            found |= {record["test"]: record for record in json.loads(path.read_text())}
    return sorted(found.values(), key=lambda record: order(record["test"]))


def order(test: str) -> tuple[int, str]:
    number = NUMBER.fullmatch(test)
    assert number is not None, f"{test} is no name of a test"
    return int(number[1]), number[2]


# ── The tables ──


def figures(found: Iterable[Record]) -> list[str]:
    lines = [
        "| | What was tried | Tries | Broken | At most, 95 % | Bar | Negative control | Seconds, seed, date |",
        "|---|---|--:|--:|--:|---|---|---|",
    ]
    for each in found:
        tries = f"{each['tries']:,} {each['what']}"
        run = f"{each['seconds']:.0f} s, {each['seed']}, {each['date']}"
        lines.append(
            row(
                each["test"],
                each["title"],
                tries,
                str(each["bad"]),
                f"{each['bound_95']:.1e}",
                each["bar"],
                each["control"] or "–",
                run,
            )
        )
    return lines


def numbers(found: Iterable[Record]) -> list[str]:
    lines = ["| | Beside it | Proof |", "|---|---|---|"]
    for each in found:
        said = ", ".join(f"{key} {value}" for key, value in each["numbers"].items())
        lines.append(row(each["test"], said or "–", f"`{each['proof']}`"))
    return lines


def promises(found: Iterable[Record]) -> list[str]:
    by_promise: dict[str, list[str]] = {}
    for each in found:
        for promise in each["promises"]:
            by_promise.setdefault(promise, []).append(each["test"])
    named = sorted(by_promise, key=lambda promise: int(promise[1:]))
    lines = ["| Promise | Proved by |", "|---|---|"]
    return lines + [row(promise, ", ".join(by_promise[promise])) for promise in named]


def machines(found: Iterable[Record]) -> list[str]:
    seen = sorted({f"{each['machine']}; {each['versions']}" for each in found})
    syncs = [each["fsync_p50_ms"] for each in found]
    span = f"fsync p50 {min(syncs):.2f} to {max(syncs):.2f} ms" if syncs else "no figures yet"
    return [*(f"- {each}" for each in seen), f"- {span}"]


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '∥') for cell in cells)} |"


TABLES: dict[str, Callable[[list[Record]], list[str]]] = {
    "figures": figures,
    "numbers": numbers,
    "promises": promises,
    "machines": machines,
}


def filled(text: str, found: list[Record]) -> str:
    """The page with its tables made anew."""

    def table(match: re.Match[str]) -> str:
        lines = "\n".join(TABLES[match[2]](found))
        return f"{match[1]}{lines}\n{match[3]}"

    return MARKS.sub(table, text)


# ── Commands ──


def write() -> int:
    PAGE.write_text(filled(PAGE.read_text(), records()))
    return 0


def check() -> int:
    if PAGE.read_text() == filled(PAGE.read_text(), records()):
        return 0
    print(f"{PAGE.name} does not show docs/results; run `make figures-page`")
    return 1


def collect(folder: str) -> int:
    """Keep what this run measured; a test that it did not run keeps its record."""
    kept = json.loads(COLLECTED.read_text()) if COLLECTED.exists() else []
    found = {record["test"]: record for record in kept}
    found |= {
        record["test"]: record
        for record in (json.loads(path.read_text()) for path in Path(folder).glob("T*.json"))
    }
    ordered = sorted(found.values(), key=lambda record: order(record["test"]))
    COLLECTED.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n")
    return write()


COMMANDS: dict[str, Callable[..., int]] = {"write": write, "check": check, "collect": collect}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
