"""`python -m conformance.generator [--check]`: exit 0 when the files are as they should be, 1 when --check found a stale one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from conformance.generator import bounds, http_cells, matrix_cells, tcp_cells, tcp_drain, told
from conformance.generator.writing import text

CASES: Final = Path(__file__).parents[1] / "cases"


def files() -> dict[Path, str]:
    """Every file that is written, with its text."""
    suites = {
        **http_cells.suites(),
        **tcp_cells.suites(),
        **tcp_drain.suites(),
        **bounds.suites(),
        **told.suites(),
        **matrix_cells.suites(),
    }
    return {CASES / f"{suite}.yaml": text(suite, cases) for suite, cases in suites.items()}


def stale() -> list[Path]:
    """The files that are missing or differ from what the spec gives."""
    return [
        path for path, wanted in files().items() if not path.is_file() or path.read_text() != wanted
    ]


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        sys.stdout.writelines(f"stale: {path.name}\n" for path in stale())
        return 1 if stale() else 0
    for path, wanted in files().items():
        path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
