"""The report: when a run conforms, what is stale, and that no text of a case becomes markup."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.runner import known_failing, matrix, report, report_page, target_files
from conformance.runner.profiles import Profiles, profiles
from conformance.runner.results import Expected, document, grade, items_of, verdict
from conformance.runner.specification import specification

TODAY = datetime.date(2026, 11, 22)
FULL = profiles()["full"]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028"


def record(name: str = "A-1[http]", what: str = "pass", **members: Any) -> dict[str, Any]:
    case, _, transport = name.rstrip("]").partition("[")
    return {
        "kind": "item",
        "case": name,
        "id": case,
        "suite": "behaviour/a",
        "title": "a rule",
        "covers": ["JW-PUSH-1"],
        "level": "MUST",
        "transport": transport,
        "verdict": what,
        "assertions": 1,
        "seconds": 0.01,
        "failure": None if what == "pass" else "step 2: $.job.state: waiting is not active",
        "steps": [{"name": "push", "ok": True}, {"name": "pull", "ok": what == "pass"}],
        **members,
    }


def wanted(name: str = "A-1[http]", level: str = "MUST", needs: str = "") -> Expected:
    return Expected(
        name=name, suite="behaviour/a", level=level, needs=frozenset(needs.split() if needs else ())
    )


def results(*records: dict[str, Any], expected: list[Expected] | None = None) -> dict[str, Any]:
    items = items_of(records)
    found = verdict(
        items, [wanted(item["name"]) for item in items] if expected is None else expected, FULL
    )
    return document(specification(), items, found, target={"name": "jobwire"}, about={})


# --- conformant, or not ------------------------------------------------------------------------------------------


def test_every_must_ran_and_passed() -> None:
    found = verdict(items_of([record()]), [wanted()], FULL)

    assert found.conformant
    assert found.line() == "`full`: 100 % MUST (1/1), SHOULD 0/0"


@pytest.mark.parametrize("what", ["fail", "error", "not_applicable"])
def test_another_verdict_is_not_conformant(what: str) -> None:
    found = verdict(
        items_of([record(), record("B-1[http]", what)]), [wanted(), wanted("B-1[http]")], FULL
    )

    assert not found.conformant
    assert found.faults[0] == f"B-1[http]: {what}"
    assert found.line() == "`full`: 50 % MUST (1/2), SHOULD 0/0"


def test_a_case_that_did_not_run_is_not_conformant() -> None:
    found = verdict(items_of([record()]), [wanted(), wanted("B-1[tcp1]")], FULL)

    assert found.faults == ["B-1[tcp1]: it did not run"]


def test_nothing_to_run_is_not_conformant() -> None:
    assert verdict([], [], FULL).faults == ["the profile has no case with MUST"]
    assert not verdict([], [wanted("A-1[http]", "SHOULD")], FULL).conformant


def test_a_should_that_fails_is_conformant_and_shown() -> None:
    items = items_of([record(), record("B-1[http]", "fail", level="SHOULD")])
    found = verdict(items, [wanted(), wanted("B-1[http]", "SHOULD")], FULL)

    assert found.conformant
    assert found.line().endswith("SHOULD 0/1")
    assert items[1]["grade"] == "pass-nonstrict"


def test_an_error_outside_of_the_profile_is_not_conformant() -> None:
    core = profiles()["core"]
    items = items_of([record(), record("B-1[http]", "error")])

    assert not verdict(items, [wanted(), wanted("B-1[http]", needs="workers")], core).conformant
    assert verdict(items[:1], [wanted(), wanted("B-1[http]", needs="workers")], core).conformant


# --- profiles ----------------------------------------------------------------------------------------------------


def test_each_profile_holds_the_one_before() -> None:
    table = profiles()
    assert table.names == ["compat-rustqueue-0.3", "core", "standard", "full"]
    samples = [
        ("compat/a", frozenset({"x"})),
        ("tcp/a", frozenset()),
        ("tcp/a", frozenset({"ttl"})),
    ]
    for smaller, larger in zip(table.names, table.names[1:], strict=False):
        for suite, needs in samples:
            if table[smaller].has(suite=suite, needs=needs):
                assert table[larger].has(suite=suite, needs=needs)


def test_needs_come_from_the_case_its_transport_and_its_requirements() -> None:
    found = profiles().needs(requires=["ttl"], covers=["JW-DEP-1", "JW-PUSH-1"], transport="tcp2")

    assert found == {"ttl", "dependencies", "wire-v2"}
    assert not profiles()["standard"].has(suite="tcp/a", needs=found)
    assert profiles()["full"].has(suite="tcp/a", needs=found)


def test_a_profile_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no profile 'most'"):
        profiles()["most"]
    row = {"title": "", "capabilities": [], "includes": "b"}
    with pytest.raises(ValueError, match="no profile 'b'"):
        Profiles({"transports": {}, "areas": {}, "profiles": {"a": row}})


# --- known failures ----------------------------------------------------------------------------------------------

ENTRY = """
- id: {id}
  because: it has no leases
  link: https://example.test/1
  signature: {signature}
  since: 2026-11-01
  review_by: {review_by}
