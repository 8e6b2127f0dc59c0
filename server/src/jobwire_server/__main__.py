"""`python -m jobwire_server` is the `jobwire` command."""

from __future__ import annotations

from jobwire_server.cli import main

main()
