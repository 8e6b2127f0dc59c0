"""A producer or a worker as a process of its own: `python -m tests.proof.clients produce p1 SEED tcp PORT FOLDER SECONDS`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.proof.history import Ledger
from tests.proof.producing import produce
from tests.proof.traffic import Client
from tests.proof.working import work

ROLES = {"produce": produce, "work": work}


def main(role: str, name: str, seed: str, kind: str, port: str, folder: str, seconds: str) -> None:
    with Ledger(Path(folder), name) as ledger:
        client = Client(kind, int(port), Path(folder), ledger, f"{seed}-{name}", float(seconds))
        ROLES[role](client)


if __name__ == "__main__":
    main(*sys.argv[1:])
