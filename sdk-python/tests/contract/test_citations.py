"""Every test here stands for a rule of the spec, and names it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE.parents[2] / "spec" / "requirements.lock"
CITED = re.compile(r"JW-[A-Z]+-[0-9]+")


def contract_tests() -> Iterator[tuple[str, str]]:
    """The name and the docstring of each test."""
    for file in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{file.name}::{node.name}", ast.get_docstring(node) or ""


def test_every_test_cites_requirements_that_are_there() -> None:
    """JW-SDK-1 is one of them."""
    known = set(CITED.findall(LOCK.read_text()))
    cited = {name: set(CITED.findall(doc)) for name, doc in contract_tests()}

    assert known
    assert {name: ids for name, ids in cited.items() if not ids or ids - known} == {}
