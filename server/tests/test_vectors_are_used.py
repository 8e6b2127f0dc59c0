"""Every file of spec/vectors/ that concerns the server is opened by a test of the server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.vectors import SPEC

HERE = Path(__file__).parent


def test_every_vector_file_is_opened_by_a_test() -> None:
    sources = "\n".join(path.read_text() for path in HERE.rglob("test_*.py"))

    opened = set(re.findall(r"vectors\(\"(\w+)\"\)", sources))

    assert opened == {path.stem for path in (SPEC / "vectors").glob("*.json")}