"""


def known(tmp_path: Path, **members: str) -> list[known_failing.KnownFailing]:
    path = tmp_path / "known.yaml"
    given = {
        "id": "A-*",
        "signature": "{step: 2, path: $.job.state}",
        "review_by": "2027-05-01",
        **members,
    }
    path.write_text(ENTRY.format(**given), encoding="utf-8")
    return known_failing.load(path)


def test_a_known_failure_is_neither_a_failure_nor_a_pass(tmp_path: Path) -> None:
    items = items_of([record(what="fail")])

    assert known_failing.apply(items, known(tmp_path), today=TODAY) == []
    assert items[0]["verdict"] == "known_failing"
    assert not verdict(items, [wanted()], FULL).conformant


@pytest.mark.parametrize(
    ("members", "what", "said"),
    [
        ({}, "pass", "A-1[http] passes; take it off the list"),
        ({"id": "B-*"}, "fail", "it fits no case that ran"),
        ({"id": "A-1"}, "fail", "it fits no case that ran"),
        ({"signature": "{step: 1, path: $.job.state}"}, "fail", "fails in step 2, not step 1"),
        ({"signature": "{step: 2, code: LEASE_LOST}"}, "fail", "not step 2 with 'LEASE_LOST'"),
        ({"review_by": "2026-11-21"}, "fail", "its review was due on 2026-11-21"),
    ],
)
def test_a_list_that_is_not_true_any_more_is_a_fault(
    tmp_path: Path, members: dict[str, str], what: str, said: str
) -> None:
    items = items_of([record(what=what)])

    faults = known_failing.apply(items, known(tmp_path, **members), today=TODAY)

    assert any(said in each for each in faults), faults


def test_brackets_of_a_pattern_are_meant(tmp_path: Path) -> None:
    items = items_of([record("A-1[http]", "fail"), record("A-1[tcp1]", "fail")])

    assert known_failing.apply(items, known(tmp_path, id="A-1[[]http]"), today=TODAY)
    assert known_failing.apply(items, known(tmp_path, id="A-1[http]"), today=TODAY) == []
    assert [each["verdict"] for each in items] == ["known_failing", "fail"]


@pytest.mark.parametrize("signature", ["{step: 2}", "{path: x}", "{step: 2, path: x, code: y}"])
def test_an_entry_without_a_signature_is_an_error(tmp_path: Path, signature: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        known(tmp_path, signature=signature)


def test_a_draft_can_be_read_once_a_person_has_said_why(tmp_path: Path) -> None:
    draft = known_failing.suggested(
        items_of([record(what="fail"), record("B-1[http]")]), today=TODAY
    )
    path = tmp_path / "draft.yaml"
    path.write_text(draft, encoding="utf-8")

    with pytest.raises(ValueError, match="say why"):
        known_failing.load(path)
    path.write_text(draft.replace("''", "known"), encoding="utf-8")
    items = items_of([record(what="fail")])
    assert known_failing.apply(items, known_failing.load(path), today=TODAY) == []


# --- targets -----------------------------------------------------------------------------------------------------


def test_our_own_target_has_no_known_failures() -> None:
    own = target_files.load()

    assert (own.known_failing, own.profile, own.capabilities) == ((), "full", None)


def test_every_target_file_can_be_read() -> None:
    named = [
        path for path in target_files.TARGETS.glob("*.yaml") if "known-failing" not in path.name
    ]

    assert {target_files.load(path).name for path in named} == {"jobwire", "rustqueue"}


@pytest.mark.parametrize("line", ["colour: red", "profile: most", "format: 2"])
def test_a_wrong_target_file_is_an_error(tmp_path: Path, line: str) -> None:
    key = line.split(":")[0]
    rows = {"format": "1", "name": "x", "title": "x", "profile": "core"} | {
        key: line.split(": ")[1]
    }
    path = tmp_path / "x.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in rows.items()), encoding="utf-8")

    with pytest.raises(ValueError):
        target_files.load(path)


# --- the document and the page -----------------------------------------------------------------------------------


def test_the_document_fits_its_schema() -> None:
    schema = json.loads(report.SCHEMA.read_text(encoding="utf-8"))
    log = {
        "kind": "line",
        "case": "A-1[http]",
        "at": 1.5,
        "connection": "c",
        "sent": True,
        "text": "x",
    }

    made = results(log, record(), record("B-1[raw-tcp]", "fail"))
    jsonschema_rs.validate(schema, made)

    assert made["columns"] == ["http", "tcp"]
    assert made["items"][0]["wire"] == [{"at": 0, "on": "c", "from": "client", "text": "x"}]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(
            schema, {**made, "items": [{**made["items"][0], "verdict": "skipped"}]}
        )


def test_a_case_that_ran_twice_counts_as_the_last_time() -> None:
    lines = [
        {
            "kind": "line",
            "case": "A-1[http]",
            "at": at,
            "connection": "c",
            "sent": True,
            "text": text,
        }
        for at, text in ((1, "first"), (10, "second"), (12, "third"))
    ]

    (item,) = items_of([lines[0], record(what="fail"), *lines[1:], record()])

    assert item["verdict"] == "pass"
    assert [(line["at"], line["text"]) for line in item["wire"]] == [(0, "second"), (2, "third")]


def test_the_worst_case_makes_the_grade() -> None:
    assert grade(["pass", "fail", "not_applicable"]) == "fail"
    assert grade(["pass", "not_applicable"]) == "pass"
    assert grade([]) == ""


def test_no_text_of_a_case_becomes_markup() -> None:
    log = {
        "kind": "line",
        "case": "A-1[http]",
        "at": 1,
        "connection": EVIL,
        "sent": True,
        "text": EVIL,
    }
    evil = record(
        what="fail", title=EVIL, failure=EVIL, steps=[{"name": EVIL, "ok": False, "note": EVIL}]
    )
    made = results(log, evil)
    made["target"]["name"] = EVIL
    made["faults"].append(EVIL)

    text = report_page.page(made)

    assert text.count("<script") == 2
    assert "<img" not in text
    block = re.search(
        r'<script id="results" type="application/json">(.*?)</script>', text, re.DOTALL
    )
    assert block is not None
    assert "\u2028" not in block[1]
    assert json.loads(block[1]) == made


def test_the_page_allows_its_own_script_and_style_only() -> None:
    text = report_page.page(results(record()))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)

    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    for part in (*script, *style):
        assert b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.search(r"(src|href)=|https?://", text.replace(json.dumps("https://"), ""))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write", script[0])


def test_the_page_says_conformant_only_when_it_is() -> None:
    assert "CONFORMANT" in report_page.page(results(record()))
    assert "CONFORMANT" not in report_page.page(results(record(what="fail")))


# --- the matrix --------------------------------------------------------------------------------------------------

README_TEXT = f"# A\n\n{matrix.BEGIN}\n{matrix.END}\n\nmore\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {"stored": tmp_path / "matrix.md", "readme": tmp_path / "README.md"}
    paths["readme"].write_text(README_TEXT, encoding="utf-8")
    return paths


def test_a_matrix_that_was_accepted_is_fresh(files: dict[str, Path]) -> None:
    made = results(record(), record("B-1[tcp1]", "fail", covers=["JW-PUSH-2"]))
    assert report.stale(made, **files) == ["matrix.md is stale", "README.md is stale"]

    report.accept(made, **files)

    assert report.stale(made, **files) == []
    text = files["stored"].read_text(encoding="utf-8")
    assert "| JW-PUSH-1 | MUST | ✓ | – |" in text
    assert "| JW-PUSH-2 | MUST | – | ✗ |" in text
    assert "| PUSH | 18 | 1/1 | 0/1 |" in text
    readme = files["readme"].read_text(encoding="utf-8")
    assert matrix.summary_of(text) in readme
    assert readme.endswith("more\n")


@pytest.mark.parametrize("name", ["stored", "readme"])
def test_a_matrix_that_was_edited_by_hand_is_stale(files: dict[str, Path], name: str) -> None:
    made = results(record(what="fail"))
    report.accept(made, **files)
    text = files[name].read_text(encoding="utf-8")
    assert "0/1" in text
    files[name].write_text(text.replace("0/1", "1/1"), encoding="utf-8")

    assert report.stale(made, **files) == [f"{files[name].name} is stale"]


def test_a_run_with_another_outcome_makes_the_matrix_stale(files: dict[str, Path]) -> None:
    report.accept(results(record()), **files)

    assert report.stale(results(record(what="fail")), **files) == [
        "matrix.md is stale",
        "README.md is stale",
    ]


def test_a_readme_without_markers_is_an_error(files: dict[str, Path]) -> None:
    files["readme"].write_text("# A\n", encoding="utf-8")

    with pytest.raises(ValueError, match="once"):
        report.accept(results(record()), **files)


def test_the_badge_is_green_only_when_it_conforms() -> None:
    assert report.badge(results(record()))["message"] == "conformant"
    bad = report.badge(results(record(what="fail")))
    assert (bad["color"], bad["message"]) == ("red", "0 % MUST (0/1)")


def test_all_files_are_written(tmp_path: Path) -> None:
    report.write(results(record()), tmp_path)

    found = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == {"results.json", "badge.json", "report/index.html", "report/matrix.md"}
