"""The stored matrix is of this specification, and the README shows it. Whether it is of the last run says `report --check`."""

from __future__ import annotations

import re

from conformance.runner import matrix, report
from conformance.runner.specification import specification


def test_the_stored_matrix_has_the_requirements_that_there_are() -> None:
    text = report.MATRIX.read_text(encoding="utf-8")

    rows = re.findall(r"^\| (JW-[A-Z]+-[0-9]+) \| (MUST|SHOULD|MAY) \|", text, re.MULTILINE)

    assert rows == [(each.id, each.level) for each in specification().requirements]


def test_the_readme_shows_the_stored_matrix() -> None:
    summary = matrix.summary_of(report.MATRIX.read_text(encoding="utf-8"))

    assert summary
    assert report.stale_readme(summary) == []
