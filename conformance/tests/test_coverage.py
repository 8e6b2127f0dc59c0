"""Coverage counts what was recorded against what the specification declares, and a cell that is missing lowers the number."""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.runner import features
from conformance.runner.cells import DIMENSIONS, Cells, declared, outcomes, sdk_cells
from conformance.runner.coverage import FLOOR, SURFACE, Coverage, Seen, add_arguments, main
from conformance.runner.specification import Specification, specification

SPEC = specification()
NO_FLOOR = {"unreachable": 1000, "C7": 0}


def http(operation: str, status: int, kind: str, code: str = "") -> dict[str, Any]:
    return {
        "kind": "http",
        "case": "A",
        "operations": [operation] if operation else [],
        "status": status,
        "type": kind,
        "code": code,
        "problems": [],
    }


def tcp(command: str, wire: int, code: str = "") -> dict[str, Any]:
    return {
        "kind": "tcp",
        "case": "A",
        "command": command,
        "wire": wire,
        "code": code,
        "problems": [],
    }


def everything() -> list[dict[str, Any]]:
    """Records that show every cell."""
    cells = cells_of_today().wanted
    records: list[dict[str, Any]] = []
    for cell in cells["C1"]:
        operation, status, kind = cell.split(" ")
        records.append(http(operation, int(status), kind))
    for cell in cells["C2"]:
        operation, code = cell.split(" ")
        records.append(http(operation, 599, "-", code))
    for cell in cells["C3"]:
        command, version, outcome = cell.split(" ")
        records.append(tcp(command, int(version[1:]), "" if outcome == "ok" else outcome))
    for cell in cells["C4"]:
        version, *named, code = cell.split(" ")
        if version == "http":
            records.append(http("", 599, "-", code))
        else:
            records.append(tcp(named[0] if named else "ping", int(version[1:]), code))
    records += [tcp(f"notice:{cell.split(' ')[0]}", 2) for cell in cells["C5"]]
    records.append({"kind": "item", "case": "A", "verdict": "pass", "covers": sorted(cells["C6"])})
    for cell in cells["C8"]:
        sdk, method, outcome = cell.split(" ")
        records.append({"kind": "sdk", "sdk": sdk, "method": method, "outcome": outcome})
    return records


@functools.cache
def cells_of_today() -> Cells:
    return declared(SPEC, surface())


@functools.cache
def surface() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(SURFACE.read_text(encoding="utf-8"))
    return table


def coverage(records: list[dict[str, Any]]) -> Coverage:
    return Coverage(SPEC, cells_of_today(), Seen(records))


def test_every_cell_seen_is_a_hundred_percent() -> None:
    found = coverage(everything())

    assert found.line() == "coverage: " + " ".join(f"{each}=100%" for each in DIMENSIONS)
    assert found.faults(bar=100, floor=NO_FLOOR) == []


@pytest.mark.parametrize(
    ("dimension", "cell", "kind"),
    [
        ("C1", "push 201 application/json", "http"),
        ("C2", "ack LEASE_LOST", "http"),
        ("C3", "ack v2 LEASE_LOST", "tcp"),
        ("C3", "queues v1 UNKNOWN_COMMAND", "tcp"),
        ("C4", "http ROUTE_NOT_FOUND", "http"),
        ("C5", "goaway tcp", "tcp"),
        ("C8", "python push ConflictError", "sdk"),
    ],
)
def test_a_missing_cell_lowers_the_number_and_has_a_name(
    dimension: str, cell: str, kind: str
) -> None:
    records = everything()
    less = [each for each in records if cell not in Seen([each]).cells[dimension]]
    assert len(less) < len(records)

    found = coverage(less)

    assert found.missing(dimension) == [cell]
    assert found.percent(dimension) < 100
    assert found.faults(bar=100, floor=NO_FLOOR)[0].startswith(f"{dimension} is ")
    assert {each["kind"] for each in records if each not in less} == {kind}


@pytest.mark.parametrize("verdict", ["fail", "error", "not_applicable"])
def test_a_requirement_counts_only_when_all_its_cases_passed(verdict: str) -> None:
    passed = {"kind": "item", "case": "A", "verdict": "pass", "covers": ["JW-PUSH-1"]}
    other = {"kind": "item", "case": "B", "verdict": verdict, "covers": ["JW-PUSH-1"]}

    both = Seen([passed, other]).cells["C6"]

    assert both == ({"JW-PUSH-1"} if verdict == "not_applicable" else set())
    assert Seen([other]).cells["C6"] == set()


def test_what_was_undocumented_covers_nothing_and_fails_the_run() -> None:
    bad = {**http("push", 201, "application/json"), "problems": ["a member too many"]}

    found = coverage([bad])

    assert found.seen.cells["C1"] == set()
    assert "undocumented: A: a member too many" in found.faults(bar=0, floor=NO_FLOOR)


def test_too_many_marks_and_a_mark_that_is_wrong_are_faults() -> None:
    cells = Cells()
    cells.add("C1", "push 201 application/json", "nobody pushes")
    found = Coverage(SPEC, cells, Seen([http("push", 201, "application/json")]))

    faults = found.faults(bar=0, floor={"unreachable": 0, "C7": 0})

    assert "1 cells are marked unreachable, and 0 may be" in faults
    assert "marked unreachable, and reached: C1 push 201 application/json" in faults


