"""`python -m conformance.mutants.launch_driver NAME [--async]`: the driver of the Python SDK, the SDK with one fault."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path
from typing import Final

from conformance.mutants.sdk import MUTANTS

_DRIVER: Final = Path(__file__).parents[1] / "drivers/python/driver.py"


def run() -> None:
    """Apply the fault that the first argument names, none for "", and be the driver."""
    warnings.simplefilter("always", ResourceWarning)  # a driver tells of sockets that nobody closed
    name = sys.argv.pop(1)
    if name:
        MUTANTS[name].apply()
    sys.path.insert(0, str(_DRIVER.parent))
    runpy.run_path(str(_DRIVER), run_name="__main__")


if __name__ == "__main__":
    run()
