"""The package needs Python and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_the_package_declares_no_dependencies() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert re.search(r"^dependencies = \[\]", text, re.MULTILINE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_module_imports_the_standard_library_and_its_own_package_only(path: Path) -> None:
    foreign = [
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "jobwire"}
    ]

    assert foreign == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def test_the_package_runs_where_nothing_else_is_installed() -> None:
    source = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import jobwire; print(jobwire.__version__)"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip()
    assert done.stderr == ""