def test_a_mark_of_no_cell_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Specification()
    wire = {**spec.wire, "unreachable": {"C3 push v1 NONSENSE": "a slip"}}
    monkeypatch.setattr(spec, "wire", wire)

    with pytest.raises(ValueError, match="NONSENSE"):
        declared(spec)


def test_marks_of_responses_and_operations_are_read() -> None:
    spec = Specification()
    push = spec.openapi["paths"]["/queues/{queue}/jobs"]["post"]
    push["x-unreachable"] = {"507 application/json": "the disk is endless"}
    push["responses"]["409"] = {
        **spec.resolved(push["responses"]["409"]),
        "x-unreachable": {"DUPLICATE_KEY": "no keys", "ID_CONFLICT": "no ids"},
    }

    cells = declared(spec)

    assert cells.unreachable["C1 push 507 application/json"] == "the disk is endless"
    assert "push 507 application/problem+json" in cells.wanted["C1"]
    assert cells.unreachable["C2 push DUPLICATE_KEY"] == "no keys"
    assert {"C1 push 409 application/json", "C1 push 409 application/problem+json"} <= set(
        cells.unreachable
    )


def test_a_fall_of_c7_is_a_fault() -> None:
    found = coverage([{"kind": "features", "case": "", "seen": ["Job.id"]}])

    assert 0 < found.schema_percent < 1
    assert "Job.id" not in found.schema_missing
    assert "C7 is 0.2 %, and was 50 % before" in found.faults(
        bar=0, floor={"unreachable": 1000, "C7": 50}
    )


def test_features_are_found_in_answers_and_requests() -> None:
    schema = {"$ref": "#/components/schemas/OneJob"}
    seen = features.seen_in(SPEC, schema, {"ok": True, "job": {"state": "active", "reason": None}})
    error = {"code": "VALIDATION_ERROR", "details": {"pointer": "/jobs/0/delay_ms"}}

    assert seen == {"OneJob.ok", "OneJob.job", "Job.state", "JobState=active"}
    assert seen <= features.declared(SPEC)
    assert features.asked_with("push_batch", frozenset({"delay_ms"}), error) == {
        "push_batch(delay_ms) refused"
    }
    assert features.fields_of({"name": "n", "options": {"ttl_ms": 1}}) == {
        "name",
        "options",
        "ttl_ms",
    }


def test_outcomes_follow_the_version() -> None:
    assert outcomes(SPEC, "find", 1) == ["UNKNOWN_COMMAND"]
    assert "NOT_FOUND" in outcomes(SPEC, "get", 1)
    assert "JOB_NOT_FOUND" not in outcomes(SPEC, "get", 1)
    assert "JOB_NOT_FOUND" in outcomes(SPEC, "get", 2)
    assert "PARTIAL_FAILURE" in outcomes(SPEC, "ack_batch", 1)
    assert "PARTIAL_FAILURE" not in outcomes(SPEC, "ack_batch", 2)


def test_planned_sdks_and_what_makes_no_call_have_no_cells() -> None:
    table = {
        "sdks": {"a": {"status": "current"}, "b": {"status": "planned"}},
        "methods": {"push": {"errors": ["E"]}, "close": {"outcomes": False}},
        "any_method": ["T"],
    }

    assert list(sdk_cells(table)) == ["a push ok", "a push E", "a * T"]


def run(tmp_path: Path, records: list[dict[str, Any]], *arguments: str) -> int:
    text = "".join(json.dumps({"problems": [], **each}) + "\n" for each in records)
    (tmp_path / "w.jsonl").write_text(text, encoding="utf-8")
    floor = tmp_path / "floor.json"
    floor.write_text(json.dumps(NO_FLOOR), encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args(["--records", str(tmp_path), "--floor", str(floor), *arguments]))


def test_the_command_prints_the_line_and_exits_3_under_the_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, everything(), "--fail-under", "100") == 0
    assert "coverage: C1=100% C2=100%" in capsys.readouterr().out

    assert run(tmp_path, everything()[1:], "--fail-under", "100") == 3
    assert "C1=99.8%" in capsys.readouterr().out


def test_the_command_raises_the_floor_and_never_lowers_it(tmp_path: Path) -> None:
    seen = [{"kind": "features", "case": "", "seen": ["Job.id", "Job.name", "Job.queue"]}]
    assert run(tmp_path, seen, "--ratchet") == 0
    raised = json.loads((tmp_path / "floor.json").read_text(encoding="utf-8"))

    assert raised["C7"] > 0
    found = coverage(seen[:0])
    assert "C7 is 0 %" in found.faults(bar=0, floor=raised)[0]


def test_the_committed_floor_has_the_marks_that_there_are() -> None:
    floor = json.loads(FLOOR.read_text(encoding="utf-8"))

    assert set(floor) == {"unreachable", "C7"}
    assert len(declared(SPEC, surface()).unreachable) == floor["unreachable"]
