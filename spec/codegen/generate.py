"""Writes the code and the tables that follow from the specification.

    python spec/codegen/generate.py            write what is stale
    python spec/codegen/generate.py --check    write nothing; name what is stale, and exit 1

`--root` names another checkout, which the tests use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bundle
import limits
import pages
import parity
import reference
import requirements
import sdk_errors
import sdk_go
import sdk_node
import server_commands
import server_errors
import server_transitions
import vectors
from source import REPOSITORY, Spec, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

MAKERS: tuple[Callable[[Spec], dict[str, str]], ...] = (
    server_errors.outputs,
    server_transitions.outputs,
    server_commands.outputs,
    limits.outputs,
    sdk_errors.outputs,
    sdk_go.outputs,
    sdk_node.outputs,
    pages.outputs,
    parity.outputs,
    requirements.outputs,
    bundle.outputs,
    reference.outputs,
    vectors.outputs,
)


def stale_files(spec: Spec) -> dict[str, str]:
    """The files whose text is not what the specification asks for: path → the right text."""
    return {path: text for path, text in _wanted(spec).items() if _current(spec, path) != text}


def generated_paths(spec: Spec) -> list[str]:
    """Every file that is written, or has tables that are."""
    return list(_wanted(spec))


def _wanted(spec: Spec) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for maker in MAKERS:
        wanted |= maker(spec)
    return wanted


def _current(spec: Spec, path: str) -> str | None:
    file = spec.repository / path
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _write(spec: Spec, stale: dict[str, str]) -> None:
    for path, text in stale.items():
        file = spec.repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path}")


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the checkout to work on")
    options = parser.parse_args(arguments)
    spec = Spec(options.root)
    try:
        stale = stale_files(spec)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not options.check:
        _write(spec, stale)
        return 0
    for path in stale:
        print(f"stale: {path} (run `make generate`)", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
