"""
What came of a run, as one document (schema/results-1.schema.json): items, requirements, counts, and whether it conforms.

CONFORMANT is only said when every case of the profile with MUST ran and passed, so a run of a part, a skip, an error of the
suite and a suite without cases are all not conformant.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.known_failing import KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.runner.model import Item
    from conformance.runner.profiles import Profile, Profiles
    from conformance.runner.sdk_cases import SdkItem
    from conformance.runner.specification import Specification

FORMAT: Final = 1
VERDICTS: Final = ("pass", "fail", "error", "not_applicable", KNOWN)
# How the verdicts of several cases for one requirement become one grade: the first that occurs.
GRADES: Final = ("error", "fail", KNOWN, "pass-nonstrict", "realtime", "pass", "not_applicable")
WIRE_LINES: Final = {"pass": 6, "not_applicable": 0}  # of the log of an item; others keep ALL_LINES
ALL_LINES: Final = 200
SHORT: Final = 160  # characters of a line of the log of an item that passed
MATRIX_COLUMNS: Final = ("http", "tcp1", "tcp2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A case of the suite that has to have run: an item by its name."""

    name: str
    suite: str
    level: str
    needs: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Verdict:
    """Whether the run conforms to a profile, and why not."""

    profile: str
    must: tuple[int, int]  # passed, of
    should: tuple[int, int]
    faults: list[str] = field(default_factory=list)

    @property
    def conformant(self) -> bool:
        return not self.faults

    def line(self) -> str:
        """`full`: 100 % MUST (412/412), SHOULD 37/37."""
        passed, of = self.must
        percent = f"{passed * 100 // of if of else 0} % MUST ({passed}/{of})"
        return f"`{self.profile}`: {percent}, SHOULD {self.should[0]}/{self.should[1]}"


def expected(items: Iterable[Item], profiles: Profiles) -> list[Expected]:
    """What the case files hold, item by item."""
    return [
        Expected(
            name=item.name,
            suite=item.case.suite,
            level=item.case.level,
            needs=profiles.needs(
                requires=item.case.requires, covers=item.case.covers, transport=item.transport
            ),
        )
        for item in items
    ]


def expected_of_sdks(items: Iterable[SdkItem], profiles: Profiles) -> list[Expected]:
    """The same for the cases that an SDK has to pass."""
    return [
        Expected(
            name=item.name,
            suite=item.case.suite,
            level=item.case.level,
            needs=profiles.needs(requires=["sdk"], covers=item.case.covers, transport=""),
        )
        for item in items
    ]


def verdict(
    items: Sequence[dict[str, Any]], wanted: Sequence[Expected], profile: Profile
) -> Verdict:
    """Hold the items that ran against those that the profile wants."""
    verdicts = {item["name"]: item["verdict"] for item in items}
    within = [each for each in wanted if profile.has(suite=each.suite, needs=each.needs)]
    must = [each for each in within if each.level == "MUST"]
    should = [each for each in within if each.level == "SHOULD"]
    passed = [sum(verdicts.get(each.name) == "pass" for each in some) for some in (must, should)]
    found = Verdict(
        profile=profile.name, must=(passed[0], len(must)), should=(passed[1], len(should))
    )
    if not must:
        found.faults.append("the profile has no case with MUST")
    found.faults += [
        f"{each.name}: {verdicts.get(each.name, 'it did not run')}"
        for each in must
        if verdicts.get(each.name) != "pass"
    ]
    found.faults += [f"{name}: error" for name, what in verdicts.items() if what == "error"]
    return found


def items_of(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The `item` records of a run, by name, with the log of what crossed the wire before each.

    `records` are in the order of their time. A case that ran twice counts as it did the last time.
    """
    logs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    items: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["kind"] == "item":
            items[record["case"]] = {
                **_item(record),
                "wire": _log(record, logs.pop(record["case"], [])),
            }
        elif record["kind"] in ("http", "line", "tcp"):
            logs[record["case"]] += _log_lines(record)
    return [items[name] for name in sorted(items)]


def document(
    spec: Specification,
    items: list[dict[str, Any]],
    found: Verdict,
    *,
    target: dict[str, Any],
    about: dict[str, Any],
) -> dict[str, Any]:
    """The whole of results.json. `about` has when, seed, seconds and the coverage line, as far as they are known."""
    counts = Counter(item["verdict"] for item in items)
    return {
        "format": FORMAT,
        "spec": spec.digest(),
        "target": target,
        "about": about,
        "profile": found.profile,
        "line": found.line(),
        "conformant": found.conformant,
        "faults": found.faults,
        "counts": {each: counts.get(each, 0) for each in VERDICTS},
        "columns": columns(items),
        "requirements": [
            {"id": each.id, "level": each.level, "page": each.page, "text": each.text}
            for each in spec.requirements
        ],
        "items": items,
    }


def columns(items: Iterable[dict[str, Any]]) -> list[str]:
    """The implementations: the doors of the server first, then SDKs and pairs of them by name."""
    found = {item["column"] for item in items}
    return [each for each in MATRIX_COLUMNS if each in found] + sorted(found - {*MATRIX_COLUMNS})


def grade(verdicts: Iterable[str]) -> str:
    """One word for all cases of a cell; empty when there is none."""
    found = set(verdicts)
    return next((each for each in GRADES if each in found), "")


def _item(record: dict[str, Any]) -> dict[str, Any]:
    level = record.get("level", "MUST")
    missed = record["verdict"] == "fail" and level == "SHOULD"
    steps = [
        {"name": str(each["name"]), "ok": bool(each["ok"]), "note": str(each.get("note", ""))}
        for each in record.get("steps", ())
    ]
    return {
        "name": record["case"],
        "id": record["id"],
        "suite": record["suite"],
        "title": record["title"],
        "covers": list(record["covers"]),
        "level": level,
        "transport": record["transport"],
        "column": record.get("column") or record["transport"].removeprefix("raw-"),
        "verdict": record["verdict"],
        "grade": "pass-nonstrict" if missed else record["verdict"],
        "assertions": record.get("assertions", 0),
        "seconds": round(record.get("seconds", 0.0), 3),
        "failure": record.get("failure"),
        "steps": steps,
        "wire": [],
    }


def _log(item: dict[str, Any], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As much of a log as its item is worth, with times that begin at 0."""
    kept = WIRE_LINES.get(item["verdict"], ALL_LINES)
    began = lines[0]["at"] if lines else 0
    cut = [{**line, "at": round(line["at"] - began, 3)} for line in lines[:kept]]
    return [_shortened(line) for line in cut] if kept < ALL_LINES else cut


def _log_lines(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A record as lines of a log: who said it, on which connection, and what."""
    at, connection = record["at"], record.get("connection", "")
    if record["kind"] == "http":
        asked = f"{record['method']} {record['target']} {record['request']['body']}".rstrip()
        said = f"{record['status']} {record['response']['body']}".rstrip()
        return [
            {"at": at, "on": connection, "from": "client", "text": asked},
            {"at": at, "on": connection, "from": "server", "text": said},
        ]
    who = "client" if record.get("sent") else "server"
    return [{"at": at, "on": connection, "from": who, "text": record["text"]}]


def _shortened(line: dict[str, Any]) -> dict[str, Any]:
    text = line["text"]
    return line if len(text) <= SHORT else {**line, "text": f"{text[:SHORT]}…"}
