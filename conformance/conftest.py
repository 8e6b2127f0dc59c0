"""
The pytest front end: every case over every transport is a test, `cases/behaviour/ack.yaml::ACK-003[tcp1]`.

    --seed N             that of an earlier run: the same names and ids
    --fresh-records      forget what earlier runs recorded; a whole run wants that, coverage is computed from the recordings
    --no-records         leave the recordings alone
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from conformance.runner.loader import CASES, OTHER_FORMATS, load_file
from conformance.runner.model import Item, Outcome, items_of
from conformance.runner.recorder import RECORDS, Recorder
from conformance.runner.serving import on_pool, reference
from conformance.runner.telling import story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--seed", type=int, default=None, help="seed of an earlier run")
    group.addoption("--fresh-records", action="store_true", help="forget earlier recordings")
    group.addoption("--no-records", action="store_true", help="leave the recordings alone")


def pytest_configure(config: pytest.Config) -> None:
    """One seed a run: the processes of xdist get that of the process that started them."""
    given = getattr(config, "workerinput", {}).get("seed", config.getoption("--seed"))
    seed = random.SystemRandom().randrange(2**32) if given is None else given
    config.stash[_SEED] = seed
    if not hasattr(config, "workerinput") and config.getoption("--fresh-records"):
        for path in RECORDS.glob("*.jsonl"):
            path.unlink()


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
        outcome, self._log = _machine(self.config).run(self.item)
        if outcome.verdict == "not_applicable":
            pytest.skip(outcome.failure or "not applicable")
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


class _Machine:
    """One event loop, pool and recorder a process, made for the first case."""

    def __init__(self, config: pytest.Config) -> None:
        self._seed = config.stash[_SEED]
        self._runner = asyncio.Runner()
        self._recorder = Recorder(None if config.getoption("--no-records") else RECORDS)
        self._stack = contextlib.AsyncExitStack()
        self._pool = self._runner.run(
            self._stack.enter_async_context(reference(limit=1, seed=self._seed))
        )

    def run(self, item: Item) -> tuple[Outcome, str]:
        return self._runner.run(on_pool(self._pool, item, self._recorder, self._seed))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()
        self._recorder.close()


_SEED = pytest.StashKey[int]()
_MACHINE = pytest.StashKey[_Machine]()


def _machine(config: pytest.Config) -> _Machine:
    if _MACHINE not in config.stash:
        config.stash[_MACHINE] = _Machine(config)
    return config.stash[_MACHINE]
