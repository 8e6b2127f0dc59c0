"""
Known failures of a foreign target: cases that run, are expected to fail, and have to fail in the way that was written down.

    - id: TIME-*                      # a pattern over names of items
      because: no schedule is finer than a second
      link: https://…
      signature: {step: 3, path: $.job.state}        # or code: NOT_FOUND; what the failure says
      since: 2026-11-22
      review_by: 2027-05-22

A case that passes after all, a pattern that fits no case, another failure than the one that was written down, and a date that has
passed are faults of the run. Our own server and SDKs have no such list.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Sequence
    from pathlib import Path

KNOWN: Final = "known_failing"
_KEYS: Final = frozenset({"id", "because", "link", "signature", "since", "review_by"})
_SIGNS: Final = ("path", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailing:
    """One entry. `step` is the number of the step that fails, from 1; `sign` is a text that the failure has."""

    pattern: str
    because: str
    link: str
    step: int
    sign: str
    since: datetime.date
    review_by: datetime.date

    def fits(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, _literal_brackets(self.pattern))


def load(path: Path) -> list[KnownFailing]:
    """The entries of a file. ValueError names one that is not as above."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return [_entry(f"{path.name}, entry {number}", row) for number, row in enumerate(rows, 1)]


def apply(
    items: Iterable[dict[str, Any]], entries: Sequence[KnownFailing], *, today: datetime.date
) -> list[str]:
    """Turn the verdict of failures that are known into `known_failing`, in place; what is wrong with the list."""
    faults = [
        f"known failing {entry.pattern}: its review was due on {entry.review_by}"
        for entry in entries
        if entry.review_by < today
    ]
    used: set[str] = set()
    for item in items:
        entry = next((each for each in entries if each.fits(item["name"])), None)
        if entry is not None and item["verdict"] != "not_applicable":
            used.add(entry.pattern)
            faults += _judged(item, entry)
    faults += [
        f"known failing {entry.pattern}: it fits no case that ran"
        for entry in entries
        if entry.pattern not in used
    ]
    return faults


def suggested(items: Iterable[dict[str, Any]], *, today: datetime.date) -> str:
    """A draft of a file for what failed; its `because` and `link` are for a person to fill in."""
    rows = [
        {
            "id": item["name"],
            "because": "",
            "link": "",
            "signature": {"step": _failed_step(item), "path": (item["failure"] or "")[:80]},
            "since": today,
            "review_by": today.replace(year=today.year + 1, day=min(today.day, 28)),
        }
        for item in items
        if item["verdict"] == "fail"
    ]
    return yaml.safe_dump(rows, sort_keys=False, allow_unicode=True)


def _judged(item: dict[str, Any], entry: KnownFailing) -> list[str]:
    if item["verdict"] == "pass":
        return [f"known failing {entry.pattern}: {item['name']} passes; take it off the list"]
    if item["verdict"] != "fail":
        return []
    step, failure = _failed_step(item), item["failure"] or ""
    if step != entry.step or entry.sign not in failure:
        wanted = f"step {entry.step} with {entry.sign!r}"
        return [f"known failing {entry.pattern}: {item['name']} fails in step {step}, not {wanted}"]
    item["verdict"] = KNOWN
    return []


def _failed_step(item: dict[str, Any]) -> int:
    """The number of the first step that is not ok; 0 when there is none."""
    return next((n for n, step in enumerate(item["steps"], 1) if not step["ok"]), 0)


def _entry(where: str, row: Any) -> KnownFailing:
    if not isinstance(row, dict) or set(row) != _KEYS:
        raise ValueError(f"{where}: it has to have exactly {sorted(_KEYS)}")
    signature = row["signature"]
    signs = [key for key in _SIGNS if key in signature]
    if set(signature) != {"step", *signs} or len(signs) != 1:
        raise ValueError(f"{where}: signature has `step` and one of {_SIGNS}")
    if not row["because"] or not row["link"]:
        raise ValueError(f"{where}: `because` and `link` say why")
    return KnownFailing(
        pattern=row["id"],
        because=row["because"],
        link=row["link"],
        step=signature["step"],
        sign=signature[signs[0]],
        since=row["since"],
        review_by=row["review_by"],
    )


def _literal_brackets(pattern: str) -> str:
    """`ACK-1[http]` names that item; brackets are no choice of letters here."""
    return pattern.replace("[", "[[]")
