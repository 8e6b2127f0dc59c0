"""The loader of cases for SDKs is strict: whatever is wrong is an error with file:line, and never a case that cannot fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.runner.model import SuiteError
from conformance.runner.sdk_cases import items_of, load, load_file

GOOD = """\
format: 1
suite: sdk/x
cases:
  - id: SDK-X-001
    title: a rule
    covers: [JW-SDK-1]
    steps:
      - call: ping
        expect: {$: null}
"""


def loaded(tmp_path: Path, text: str) -> int:
    path = tmp_path / "sdk" / "x.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return len(load_file(path, tmp_path))


def test_a_good_file_is_read(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD) == 1


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("    title: a rule\n", "    title: a rule\n    mood: good\n", "mood"),
        ("JW-SDK-1", "JW-SDK-999", "not in spec/requirements.lock"),
        ("        expect: {$: null}\n", "", "without an assertion cannot fail"),
        ("call: ping", "call: ping\n        with: {a: '{{nobody}}'}", "nobody sets"),
        ("call: ping", "call: ping\n        start: a", "never joined"),
        (
            "call: ping\n        expect: {$: null}",
            "join: a\n        expect: {$: null}",
            "nothing is started",
        ),
        ("{$: null}", "{$.a b: null}", "is no path"),
        (
            "    steps:",
            "    gremlin: [{answer: {}}, {chunks: [1]}]\n    steps:",
            "begins with its action",
        ),
        ("    steps:", "    gremlin: []\n    steps:\n      - do: stats", "has a gremlin"),
        ("      - call: ping", "      - do: nonsense\n      - call: ping", "no operation"),
        ("suite: sdk/x", "suite: sdk/y", "the suite of this file is sdk/x"),
        ("{$: null}", "{$: null}\n        sleeps: 3", "sleeps"),
        ("title: a rule", "title: a rule\n    title: another", "stands twice"),
    ],
)
def test_what_is_wrong_is_an_error(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in GOOD
    with pytest.raises(SuiteError, match=rf"x\.yaml:\d+: .*{why}"):
        loaded(tmp_path, GOOD.replace(old, new))


def test_every_case_of_the_suite_is_read_and_has_an_item_for_each_sdk_and_transport() -> None:
    cases = load()

    assert len({case.id for case in cases}) == len(cases) > 70
    names = [item.name for item in items_of(cases, ["a", "b"])]
    assert len(names) == len(set(names)) == 2 * sum(len(case.transports) for case in cases)
