"""The server with one thing broken on purpose, for the controls: `python -m tests.proof.faulty_server FAULT serve …`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from jobwire_server import app, maintenance
from jobwire_server.cli import main
from jobwire_server.clock import MS

FAULTY: Final = "tests.proof.faulty_server"


class WallClock:
    """Leases by the wall clock, as a server would have that calls time.time()."""

    def now(self) -> int:
        return time.time_ns() // MS

    def drift(self) -> int:
        return 0

    def resync(self) -> None:
        return None


def wall_clock() -> None:
    """And without grace, which takes a jump for a stop and so would hide most of it."""
    app.SystemClock = WallClock  # type: ignore[assignment,attr-defined]
    no_grace()


def no_grace() -> None:
    """A process that was stopped goes on as if nothing had been."""

    async def watch(_: maintenance.Maintenance) -> int:
        return 1

    maintenance.Maintenance._watch_clock = watch  # type: ignore[assignment,method-assign]


FAULTS: dict[str, Callable[[], None]] = {"wall_clock": wall_clock, "no_grace": no_grace}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    main()
