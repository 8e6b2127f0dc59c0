"""The public names: none appears or vanishes unnoticed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import jobwire


def test_all_is_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(jobwire).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "VERSION"
    }

    assert set(jobwire.__all__) == public | {"__version__"}
    assert len(jobwire.__all__) == len(set(jobwire.__all__))
    assert jobwire.__all__ == sorted(jobwire.__all__, key=_isort_key)


def _isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff keeps in `__all__`."""
    if name.isupper():
        return 0, name
    return (1, name) if name[0].isupper() else (2, name)


def test_the_version_is_that_of_the_package() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")

    assert re.search(rf'^version = "{re.escape(jobwire.__version__)}"$', text, re.MULTILINE)


def test_the_package_is_typed() -> None:
    assert (Path(jobwire.__file__).parent / "py.typed").exists()
