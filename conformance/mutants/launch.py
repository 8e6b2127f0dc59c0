"""
`python -m conformance.mutants.launch NAME serve …`: the `jobwire` command with one fault.

A fault that cannot be applied, because what it patches is not there any more, ends the process with exit 2.
"""

from __future__ import annotations

import sys

from jobwire_server.cli import main

from conformance.mutants.server import MUTANTS


def run() -> None:
    """Apply the fault that the first argument names, none for "", and hand the rest to `jobwire`."""
    name = sys.argv.pop(1)
    if name:
        MUTANTS[name].apply()
    main()


if __name__ == "__main__":
    run()
