"""
The `jobwire` command. `main` is its entry point; root.py has the commands, exits.py the exit codes.

Nothing of the server imports this package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command (sys.argv's by default) and exit with its code, an error in words on stderr."""
    from jobwire_server.cli.exits import CliError
    from jobwire_server.cli.output import report
    from jobwire_server.cli.root import root

    try:
        root(None if arguments is None else list(arguments))
    except CliError as error:
        report(error)
        sys.exit(error.exit_code)
    sys.exit(0)
