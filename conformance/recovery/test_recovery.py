"""Each SDK is back after each fault; a small run, part of `make test`. `python -m conformance recovery` measures."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.recovery import page
from conformance.recovery.broken_driver import FAULTS as CONTROLS
from conformance.recovery.figures import Figures, percentile
from conformance.recovery.plan import BARS, FULL, SMALL
from conformance.recovery.rig import run
from conformance.runner.loader import REPOSITORY
from conformance.runner.sdk_pool import SDKS

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ("python", "node", "go")
DOORS = ("http", "tcp")
# Controls have nothing to wait for: what they break shows at once, or never.
CONTROL = replace(SMALL, faults=("restart",), patience_s=4.0, calls=160)
NOTHING_WRONG = {"deaf": 0, "lost": 0, "crossed": 0}


@pytest.mark.alone
def test_every_sdk_is_back_after_every_fault(tmp_path: Path) -> None:
    found = asyncio.run(run(tmp_path, {name: SDKS[name] for name in LANGUAGES}, DOORS, SMALL))

    assert [sentence for each in found for sentence in each.missed()] == []
    assert [each.sdk for each in found] == list(LANGUAGES)
    for each in found:
        assert {row["what"] for row in each.rows()} == set(BARS)
        assert {row["door"] for row in each.rows()} == set(DOORS)
        assert each.count("calls") == SMALL.calls
        assert each.count("connections_hurt") > len(DOORS)


@pytest.mark.alone
def test_sdks_that_are_broken_are_caught(tmp_path: Path) -> None:
    program = (sys.executable, "-m", "conformance.recovery.broken_driver")
    commands = {
        control: ("env", f"PYTHONPATH={REPOSITORY}", *program, control, "--async")
        for control in CONTROLS
    }

    found = asyncio.run(run(tmp_path, commands, ("tcp",), CONTROL))

    caught = {each.sdk: each for each in found}
    assert caught["deaf"].count("deaf") == 2, (
        "after the restart it takes no job, and hears of no cancel"
    )
    assert caught["crossing"].count("crossed") > 0
    assert caught["losing"].count("lost") > 0
    assert all(each.missed() for each in found)


def test_a_percentile_of_few_is_the_largest() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([float(value) for value in range(1, 101)], 99) == 99.0


def test_what_was_not_tried_is_missed() -> None:
    missed = Figures("none", ("cut",)).missed()

    assert missed == [
        f"none: no {what}" for what in ("calls", "pushed", "time of cut", "time of cancel")
    ]


# ── docs/guarantees.md ──


def test_the_page_shows_the_record() -> None:
    """`python -m conformance.recovery.page` writes it anew."""
    text = page.PAGE.read_text(encoding="utf-8")

    assert text == page.filled(text, page.record())
    assert text.count("made by conformance/recovery/page.py") == 1


def test_a_record_that_has_changed_changes_the_page() -> None:
    text, found = page.PAGE.read_text(encoding="utf-8"), page.record()
    found["sdks"][0]["counts"]["calls"] += 1

    assert page.filled(text, found) != text


def test_the_record_has_nothing_lost_and_says_what_is_missed() -> None:
    """A job that is lost is a bug to mend, not one to publish; a time that misses its bar stands out on the page."""
    sdks = {each["sdk"]: each for each in page.record()["sdks"]}
    over = [
        each
        for sdk in sdks.values()
        for each in sdk["worst_p99_s"].items()
        if each[1] > BARS[each[0]]
    ]

    assert set(sdks) == set(SDKS)
    for each in sdks.values():
        assert {name: each["counts"].get(name, 0) for name in NOTHING_WRONG} == NOTHING_WRONG
        assert each["counts"]["calls"] >= FULL.calls
    assert page.table(page.record()).count("missed") == len(over)
