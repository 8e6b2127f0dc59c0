"""Processes that the benchmark runs its parts in: one that loads servers, one that is the ceiling."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")

LIMIT_S = 300.0


def end_on_sigterm() -> None:
    """Leave by SystemExit, so that every server that was started is stopped; a second signal does not disturb that."""

    def leave(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)


class OneProcess(AbstractContextManager["OneProcess"]):
    """A process that lives as long as the context and does one call at a time."""

    def __init__(self) -> None:
        # Spawned, so that it inherits nothing of this one's memory.
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._pool.submit(function, *args, **kwargs).result(LIMIT_S)
