"""The golden data of spec/, for tests: vectors by name, and the spec's own YAML files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """YAML in which `on` is a word, as it is in spec/lifecycle.yaml."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if letter not in "oO"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

SPEC = Path(__file__).parents[2] / "spec"


@cache
def vectors(name: str) -> list[dict[str, Any]]:
    """The rows of spec/vectors/<name>.json; each has an `id`."""
    rows: list[dict[str, Any]] = json.loads((SPEC / "vectors" / f"{name}.json").read_text())[
        "vectors"
    ]
    return rows


@cache
def spec(name: str) -> dict[str, Any]:
    """A YAML file of spec/, such as "wire"."""
    document: dict[str, Any] = yaml.load((SPEC / f"{name}.yaml").read_text(), _Loader)
    return document


def by_id(row: dict[str, Any]) -> str:
    """For parametrize(ids=…)."""
    return str(row["id"])
