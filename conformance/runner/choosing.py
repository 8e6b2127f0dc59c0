"""Which items are meant by what somebody typed."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.runner.loader import CASES, case_files, load, load_file, refuse_duplicates
from conformance.runner.model import Case, Item, SuiteError, items_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def choose(
    patterns: Sequence[str],
    *,
    covers: str | None = None,
    transport: str | None = None,
    quick: bool = False,
    cases: list[Case] | None = None,
) -> list[Item]:
    """
    The items that fit any of the patterns, all of them without one: `ACK-003`, `ACK-003[tcp1]`, `ACK-*`, `behaviour/ack`,
    `time/**`, or the path of a file.

    SuiteError when a pattern fits nothing, since a run of nothing is no proof. With patterns, a file that cannot be read is only
    told of on stderr, so that its author alone is held up.
    """
    if cases is None:
        cases = _readable(patterns) if patterns else load()
    items = [
        item
        for item in items_of(cases)
        if (covers is None or covers in item.case.covers)
        and (transport is None or transport == item.transport)
        and (item.case.quick or not quick)
    ]
    for pattern in patterns:
        if not any(fits(item, pattern) for item in items):
            raise SuiteError(f"no case is {pattern!r}")
    chosen = [item for item in items if not patterns or any(fits(item, p) for p in patterns)]
    if not chosen:
        raise SuiteError("no case fits")
    return chosen


def _readable(patterns: Sequence[str]) -> list[Case]:
    """The cases of all files that may have what a pattern names."""
    cases: list[Case] = []
    for path in case_files():
        if not any(_may_hold(path, pattern) for pattern in patterns):
            continue
        try:
            cases += load_file(path)
        except SuiteError as error:
            print(f"not read: {error}", file=sys.stderr)
    refuse_duplicates(cases)
    return cases


def _may_hold(path: Path, pattern: str) -> bool:
    """Whether it is worth reading a file: reading all of them takes seconds."""
    name = pattern.partition("[")[0]
    if not name or set(name) & set("*?"):
        return True
    if "/" in name or name.endswith(".yaml"):
        return path.stem == Path(name).stem
    return name in path.read_text(encoding="utf-8")


def fits(item: Item, pattern: str) -> bool:
    names = (item.name, item.case.id, item.case.suite, item.case.file)
    if pattern in names:
        return True
    path = Path(pattern)
    if path.suffix == ".yaml" and path.resolve() == (CASES / f"{item.case.suite}.yaml").resolve():
        return True
    glob = pattern.replace("[", "[[]") if pattern.endswith("]") else pattern
    return any(fnmatchcase(name, glob) for name in names[:3])


def suites(items: Iterable[Item]) -> list[str]:
    return sorted({item.case.suite for item in items})
