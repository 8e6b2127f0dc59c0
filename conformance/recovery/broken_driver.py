"""`python -m conformance.recovery.broken_driver FAULT --async`: the Python driver with a fault that the harness has to find."""

from __future__ import annotations

import itertools
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobwire import _async_client, _async_worker, _tcp, _worker_link

from conformance.mutants.fault import around, put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DRIVER: Final = Path(__file__).parents[1] / "drivers/python/driver.py"
_NEVER_S: Final = 3_600.0


def deaf() -> None:
    """A worker whose call has failed does not try again, whatever its heart finds."""
    put(_worker_link.SharedLink, "failed", lambda self, channel, error: _NEVER_S)
    put(_async_worker.AsyncWorker, "_found_deaf", lambda self: None)


def crossing() -> None:
    """The next answer is taken for that of the oldest request."""
    put(_tcp.Session, "_rid_of", lambda self, body: next(iter(self._waiting), None))


def losing() -> None:
    """Every fifth push is answered with what another got, and not made."""
    count, answers = itertools.count(1), list[Any]()

    async def push(original: Any, *args: Any, **kwargs: Any) -> Any:
        if next(count) % 5 == 0:
            return answers[0]
        answers.append(await original(*args, **kwargs))
        return answers[-1]

    around(_async_client.AsyncClient, "push", push)


FAULTS: Final[Mapping[str, Callable[[], None]]] = {
    "deaf": deaf,
    "crossing": crossing,
    "losing": losing,
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    sys.path.insert(0, str(_DRIVER.parent))
    runpy.run_path(str(_DRIVER), run_name="__main__")
