"""Jobs of 1 MiB, asked for by the thousand: the answers are bounded, so is the memory, and no job is lost (JW-PULL-18)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from tests.acceptance.processes import Lines, Server

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

MIB: Final = 1 << 20
JOBS: Final = 130  # three answers
LIMIT: Final = 64 * MIB
# As jobs, as their text, as the line that is sent, and as much again for what SQLite and the allocator keep.
ROOM: Final = 4 * LIMIT


@contextmanager
def peak(server: Server) -> Iterator[list[int]]:
    """The most memory that the server has in use meanwhile, in bytes, as the one item of the list."""
    highest, done = [server.rss], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            highest[0] = max(highest[0], server.rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield highest
    finally:
        done.set()
        watcher.join()


def push(lines: Lines) -> list[str]:
    data = "x" * (MIB - 2)
    return [
        lines.call(cmd="push", queue="q", name="n", data=f"{n:06}{data[6:]}", flow_id="f")["id"]
        for n in range(JOBS)
    ]


def ask(lines: Lines, **fields: object) -> Any:
    """An answer, which is ok and no larger than the limit."""
    lines.send(**fields)
    line = lines.read_line()
    assert len(line) <= LIMIT
    answer = json.loads(line)
    assert answer["ok"], answer
    return answer


def test_a_thousand_jobs_of_a_mib_are_handed_out_in_parts(server: Server) -> None:
    with server.connect() as lines:
        ids = push(lines)
        before = server.rss
        taken: list[str] = []
        with peak(server) as highest:
            while len(taken) < JOBS:
                jobs = ask(lines, cmd="pull", queue="q", count=1_000, lease_ms=600_000)["jobs"]
                assert jobs
                taken += [job["id"] for job in jobs]

        assert ids == taken
        assert lines.call(cmd="pull", queue="q", count=1_000)["jobs"] == []
        assert highest[0] - before < ROOM


def test_lists_of_jobs_of_a_mib_are_shown_in_parts(server: Server) -> None:
    with server.connect() as lines:
        lines.call(cmd="hello", v=[2])
        ids = push(lines)
        before = server.rss
        shown: list[str] = []
        more: dict[str, Any] = {}
        with peak(server) as highest:
            flow = ask(lines, cmd="flow", flow_id="f")
            while not shown or more["cursor"] is not None:
                page = ask(lines, cmd="find", flow_id="f", limit=1_000, **more)
                shown += [job["id"] for job in page["jobs"]]
                more = {"cursor": page["next_cursor"]}

        listed = [job["id"] for job in flow["jobs"]]
        assert flow["summary"]["total"] == JOBS
        assert 60 <= len(listed) < JOBS
        assert ids[: len(listed)] == listed
        assert ids[::-1] == shown
        assert highest[0] - before < ROOM
