"""docs/conformance/: every command of the pages runs and ends as they say, and what they quote is what there is."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from conformance.runner.processes import LAUNCHER, ServerProcess
from conformance.runner.specification import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES: Final = sorted((REPOSITORY / "docs" / "conformance").glob("*.md"))
ENV: Final = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
HTTP: Final = "http://127.0.0.1:6790"
TCP: Final = "127.0.0.1:6789"
PATIENCE_S: Final = 120
# What is another in each run: times, ids, and the width of the column that they stand in.
_OFTEN_NEW: Final = re.compile(r" *\d+\.\d ms|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blocks(page: Path, kind: str) -> list[str]:
    """The texts of the page's code blocks of one kind."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language == kind]


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line]


def launcher_of(page: Path) -> tuple[str, ...]:
    """How the page starts its server: with a fault, where it has a line for that."""
    for line in commands(page):
        if found := re.match(r"python -m conformance\.mutants\.launch (\w+) serve .*&$", line):
            return (sys.executable, "-m", "conformance.mutants.launch", found[1], "serve")
    return LAUNCHER


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def server(page: Path, tmp_path: Path) -> Iterator[ServerProcess | None]:
    """The one that the page speaks to; None where it speaks to none."""
    if not any(HTTP in line for line in commands(page)):
        yield None
        return
    process = ServerProcess(tmp_path, {}, launcher_of(page))
    with asyncio.Runner() as runner:
        runner.run(process.start())
        try:
            yield process
        finally:
            runner.run(process.stop())


def carried_out(line: str, server: ServerProcess | None) -> subprocess.CompletedProcess[str]:
    """The line with the addresses of the server."""
    if server is not None:
        host, port = server.target.tcp_address
        line = line.replace(HTTP, server.target.http_url)
        line = line.replace(TCP, f"{host}:{port}")
    return subprocess.run(
        ["bash", "-c", line],
        cwd=REPOSITORY,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_there_are_the_four_pages() -> None:
    assert [page.stem for page in PAGES] == [
        "add-a-case",
        "join-with-your-language",
        "read-a-failure",
        "run-against-your-server",
    ]


def test_every_command_of_a_page_ends_as_it_says(page: Path, server: ServerProcess | None) -> None:
    """With exit 0, or the one in its comment; what it is shown to print is what it prints."""
    lines = [line for line in commands(page) if not line.endswith("&")]
    assert lines
    shown = [_OFTEN_NEW.sub("~", text) for text in blocks(page, "")]
    for line in lines:
        wanted = re.search(r"# exit (\d)$", line)

        done = carried_out(line, server)

        assert done.returncode == (int(wanted[1]) if wanted else 0), done.stdout + done.stderr
        if wanted:
            printed = _OFTEN_NEW.sub("~", done.stdout)
            assert shown
            assert all(text in printed for text in shown), printed


def test_the_case_that_is_shown_is_a_case() -> None:
    page = REPOSITORY / "docs" / "conformance" / "add-a-case.md"
    suite = REPOSITORY / "conformance" / "cases" / "behaviour" / "ack.yaml"

    (shown,) = blocks(page, "yaml")

    assert shown in suite.read_text()


def test_the_driver_that_is_shown_is_smaller_than_those_that_are_used() -> None:
    minimal = REPOSITORY / "conformance" / "drivers" / "minimal" / "driver.py"
    text = minimal.read_text()

    assert len(text.splitlines()) <= 140
    assert "import jobwire" not in text
