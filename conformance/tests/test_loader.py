"""Reading case files: strict YAML, and a line for everything that is wrong. meta/invalid has what is wrong with cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.runner.loader import CASES, case_files, load, load_file
from conformance.runner.model import SuiteError
from conformance.runner.reading import Document


def read(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    return Document(path, "a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("12345678901234567890123", 12345678901234567890123),
        ("2026-01-01", "2026-01-01"),
        ("1:20", "1:20"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("-", [None]),
        ("=", "="),
    ],
)
def test_the_core_schema_and_nothing_else(tmp_path: Path, text: str, value: Any) -> None:
    found = read(tmp_path, f"- {text}\n").value[0]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3: the key 'a' stands twice"),
        ("a: {b: 1, b: 2}\n", "a.yaml:1: the key 'b' stands twice"),
        ("a: 1\n1: 2\n", "a.yaml:2: a key has to be text"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "a.yaml:3: merge keys"),
        ("a: !!python/name:os.system x\n", "a.yaml:1: the tag"),
        ("a: 0123\n", "a.yaml:1: 0123 is read differently"),
        ("a: 0x1F\n", "a.yaml:1: 0x1F is read differently"),
        ("a: .5\n", "a.yaml:1: .5 is read differently"),
        ("a: .inf\n", "a.yaml:1: .inf is read differently"),
        ("a: &a [*a]\n", "a.yaml:1: an anchor contains itself"),
        ("a: [1\nb: 2\n", "a.yaml:2: not YAML"),
        ("", "a.yaml:1: the file is empty"),
        ("--- 1\n--- 2\n", "a.yaml:2: not YAML"),
    ],
)
def test_what_is_refused_has_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SuiteError) as error:
        read(tmp_path, text)

    assert str(error.value).startswith(message)


def test_an_anchor_may_be_used_again(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x {b: 1}\nc: *x\n").value == {"a": {"b": 1}, "c": {"b": 1}}


def test_every_value_has_a_line(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  - 1\n  - b:\n      c: 2\n")

    assert document.line(("a", 1, "b", "c")) == 4
    assert document.line(("a", 1, "nothing", "there")) == 3


CASE = """\
format: 1
suite: s/{name}
cases:
  - {{id: {id}, title: a title of a case, covers: [JW-PUSH-1], steps: [{{do: stats, with: {{queue: q}}, expect: {{$.paused: null}}}}]}}
"""


def test_a_case_gets_all_transports_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.yaml").write_text(CASE.format(name="a", id="A-1"))

    [case] = load(tmp_path)

    assert case.transports == ("http", "tcp1", "tcp2")
    assert (case.level, case.line, case.suite) == ("MUST", 4, "s/a")
    assert case.where.endswith("a.yaml:4")


def test_an_id_is_there_once_in_the_whole_suite(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("a", "b"):
        (tmp_path / "s" / f"{name}.yaml").write_text(CASE.format(name=name, id="A-1"))

    with pytest.raises(SuiteError, match=r"b\.yaml:4: the id A-1 is that of .*a\.yaml:4"):
        load(tmp_path)


def test_the_suite_is_the_path(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    path = tmp_path / "s" / "c.yaml"
    path.write_text(CASE.format(name="a", id="A-1"))

    with pytest.raises(SuiteError, match=r"c\.yaml:2: the suite of this file is s/c"):
        load_file(path, tmp_path)


def test_the_cases_of_the_repository_can_be_read() -> None:
    cases = load(CASES)

    assert len({case.file for case in cases}) == len(case_files(CASES))
    assert all(case.covers or case.passes_on_null is None for case in cases)
