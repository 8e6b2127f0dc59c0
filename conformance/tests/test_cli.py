"""The command line: what is chosen, what is printed, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conformance.runner.choosing import choose, fits
from conformance.runner.cli import command_modules, main
from conformance.runner.model import Item, Outcome, StepLog, SuiteError
from conformance.runner.processes import CannotStart, ServerProcess
from conformance.runner.telling import rerun, story
from conformance.tests.cases import case_of

CASE = case_of([{"do": "ping"}], transports=["tcp1", "tcp2"])
ITEM = Item(case=CASE, transport="tcp1")


@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("TEST-1", True),
        ("TEST-1[tcp1]", True),
        ("TEST-1[tcp2]", False),
        ("TEST-*", True),
        ("*[tcp1]", True),
        ("tests/test", True),
        ("tests/*", True),
        ("TEST-2", False),
        ("TEST", False),
    ],
)
def test_what_a_pattern_means(pattern: str, fitting: bool) -> None:
    assert fits(ITEM, pattern) is fitting


def test_a_pattern_that_fits_nothing_is_an_error() -> None:
    with pytest.raises(SuiteError, match="no case is 'ACK-9999'"):
        choose(["TEST-1", "ACK-9999"], cases=[CASE])


def test_filters_that_leave_nothing_are_an_error() -> None:
    with pytest.raises(SuiteError, match="no case fits"):
        choose([], covers="JW-NOTHING-1", cases=[CASE])


def test_a_rerun_names_exactly_one_item() -> None:
    chosen = choose([ITEM.name], cases=[CASE])

    assert chosen == [ITEM]
    assert rerun(ITEM.name, 7) == "python -m conformance run --seed 7 'TEST-1[tcp1]'"


def test_every_command_says_what_it_does() -> None:
    modules = command_modules()

    assert {"run", "list", "smoke"} <= modules.keys()
    assert all(module.HELP and module.add_arguments and module.main for module in modules.values())


def test_a_story_has_all_that_is_needed() -> None:
    steps = [StepLog(name="1. do ping", ok=False, note="it was not ok", line=12)]
    outcome = Outcome(
        item=ITEM,
        verdict="fail",
        steps=steps,
        assertions=0,
        failure="it was not ok",
        seconds=0.1,
        wire=['main → {"cmd":"ping"}'],
    )

    told = story(outcome, 7, server_log="line a\nline b")

    assert "✗ 1. do ping  (tests/test.yaml:12)" in told
    assert 'main → {"cmd":"ping"}' in told
    assert "line b" in told
    assert told.endswith(rerun(ITEM.name, 7))


def test_a_suite_that_is_broken_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "NO-SUCH-CASE"]) == 2
    assert "no case is 'NO-SUCH-CASE'" in capsys.readouterr().err


@pytest.mark.acceptance
def test_a_run_ends_with_counts(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", "--seed", "7", "SMOKE-DO-1"])

    out = capsys.readouterr().out
    assert code == 0
    assert "seed 7, 3 items" in out
    assert "conformance: 3 passed, 0 failed" in out


@pytest.mark.acceptance
def test_a_server_that_cannot_be_reached_fails_and_does_not_pass(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--http", "http://127.0.0.1:1", "--tcp", "127.0.0.1:1"]

    assert main(["run", *given, "SMOKE-DO-1"]) != 0
    assert "0 passed" in capsys.readouterr().out


@pytest.mark.acceptance
def test_a_command_that_is_no_server_is_told_with_its_log(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, {}, ["sh", "-c", "echo broken; exit 3"])

    with pytest.raises(CannotStart, match=r"exit code 3:\nbroken"):
        asyncio.run(process.start())
