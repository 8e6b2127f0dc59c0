"""Checks the specification against itself.

    python spec/codegen/check_spec.py

Prints one line a fault and exits 1 when there is one. Faults of one kind hide others: first files that cannot be read, then those of
the tables and the requirements, then those of openapi.yaml. `--root` names another checkout, which the tests use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import bundle
import check_examples
import check_openapi
import check_tables
import requirements
import vectors
from source import REPOSITORY, Spec, SpecError


def faults(spec: Spec) -> list[str]:
    """What is wrong; SpecError when a file cannot be read at all."""
    document = bundle.bundled(spec)
    tables = [
        *check_tables.faults(spec),
        *requirements.faults(spec),
        *_stale_lock(spec),
        *vectors.faults(spec),
    ]
    return tables or _openapi(spec, document)


def _openapi(spec: Spec, document: dict[str, Any]) -> list[str]:
    """The checks of openapi.yaml, the slow one only when the others pass or cannot make sense of it."""
    try:
        found = [*check_openapi.faults(spec, document), *check_examples.faults(spec, document)]
    except (AttributeError, KeyError, TypeError) as error:
        return check_openapi.shape_faults(document) or [f"openapi.yaml: no {error}"]
    return found or check_openapi.shape_faults(document)


def _stale_lock(spec: Spec) -> list[str]:
    """Name the requirements whose text changed since requirements.lock was written."""
    wanted = requirements.outputs(spec)[requirements.PATH].splitlines()
    found = spec.text(requirements.PATH).splitlines()
    changed = sorted({line.split(" ")[0] for line in set(wanted) ^ set(found)})
    return [f"requirements.lock: {name} is stale (run `make generate`)" for name in changed]


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Check the specification against itself.")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the checkout to check")
    spec = Spec(parser.parse_args(arguments).root)
    try:
        found = faults(spec)
    except SpecError as error:
        found = [str(error)]
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print(f"spec: {len(requirements.requirements(spec))} requirements, no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
