"""
Times are judged while the machine is ours: a test of times that fails while others have its processors is made again, once.

A virtual machine goes without its processors for seconds when its host is busy. Linux counts that as time stolen; where nobody
counts it, and where little was stolen, a failure is a failure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

TIMED: Final = ("alone", "paced")
MUCH: Final = 0.1  # of the processors' time
AGAIN: Final = "made again"
_STEAL: Final = 8  # its place in the first line of /proc/stat, in which the first word is "cpu"


class Clock:
    """What the processors did since it was made."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._began = self._read()

    def stolen(self) -> float:
        """The share of their time that others had; 0 where it is not told."""
        spent = [now - then for now, then in zip(self._read(), self._began, strict=True)]
        return spent[_STEAL - 1] / sum(spent) if len(spent) >= _STEAL and sum(spent) else 0.0

    def _read(self) -> list[int]:
        if not self._stat.exists():
            return []
        first = self._stat.read_text().partition("\n")[0]
        return [int(word) for word in first.split()[1 : _STEAL + 1]]


class Again:
    """The plugin. `clock` makes what tells how much was stolen."""

    def __init__(self, clock: type[Clock] = Clock) -> None:
        self._clock = clock

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        if not any(item.get_closest_marker(mark) for mark in TIMED):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        clock = self._clock()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        stolen = clock.stolen()
        if stolen > MUCH and any(report.failed for report in reports):
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            reports[-1].sections.append((AGAIN, f"{stolen:.0%} of the time was stolen"))
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Each test that was made again, passed or not."""
        for reports in terminalreporter.stats.values():
            for report in reports:
                for name, why in getattr(report, "sections", ()):
                    if name == AGAIN:
                        terminalreporter.write_line(f"{AGAIN}: {report.nodeid}: {why}")
