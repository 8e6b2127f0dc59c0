"""What all tests of the SDK share: no settings from outside, and nothing left running behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own JOBWIRE_URL and JOBWIRE_TOKEN must not reach a test."""
    monkeypatch.delenv("JOBWIRE_URL", raising=False)
    monkeypatch.delenv("JOBWIRE_TOKEN", raising=False)


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """A thread of the SDK that outlives its test was leaked."""
    before = set(threading.enumerate())
    yield
    left = [
        thread
        for thread in threading.enumerate()
        if thread not in before and thread.name.startswith("jobwire")
    ]
    assert left == []
