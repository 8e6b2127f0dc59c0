"""
The pytest front end: every case over every transport is a test, `cases/behaviour/ack.yaml::ACK-003[tcp1]`.

    --seed N             that of an earlier run: the same names and ids
    --whole              everything runs: forget what earlier runs recorded, and hold what this one records to the gate of coverage
    --no-records         leave the recordings alone

A run ends with lines of counts; runner/closing.py has them.
"""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.runner.closing import counted, lines, measured_coverage
from conformance.runner.coverage import UNDER_THE_BAR
from conformance.runner.loader import CASES, OTHER_FORMATS, load_file
from conformance.runner.model import Item, Outcome, items_of
from conformance.runner.recorder import RECORDS
from conformance.runner.telling import story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.runner.machine import Machine


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--seed", type=int, default=None, help="seed of an earlier run")
    group.addoption(
        "--whole", action="store_true", help="forget earlier recordings; coverage is a gate"
    )
    group.addoption("--no-records", action="store_true", help="leave the recordings alone")


def pytest_configure(config: pytest.Config) -> None:
    """One seed a run: the processes of xdist get that of the process that started them."""
    given = getattr(config, "workerinput", {}).get("seed", config.getoption("--seed"))
    seed = random.SystemRandom().randrange(2**32) if given is None else given
    config.stash[_SEED] = seed
    config.stash[_BEGAN] = time.monotonic()
    if _is_first(config) and config.getoption("--whole"):
        for path in RECORDS.glob("*.jsonl"):
            path.unlink()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Cases by the thousand, all of which stay: nobody has to look for garbage among them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _is_first(config: pytest.Config) -> bool:
    """Whether this process was started by somebody, and not by xdist."""
    return not hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"conformance: seed {config.stash[_SEED]}"


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    if file_path.suffix != ".yaml" or not file_path.is_relative_to(CASES):
        return None
    if file_path.relative_to(CASES).parts[0] in OTHER_FORMATS:
        return None
    collector: pytest.Collector = CaseFile.from_parent(parent, path=file_path)
    return collector


@pytest.hookimpl(trylast=True)  # the processes of xdist have ended by then
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The lines that close the run; one that misses a gate is failed by its exit code."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not _is_first(config) or reporter is None or config.option.collectonly:
        return
    counts = counted(reporter.stats)
    measured = measured_coverage() if config.getoption("--whole") else None
    config.stash[_CLOSING] = lines(counts, measured, time.monotonic() - config.stash[_BEGAN])
    if session.exitstatus == pytest.ExitCode.OK and measured is not None and measured.faults:
        session.exitstatus = UNDER_THE_BAR


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if _CLOSING in config.stash:
        terminalreporter.section("conformance")
        for line in config.stash[_CLOSING]:
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    machine = config.stash.get(_MACHINE, None)
    if machine is not None:
        machine.close()


class CaseFile(pytest.File):
    """A file of cases; a mistake in it is an error of its collection."""

    def collect(self) -> Iterator[pytest.Item]:
        for item in items_of(load_file(self.path)):
            yield CaseItem.from_parent(self, name=item.name, item=item)


class CaseItem(pytest.Item):
    """A case over one transport."""

    def __init__(self, *, item: Item, **rest: Any) -> None:
        super().__init__(**rest)
        self.item = item
        self.add_marker(pytest.mark.quick if item.case.quick else pytest.mark.acceptance)
        self._log = ""

    def runtest(self) -> None:
        outcome, self._log = _machine(self.config).run_item(self.item)
        if outcome.verdict != "pass":
            raise NotPassed(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotPassed):
            return story(excinfo.value.outcome, self.config.stash[_SEED], self._log)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.item.case.line - 1, f"{self.name}: {self.item.case.title}"


class NotPassed(Exception):  # noqa: N818 - named for what it says
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.failure)
        self.outcome = outcome


_SEED = pytest.StashKey[int]()
_BEGAN = pytest.StashKey[float]()
_CLOSING = pytest.StashKey[list[str]]()
_MACHINE: pytest.StashKey[Machine] = pytest.StashKey()


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    """Servers, drivers and the recorder of this process."""
    return _machine(pytestconfig)


def _machine(config: pytest.Config) -> Machine:
    from conformance.runner.machine import Machine  # takes a second, and counting needs none

    if _MACHINE not in config.stash:
        records = None if config.getoption("--no-records") else RECORDS
        config.stash[_MACHINE] = Machine(config.stash[_SEED], records)
    return config.stash[_MACHINE]
