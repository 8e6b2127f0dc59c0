"""What is forked to be quick is as what a user starts: the same words, the same exit codes, the same ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.forks import Launcher, Process, by_command, forked
from tests.acceptance.processes import Server

pytestmark = pytest.mark.acceptance

Start = Callable[..., Process]


def outcome(start: Start, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and all that it said."""
    log = folder / f"{start.__name__}.log"
    return start("jobwire_server", arguments, log, environment=environment).wait(
        60
    ), log.read_text()


@pytest.mark.parametrize("arguments", [["--version"], ["no-such-command"], ["serve", "--no-such"]])
def test_a_forked_command_says_and_ends_as_one_that_was_started(
    arguments: list[str], tmp_path: Path
) -> None:
    expected = outcome(by_command, tmp_path, *arguments)

    assert outcome(forked, tmp_path, *arguments) == expected


def test_a_forked_command_has_the_environment_that_it_is_given(tmp_path: Path) -> None:
    wrong = {"JOBWIRE_STORAGE": "nothing://"}

    expected = outcome(by_command, tmp_path, "serve", **wrong)

    assert outcome(forked, tmp_path, "serve", **wrong) == expected
    assert expected[0] != 0
    assert "JOBWIRE_STORAGE" not in os.environ


def test_a_forked_server_that_is_killed_ends_by_the_signal(server: Server) -> None:
    server.signal(signal.SIGKILL)

    assert server.wait() == -signal.SIGKILL


def test_a_server_that_was_started_by_the_command_serves(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.is_forked = False
    try:
        assert server.start().get("/health")[0] == 200
        assert server.stop() == 0
    finally:
        server.end()


def test_the_end_of_the_launcher_is_that_of_all_it_forked(tmp_path: Path) -> None:
    with Launcher() as launcher:
        child = launcher.fork(
            {
                "module": "jobwire_server",
                "arguments": ["serve", "--storage", "memory://", "--http-port", "0", "--tcp-port", "0"],
                "log": str(tmp_path / "log"),
                "cwd": str(tmp_path),
                "environment": dict(os.environ),
            }
        )  # fmt: skip
        assert child.poll() is None

    assert child.returncode == -signal.SIGKILL
