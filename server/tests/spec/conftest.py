"""The tools of spec/codegen, and copies of the specification that a test may damage."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
TOOLS = REPOSITORY / "spec" / "codegen"


def _import_tool(name: str) -> ModuleType:
    """A module of spec/codegen, which are scripts that import each other by their plain names."""
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture(scope="session")
def generate() -> Any:
    return _import_tool("generate")


@pytest.fixture(scope="session")
def check_spec() -> Any:
    return _import_tool("check_spec")


@pytest.fixture(scope="session")
def source() -> Any:
    return _import_tool("source")


@pytest.fixture(scope="session")
def spec(source: Any) -> Any:
    """The specification of this checkout."""
    return source.Spec(REPOSITORY)


@pytest.fixture(scope="session")
def generated(generate: Any, spec: Any) -> list[str]:
    """Every file that is written, or has tables that are, relative to the checkout."""
    paths: list[str] = generate.generated_paths(spec)
    return paths


@pytest.fixture
def checkout(tmp_path: Path, generated: list[str]) -> Path:
    """A copy of spec/ and of everything that is generated from it."""
    shutil.copytree(
        REPOSITORY / "spec",
        tmp_path / "spec",
        ignore=shutil.ignore_patterns("node_modules", "codegen", "__pycache__"),
    )
    for path in generated:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, target)
    return tmp_path
