"""A producer or a worker as a process of its own: `python -m tests.proof.crash.clients produce p1 SEED tcp PORT FOLDER SECONDS`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.proof.crash.producing import produce
from tests.proof.crash.traffic import Client
from tests.proof.crash.working import work
from tests.proof.history import Ledger

ROLES = {"produce": produce, "work": work}


def main(role: str, name: str, seed: str, kind: str, port: str, folder: str, seconds: str) -> None:
    with Ledger(Path(folder), name) as ledger:
        client = Client(kind, int(port), Path(folder), ledger, f"{seed}-{name}", float(seconds))
        ROLES[role](client)


if __name__ == "__main__":
    main(*sys.argv[1:])
