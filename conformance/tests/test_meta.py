"""
The runner's own cases, in meta/. The comment on the first line says what has to come of each file:

    invalid/     `# refused: PATTERN`      it is not read, and the message has file, line and PATTERN
    valid-fail/  `# VERDICT: PATTERN`      it is read, and ends so, for that reason
    valid-pass/  `# assertions: PATTERN`   it passes over each of its transports, with so many assertions evaluated
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.runner.loader import HERE, load_file
from conformance.runner.model import Item, Outcome, SuiteError, items_of
from conformance.runner.pool import Pool
from conformance.runner.recorder import Recorder
from conformance.runner.serving import on_pool
from conformance.runner.telling import story

META = HERE / "meta"


def seed_of(path: Path) -> int:
    """One each: all of these cases have the same id, and so the same queues."""
    return zlib.crc32(path.stem.encode())


def files(kind: str) -> list[Path]:
    return sorted((META / kind).glob("*.yaml"))


def wanted(path: Path) -> tuple[str, str]:
    """The two halves of the first line."""
    word, _, pattern = path.read_text().splitlines()[0].removeprefix("# ").partition(": ")
    return word, pattern


class Machine:
    """One pool for all of them."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._pool = Pool()
        self._recorder = Recorder(None)

    def run(self, item: Item, seed: int) -> Outcome:
        outcome, _ = self._runner.run(on_pool(self._pool, item, self._recorder, seed))
        return outcome

    def close(self) -> None:
        self._runner.run(self._pool.close())
        self._runner.close()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


def test_there_is_something_to_test() -> None:
    assert all(len(files(kind)) >= least for kind, least in
               {"invalid": 50, "valid-fail": 30, "valid-pass": 8}.items())  # fmt: skip


@pytest.mark.parametrize("path", files("invalid"), ids=lambda path: path.stem)
def test_an_invalid_file_is_refused_with_its_place(path: Path) -> None:
    word, pattern = wanted(path)

    with pytest.raises(SuiteError) as error:
        load_file(path, META)

    assert word == "refused"
    assert re.match(rf"conformance/meta/invalid/{path.name}:\d+: ", str(error.value))
    assert re.search(pattern, str(error.value)), str(error.value)


@pytest.mark.acceptance
@pytest.mark.parametrize("path", files("valid-fail"), ids=lambda path: path.stem)
def test_a_case_that_must_not_pass_fails_for_its_reason(path: Path, machine: Machine) -> None:
    verdict, pattern = wanted(path)

    [item] = items_of(load_file(path, META))
    outcome = machine.run(item, seed_of(path))

    assert outcome.verdict == verdict, story(outcome, seed_of(path))
    assert re.search(pattern, outcome.failure or "", re.DOTALL), outcome.failure


@pytest.mark.acceptance
@pytest.mark.parametrize("path", files("valid-pass"), ids=lambda path: path.stem)
def test_a_case_that_must_pass_passes_everywhere(path: Path, machine: Machine) -> None:
    _, pattern = wanted(path)

    for item in items_of(load_file(path, META)):
        outcome = machine.run(item, seed_of(path))

        assert outcome.verdict == "pass", story(outcome, seed_of(path))
        assert re.fullmatch(pattern, str(outcome.assertions)), item.name
